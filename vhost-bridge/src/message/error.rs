use thiserror::Error;

use super::code::Code;

/// Why bytes are no message of ours. The connection that they came through ends.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    #[error(
        "message {number} is not one that a vhost-user-blk device of these features is to be sent"
    )]
    Unknown { number: u32 },
    #[error("message {number} is of protocol version {version}: only version 1 is spoken here")]
    Version { number: u32, version: u32 },
    #[error("message {number} says that it is an answer, but nothing was asked")]
    IsReply { number: u32 },
    #[error(
        "message {number} has a payload of {len_bytes} bytes: at most {len_bytes_max} are taken"
    )]
    TooLong {
        number: u32,
        len_bytes: u32,
        len_bytes_max: u32,
    },
    #[error("{code:?} with a payload of {len_bytes} bytes, which is not its length")]
    Length { code: Code, len_bytes: usize },
    #[error("{code:?} with {fds} descriptors: it has {expected}")]
    Fds {
        code: Code,
        fds: usize,
        expected: usize,
    },
    #[error("a table of {count} memory regions: 1 to {count_max} are taken")]
    Regions { count: u32, count_max: usize },
    #[error(
        "{code:?} of bytes {offset} to {offset} + {len_bytes} of a device configuration of 256"
    )]
    Config {
        code: Code,
        offset: u32,
        len_bytes: u32,
    },
}
