//! The operations of the store: what goes by path on threads, what goes by descriptor on the ring.

mod asking;
mod changing;
mod copying;
mod core;
mod data;
mod keeping;
mod lock_news;
mod locking;
mod making;
mod opening;
mod parallel;
mod place;
mod space;
mod steps;
mod syncing;
#[cfg(test)]
mod tests;

pub(crate) use core::Engine;
pub(crate) use data::Range;
pub use keeping::LeaseOptions;
pub(crate) use locking::Wish;
