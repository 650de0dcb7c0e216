//! Volumes in a Ceph cluster over NBD, beside RBD images of the same cluster.
//!
//! A small cluster of one monitor and three OSDs is started for it: all of them, the clients and whoever is measured share the
//! machine, so rates mean nothing but beside each other. Contenders take turns in each cell, in an order that rotates.

mod contender;
mod fio;
mod report;
mod rig;
mod run;

pub use run::{Options, run};
