//! Split virtqueues, over memory that a guest changes while we look (virtio 1.2, section 2.7).
//!
//! # Invariants
//! * **QUEUE-1** What a guest wrote is read once, and the copy is checked: a ring that makes no sense is an error of that ring,
//!   never a panic, and never a walk longer than its table (F85).
//! * **QUEUE-2** A head is taken once until it is given back, so that what is in flight can be told apart.
//! * **QUEUE-3** Nothing outside the guest's memory is ever read or written for it: each part of a chain lies inside (F85).
//! * **QUEUE-4** No wake-up is lost: whoever stops looking says so first, and looks once more.
//! * **QUEUE-5** A chain that was answered is not taken again, wherever the front end says that the ring goes on.

mod chain;
mod error;
mod layout;
mod memory;
#[cfg(test)]
pub(crate) mod model;
mod split;

pub use chain::{Chain, DESCRIPTORS_MAX, Part};
pub use error::QueueError;
pub use layout::{Layout, QUEUE_SIZE_MAX};
pub use memory::{GuestMemory, MemoryFault};
pub use split::{QueueFeatures, SplitQueue};

#[cfg(test)]
mod tests;
