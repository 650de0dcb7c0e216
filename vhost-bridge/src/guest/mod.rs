//! Memory of others: a guest's, and the in-flight region. The only module with `unsafe`.
//!
//! # Invariants
//! * **GUEST-1** Only raw pointers and atomics ever point into a mapping: the guest may change any byte at any time.
//! * **GUEST-2** An access lies within one region, which is mapped in full for as long as the value lives; an access that crosses
//!   from one region into the next is cut.
//! * **GUEST-3** A region is mapped only if its file had its bytes then.
#![allow(
    unsafe_code,
    reason = "memory of others is reached through raw pointers; every block says why they are good"
)]

mod error;
mod mapping;
mod ram;

pub use error::MapError;
pub use ram::Ram;

#[cfg(test)]
mod tests;
