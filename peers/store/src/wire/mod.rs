//! How a store is asked over a port.
//!
//! A request's target is the object's name (or the group that is listed), its handle is the scope, its extent says
//! where; the rest is in the second name, the arguments and the payload:
//!
//! | operation | second name | extent | arguments | payload | answer |
//! |---|---|---|---|---|---|
//! | READ | | where | | room | the count; the bytes |
//! | WRITE (with FUA: durable when answered) | | where | | bytes | the count |
//! | WRITE_FULL, CREATE_EXCLUSIVE | | 0, length | | bytes | the count |
//! | WRITE_ZEROES, DISCARD | | where | | | |
//! | EXTEND | | 0, size | 1 to reserve | | |
//! | COPY | from | 0, length | | | the count |
//! | DELETE, SYNC, HEAL | | | | | |
//! | INFO | | | 0 | | arguments: size, allocated |
//! | INFO | | where | 1 | | the count of bytes that are no hole |
//! | HASH | | | | | arguments: the hash |
//! | LIST | after | | most | room | the count; arguments: more, bytes; the names |
//! | GROUPS (target: after) | | | 1 if after | room | the same |
//! | ACQUIRE (NOWAIT) | | | since | owner | arguments: token, since, bytes; the holder |
//! | RELEASE (FORCE) | | | 0, 1 to forget it, 2 to break it whoever lives, 3 the same after its owner was fenced | owner | on EBUSY as ACQUIRE |
//! | LOCK_OWNER | | | | room | as ACQUIRE; no bytes: nobody |
//! | LOCK_OWNER | | | 1 | | done: its owner 1 lives, 2 does not, 0 cannot be told |
//!
//! Owners and lists of names are sequences of byte strings, each after its length in one byte.
//!
//! # Invariants
//! * **WIRE-1** Whatever bytes arrive, decoding ends with a value whose every part was checked, or with an error.
//! * **WIRE-2** What was encoded is decoded as it was.

mod call;
mod decode;
mod encode;
mod error;
mod head;
mod op;
mod strings;
#[cfg(test)]
mod tests;

pub use call::{Call, life_number, life_of};
pub use error::WireError;
pub use head::Head;
pub use op::{EXTEND, GROUPS, HEAL};
pub use strings::{
    OWNER_PART_BYTES_MAX, decode_owner, decode_strings, encode_owner, fit_strings, push_string,
};
