//! The contract of an object store, and what every store must pass.
//!
//! [`Store`] is the contract. [`MemStore`] keeps it in memory, [`sim::SimStore`] keeps it under faults, and
//! [`conformance`] says whether any other store keeps it. [`BlockerClient`] is the store that a blocker keeps behind a port,
//! [`wire`] what is said to it.

#![forbid(unsafe_code)]

mod client;
pub mod conformance;
mod content;
mod contract;
mod error;
mod mem;
mod name;
pub mod peer;
mod range;
pub mod sim;
pub mod wire;

pub use client::BlockerClient;
pub use contract::{Listing, LockOwner, LockRecord, ObjectStat, OwnerLife, Scope, Store};
pub use error::StoreError;
pub use mem::MemStore;
pub use name::{BadObjectName, OBJECT_NAME_BYTES_MAX, ObjectName};
pub use range::{OBJECT_BYTES_LEAST, OBJECT_END_MAX, range_end};
