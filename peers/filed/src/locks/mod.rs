//! Locks as files. Calls here block, and can be made on any thread.

mod folder;
mod owners;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use folder::{LockFolder, LockState};
pub use owners::Presence;
