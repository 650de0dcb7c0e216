//! What `vlmc` does, done by the node that runs: requests to its mapper over the segment.

mod asking;
mod clients;
mod port_volumes;
mod served;

pub use asking::{Ask, Whom, ask};
pub use clients::Clients;
pub use port_volumes::PortVolumes;
