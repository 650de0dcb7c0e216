//! A whole node, as its users see it: real processes, a directory, real clients.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends with the first thing that is not as it should be"
)]

mod bad_input;
mod commands;
mod damage;
mod disks;
mod drill;
mod full;
mod hashes;
mod histories;
mod hosts;
mod kills;
mod leftovers;
mod locks;
mod mapping;
mod nbd;
mod ports;
mod random;
mod readme;
mod sectors;
mod support;
mod users;
mod worker;
