//! Sleeping until something arrives: by futex alone, or in an io_uring together with other work.

mod beside;
pub(crate) mod futex;
mod helper;
mod options;
mod ring;
mod spin;

pub use beside::Beside;
pub use options::{WaitMethod, WaiterOptions};
pub use ring::{BELL_TOKEN, Completion, WaitError, Waiter};
