//! What every store must pass.
//!
//! A check is an `async fn(&impl Store)` that begins with an empty store and panics on what is wrong. A store's tests
//! call [`crate::conformance_tests!`], which makes a test of each, or run [`Check::all`] by themselves.

mod check;
mod copying;
mod data;
mod exclusive;
mod hashing;
mod help;
mod limited;
mod listing;
mod locking;
mod names;
mod space;
mod syncing;

pub use check::{Check, CheckFuture};
pub use limited::{Limited, full_store_keeps_what_it_has};
