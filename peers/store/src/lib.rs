//! The contract of an object store, and what every store must pass.

#![forbid(unsafe_code)]

mod contract;
mod error;
mod name;

pub use contract::{Listing, LockOwner, LockRecord, ObjectStat, Scope, Store};
pub use error::StoreError;
pub use name::{BadObjectName, OBJECT_NAME_BYTES_MAX, ObjectName};
