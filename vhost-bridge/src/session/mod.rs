//! The protocol as a state machine: messages in, what is to be done and answered out. No I/O.
//!
//! # Invariants
//! * **SESSION-1** A front end is only told, and only accepts, what was offered; a ring that it names is one of ours (F85).
//! * **SESSION-2** A ring starts with all that it needs, and is not changed until it is stopped; neither are the features.
//! * **SESSION-3** Each message has one answer or none, as the protocol says: its own, or an acknowledgement that was asked for
//!   and negotiated.

mod action;
mod error;
#[expect(
    clippy::module_inception,
    reason = "the session is what this house is about"
)]
mod session;

pub use action::{Action, Answer, RingSetup, Step};
pub use error::SessionError;
pub use session::{Offer, Session};

#[cfg(test)]
mod tests;
