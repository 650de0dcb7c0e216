//! Waiting for each other on one thread: no atomics, no poisoning, nothing that could be sent elsewhere.
//!
//! All of them serve in the order of asking, and all of them are safe to give up: a future that is dropped after it
//! was chosen passes the choice on to the next.

mod either;
mod gate;
mod mutex;
mod notify;
mod oneshot;
mod queue;
mod semaphore;
#[cfg(test)]
mod tests;

pub use either::either;
pub use gate::{Gate, GateGuard};
pub use mutex::{Mutex, MutexGuard};
pub use notify::{Notified, Notify};
pub use oneshot::{Canceled, Receiver, Sender, oneshot};
pub use semaphore::{Acquire, Permit, Semaphore};
