//! Management of volumes: does a command take longer for a petabyte than for a gigabyte?
//!
//! Two volumes, one of each size, go through the same life in turn, in one node; each command is a process of its own,
//! as an administrator starts it, and its whole time counts.

mod run;
mod table;

pub use run::{Options, run};
