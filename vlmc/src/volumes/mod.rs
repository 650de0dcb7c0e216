//! What `vlmc` does, done by the node that runs: requests to its mapper over the segment.

mod asking;
mod attachments;
mod clients;
mod port_volumes;
mod served;

pub use attachments::Attachments;
pub use clients::Clients;
pub use port_volumes::PortVolumes;
