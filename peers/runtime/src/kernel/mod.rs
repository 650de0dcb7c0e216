//! What the kernel does with memory and descriptors: the only module with `unsafe`.
//!
//! Safe code outside hands over a descriptor and memory, both of which [`Operations`] owns until the kernel, or the thread
//! that stands in for io_uring, has said that it is done with them.
#![allow(
    unsafe_code,
    reason = "the kernel takes addresses; every block says why they are good"
)]

mod action;
mod event_bell;
mod inherited;
mod lent;
mod lent_bytes;
mod memory;
mod message;
mod operations;
mod signal;
mod stream;

pub(crate) use action::{Action, RawCall};
pub use action::{CommandPayload, DriverCommand};
pub use event_bell::EventBell;
pub use inherited::inherited_descriptor;
pub use lent::{Lender, LentMemory};
pub use lent_bytes::LentBytes;
pub use memory::Memory;
pub(crate) use operations::{Operations, Outcome};
pub use signal::block_signals;
pub(crate) use signal::{block_all_signals, signal_descriptor};
pub(crate) use stream::wait_for_streams;
