//! Memory of others: a guest's, and the in-flight region. The only module with `unsafe`.
//!
//! # Invariants
//! * **GUEST-1** Only raw pointers and atomics ever point into a mapping: the guest may change any byte at any time.
//! * **GUEST-2** An access lies within one region, which is mapped in full for as long as the value lives; an access that crosses
//!   from one region into the next is cut.
//! * **GUEST-3** A region is mapped only if its file had its bytes then, and is memory of the kernel's, whose pages come
//!   without waiting for anybody; what it is, is found out without asking whoever serves it.
//! * **GUEST-4** Memory that goes away while it is mapped is an error of whoever reaches for it, from then on and for ever;
//!   nothing else in the process notices (F61).
//! * **GUEST-5** What one guest may have mapped is bounded, in regions and in bytes.
#![allow(
    unsafe_code,
    reason = "memory of others is reached through raw pointers; every block says why they are good"
)]

mod error;
mod file;
mod guard;
mod lending;
mod mapping;
mod ram;

pub use error::MapError;
pub use ram::{GUEST_BYTES_MAX, Ram, SLOTS_MAX};

#[cfg(test)]
mod tests;
