//! Ports: binding one, sending through it, and taking what arrives.
//!
//! A port belongs to one thread. Its handles ([`Draft`], [`Incoming`], [`Reply`], [`Buffer`]) keep it alive, so a
//! request cannot outlive what it needs to be answered.

mod answer;
mod bind;
mod buffer;
mod core;
mod deadline;
mod draft;
mod handle;
mod inbox;
mod incoming;
mod leave;
mod recover;
mod reply;

pub use answer::NotForwarded;
pub use bind::{BindOptions, Takeover};
pub use buffer::{Buffer, Data};
pub use draft::{Draft, Refused};
pub use handle::{Burst, Event, Expired, Port, Ticket};
pub(crate) use incoming::read_name;
pub use incoming::{Incoming, NameText, Request};
pub use reply::{Outcome, Reply, Returning};

pub(crate) use bind::owner_of;
pub(crate) use core::Core;

#[cfg(test)]
mod tests;
