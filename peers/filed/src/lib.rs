//! Objects as files: a blocker that keeps them below a directory.
//!
//! ```text
//! <archip_dir>/archipelago              which store this is
//!              objects/aa/bb/<name>     objects; aa/bb by the hash of their group
//!              locks/<name>/<number>    locks
//!              locks/.owners/           who of those that hold them lives
//!              locks/.leases/           until when they may answer for what they do under them
//!              tmp/                     what is being made
//! ```
//! [`Filed`] is the peer. Data go straight between the segment's buffers and the files, on the reactor's ring; what goes
//! by path is done by threads.

#![forbid(unsafe_code)]

mod engine;
mod error;
mod files;
mod layout;
mod locks;
mod options;
mod peer;
mod root;
mod sync;

pub use error::FiledError;
pub use locks::{LEASE_TERM_MAX, Presence};
pub use options::{FiledOptions, LeaseOptions, SyncMethod};
pub use peer::Filed;
