//! What is in flight, written down where it outlives us (the split layout of the vhost-user protocol).
//!
//! # Invariants
//! * **INFLIGHT-1** A request stands in the region before anything of it is done, and until the used ring has it: whenever the
//!   process dies, each request that was taken is either answered once or done again.
//! * **INFLIGHT-2** What is done again is done in the order in which it was taken.
//! * **INFLIGHT-3** A region that makes no sense is an error: nothing is forgotten for it (F85).
//! * **INFLIGHT-4** Nothing of a ring that was stopped is done again.

mod error;
mod region;

pub use error::InflightError;
pub use region::{Inflight, Recovered};

#[cfg(test)]
mod tests;
