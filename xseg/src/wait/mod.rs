//! Sleeping until something arrives: by futex alone, or in an io_uring together with other work.

mod beside;
pub(crate) mod futex;
mod helper;
mod ring;
mod spin;

pub use beside::Beside;
pub use ring::{BELL_TOKEN, Completion, WaitError, WaitMethod, Waiter, WaiterOptions};
