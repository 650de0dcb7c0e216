//! The decisions of the supervisor: no process, no clock, no file.

mod host;
mod machine;
#[cfg(test)]
mod tests;

pub use host::Phase;
pub use machine::{Action, Core, Limits};
