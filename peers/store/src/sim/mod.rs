//! A store that loses power, fails and dawdles by a seed, and what tests need to run against it.
//!
//! A test drives its program on [`block_on`] or [`Interleave`], lets a [`SimStore`] fail or die at a call, takes a
//! crash image, and looks whether the program finds its way from there. Equal seeds do equal things.

mod calls;
mod disk;
mod entry;
mod executor;
mod faults;
mod inode;
mod join;
mod random;
mod store;
#[cfg(test)]
mod tests;

pub use calls::{CallKind, Calls};
pub use executor::{Interleave, Stuck, block_on, yield_now};
pub use join::join;
pub use random::SimRandom;
pub use store::SimStore;
