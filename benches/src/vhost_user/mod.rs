//! A guest's disk by vhost-user, beside what else QEMU can have as a guest's disk: one guest with all of them.
//!
//! Servers and files are on this machine, the load is in the guest.

mod contender;
mod rig;
mod run;
mod storage_daemon;

pub use run::{Options, run};
