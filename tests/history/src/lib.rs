//! What clients of a volume saw, and whether a disk could have behaved so.
//!
//! Clients note in a [`Recorder`] what they asked and what they were told, by one clock. [`History::check`] then decides for
//! each block whether there is an order of all writes and reads that a single disk could have gone through, and whether
//! what was flushed survived losses of power. If there is none, the [`Violation`] names the few operations that prove it.

#![forbid(unsafe_code)]

mod check;
mod cluster;
mod era;
mod history;
mod operation;
mod recorder;
mod violation;

pub use history::{History, Summary};
pub use operation::{Event, Flush, Operation, Outcome, Time, Work};
pub use recorder::{Begun, Recorder};
pub use violation::{Evidence, Loss, Violation, Witnesses};
