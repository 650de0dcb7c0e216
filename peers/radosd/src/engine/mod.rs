//! What the store does, operation by operation.

mod asking;
mod attendance;
mod changing;
mod copying;
mod core;
mod data;
mod groups;
mod hashing;
mod identity;
mod index;
mod instance;
mod lock_record;
mod locking;
mod merging;
mod names;
mod record;
mod settling;
mod together;
mod turns;
mod vigils;
mod waiting;

pub(crate) use core::Engine;
pub(crate) use data::{Making, Range};
pub(crate) use locking::Wish;
#[cfg(test)]
pub(crate) use waiting::wait;
