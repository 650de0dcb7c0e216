//! What a guest asks of its disk (virtio 1.2, section 5.2): the device's features, its configuration, its requests.
//!
//! # Invariants
//! * **GUESTREQUEST-1** A chain is parsed by its bytes, wherever the guest cuts them into descriptors; one without room for a
//!   status, or without a header, is an error of its ring (F85).
//! * **GUESTREQUEST-2** What asks for more than was offered is answered with an error, and changes nothing: all segments of a
//!   discard are judged before the first is done.
//! * **GUESTREQUEST-3** A driver that did not accept the flush has a write-through disk: its writes are durable when they are
//!   answered (D2).

mod config;
mod features;
mod parse;
mod parts;
mod status;

pub use config::{CONFIG_BYTES, Config};
pub use features::{DeviceFeatures, offered};
pub use parse::{BlockRequest, Job, ParseError};
pub use parts::Parts;
pub use status::Status;

#[cfg(test)]
mod tests;
