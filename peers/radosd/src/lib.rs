//! Objects in a pool of a Ceph cluster: a blocker that keeps them by librados.
//!
//! ```text
//! o.NAME           objects                      l.NAME       locks
//! i.PART.GROUP     names of a group's objects   n.INSTANCE   who serves the store now
//! g.PART           names of groups              archipelago  which store this is
//! ```
//! [`Radosd`] is the peer. docs/rados.md tells how each operation of the contract is done, and why so.

#![deny(unsafe_code)]

mod engine;
mod error;
mod librados;
mod options;
mod peer;
mod silence;

pub use error::RadosdError;
pub use options::RadosdOptions;
pub use peer::Radosd;
