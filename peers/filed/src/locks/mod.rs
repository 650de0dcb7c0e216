//! Locks as files. Calls here block, and can be made on any thread.

mod breaking;
mod folder;
mod leases;
mod owners;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use breaking::{Break, Force};
pub(crate) use folder::{LockFolder, LockState};
pub use leases::TERM_MAX as LEASE_TERM_MAX;
pub(crate) use leases::{Found, LeaseText, Sight};
pub use owners::Presence;
