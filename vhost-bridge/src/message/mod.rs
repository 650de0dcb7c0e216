//! The messages of the vhost-user protocol: bytes to values and back, no I/O.
//!
//! # Invariants
//! * **MESSAGE-1** A message is taken only with exactly the payload and the descriptors that its kind has: whatever else a
//!   front end sends is an error that names it, never a panic (F85).

mod code;
mod error;
mod fields;
mod header;
mod kinds;
#[expect(
    clippy::module_inception,
    reason = "the message is what this house is about"
)]
mod message;
mod notice;
mod parts;
mod reply;

pub use code::Code;
pub use error::MessageError;
pub use header::{HEADER_BYTES, Header, PAYLOAD_BYTES_MAX};
pub use kinds::{CONFIG_BYTES_MAX, FDS_MAX, REGIONS_MAX};
pub use message::Message;
pub use notice::Notice;
pub use parts::{ConfigRange, InflightFacts, Region, RingAddresses, RingState};
pub use reply::Reply;

#[cfg(test)]
mod tests;
