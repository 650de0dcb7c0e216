//! What the server asks of those who keep the bytes.
//!
//! Futures stay on the reactor's thread. The server never drops one before it is done: a client that goes away does not
//! take its requests with it (F78). Ranges were checked against [`Disk::facts`], lengths are at most a piece
//! (`piece_bytes_max` in a server's options) where a payload is involved.

use std::future::Future;
use std::ops::Range;

use archipelago_runtime::LentMemory;
use xseg::Errno;

use super::change::Change;
use super::extent::Extent;
use super::facts::DiskFacts;
use super::payload::Payload;
use crate::listed::{Listed, OpenRefusal};
use crate::name::DiskName;

/// What there is to be served.
pub trait Disks: 'static {
    type Disk: Disk;

    /// All of them, for clients that ask which there are.
    fn list(&self) -> impl Future<Output = Result<Vec<Listed>, Errno>>;

    /// Opens the one that a client chose. It is closed by being dropped, after the last request.
    fn open(&self, name: &DiskName) -> impl Future<Output = Result<Self::Disk, OpenRefusal>>;
}

/// How zeroes are to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZeroOptions {
    /// Durable before the answer.
    pub fua: bool,
    /// The range stays allocated.
    pub no_hole: bool,
    /// Rather not at all (`OPNOTSUPP`) than no faster than by writing.
    pub fast: bool,
}

/// An open export.
pub trait Disk: 'static {
    /// As they were when it was opened. Whoever serves it is told of another size; a client that stays sees no other abilities (F83).
    fn facts(&self) -> DiskFacts;

    /// A place for the payload of a write; the socket receives straight into it (W1).
    fn room(&self, len_bytes: u32) -> impl Future<Output = Result<Payload, Errno>>;

    /// Exactly `len_bytes` of data; the socket sends straight from it (W1).
    fn read(&self, offset: u64, len_bytes: u32) -> impl Future<Output = Result<Payload, Errno>>;

    /// `payload` came from [`Disk::room`] and is full. `fua`: durable before the answer.
    fn write(
        &self,
        offset: u64,
        payload: Payload,
        fua: bool,
    ) -> impl Future<Output = Result<(), Errno>>;

    /// Does it read into, and write from, memory that its client has already? Only then is it lent any.
    fn takes_loans(&self) -> bool {
        false
    }

    /// Reads as much as there is of the memory. What is not there then is in the payload, and told.
    fn read_lent(
        &self,
        _offset: u64,
        _memory: LentMemory,
    ) -> impl Future<Output = Result<(Payload, Vec<Range<u64>>), Errno>> {
        std::future::ready(Err(Errno::OPNOTSUPP))
    }

    /// Writes what is in the memory.
    fn write_lent(
        &self,
        _offset: u64,
        _memory: LentMemory,
        _fua: bool,
    ) -> impl Future<Output = Result<(), Errno>> {
        std::future::ready(Err(Errno::OPNOTSUPP))
    }

    /// All writes that were answered before, through whatever connection, are durable afterwards (D2).
    fn flush(&self) -> impl Future<Output = Result<(), Errno>>;

    fn trim(
        &self,
        offset: u64,
        len_bytes: u64,
        fua: bool,
    ) -> impl Future<Output = Result<(), Errno>>;

    fn write_zeroes(
        &self,
        offset: u64,
        len_bytes: u64,
        options: ZeroOptions,
    ) -> impl Future<Output = Result<(), Errno>>;

    /// What lies there, from `offset` on, at least one extent; not necessarily all of the range.
    fn block_status(
        &self,
        offset: u64,
        len_bytes: u64,
    ) -> impl Future<Output = Result<Vec<Extent>, Errno>>;

    /// What of the range changed since this snapshot was made, from `offset` on, at least one run unless the range is empty;
    /// not necessarily all of it. `NOENT` if there is no such snapshot, `OPNOTSUPP` if the disk cannot tell.
    fn changed_since(
        &self,
        _snapshot: &DiskName,
        _offset: u64,
        _len_bytes: u64,
    ) -> impl Future<Output = Result<Vec<Change>, Errno>> {
        std::future::ready(Err(Errno::OPNOTSUPP))
    }

    /// Its client is gone: until it is dropped nobody else is given the disk (ORPHAN-1).
    fn leave(&self) {}

    /// The range will be read soon.
    fn cache(&self, offset: u64, len_bytes: u64) -> impl Future<Output = Result<(), Errno>>;
}
