//! Locks as files. Calls here block, and can be made on any thread.

mod folder;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use folder::{LockFolder, LockState};
