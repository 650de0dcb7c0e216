//! What travels on the wire: numbers with names, headers to bytes and back. All integers are big-endian.

mod constants;
mod descriptor;
mod error;
mod fields;
mod reply;
mod request;

pub use constants::{
    BASE_ALLOCATION, CHANGED_SINCE, CommandCode, InfoCode, OptionCode, OptionReply, block_state,
    change_state, client_flags, command_flags, handshake_flags, magic, transmission_flags,
};
pub use descriptor::Descriptor;
pub use error::NbdError;
pub use fields::{Field, Fields, TooShort};
pub use reply::{Position, ReplyHead, ReplyMode};
pub use request::{HEADER_BYTES_MAX, RequestHeader, WrongMagic};
