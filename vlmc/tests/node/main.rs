//! A whole node, as its users see it: real processes, a directory, real clients.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends with the first thing that is not as it should be"
)]

mod bad_input;
mod ceph;
mod ceph_costs;
mod ceph_trouble;
mod changes;
mod commands;
mod damage;
mod devices;
mod disks;
mod drill;
mod full;
mod guests;
mod hashes;
mod histories;
mod hosts;
mod kills;
mod leftovers;
mod libvirt;
mod locks;
mod mapping;
mod migration;
mod nbd;
mod nfs;
mod nfs_inside;
mod nfs_machines;
mod nodes;
mod nodes_losses;
mod nodes_storm;
mod ports;
mod random;
mod readme;
mod rights;
mod sectors;
mod serving;
mod stores;
mod support;
mod users;
mod worker;
