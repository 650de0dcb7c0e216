//! What this node's volumes are attached by: beside the first composer, at the first port of the bridges.
//!
//! One port serves all of them, so that they share what of the segment is theirs (BRIDGE-3).

mod desk;
mod limits;
mod listeners;
mod mapped_disks;
mod nbd;
mod role;
mod service;
mod turns;
mod ublk;
mod vhost;

pub(super) use nbd::load as load_tls;
pub(super) use role::{Asked, Bridges};
