//! Volumes as block devices of the kernel, beside what else makes a block device of a file: within one guest, which has a whole node
//! and all its rivals.
//!
//! All files lie in one ext4, on a disk of the guest that is a file in the page cache of the machine below.

mod contender;
mod rig;
mod run;

pub use run::{Options, run};
