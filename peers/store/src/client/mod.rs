//! A store behind a port.

mod asking;
mod blocker;
mod store;

pub use blocker::BlockerClient;
