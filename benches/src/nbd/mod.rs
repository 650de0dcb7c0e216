//! The NBD server, beside those that serve a file: the same loads by fio's nbd engine over a unix socket, side by side.
//!
//! Each contender serves a disk of its own, written in full before anything is measured, in a directory that all share. Each
//! repetition goes through all cells, and in each cell through all contenders, in an order that rotates; so what else
//! happens on the machine happens to all of them.

mod contender;
mod counters;
mod fio;
mod measurement;
mod report;
mod rival;
mod run;
mod server;
mod syscalls;

pub use contender::Contender;
pub use rival::Rival;
pub use run::{Options, run};
