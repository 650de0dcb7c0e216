//! The records of the segment as they lie in memory. docs/segment.md draws them; a test holds every offset that
//! the page names against this file.
//!
//! # Invariants
//! * **LAYOUT-1** A record is `repr(C)`, has no padding and no pointer, and every field is an atomic: only atomics
//!   are ever borrowed from the mapping, since another process may write at any time.
//! * **LAYOUT-2** Words that senders, receivers and owners write lie on cache lines of their own.
//! * **LAYOUT-3** A change of any size or offset is a new [`LAYOUT_VERSION`].

use crate::sync::{AtomicU32, AtomicU64};

/// What this code writes.
pub const LAYOUT_VERSION: u32 = 1;
/// The oldest layout that this code can join.
pub const LAYOUT_OLDEST: u32 = 1;
/// The first word of every segment.
pub const MAGIC: u64 = u64::from_le_bytes(*b"ARCHXSEG");

/// How many bytes a request's target or snapshot name can have.
pub const NAME_BYTES_MAX: usize = 255;
/// How many ports can stand on a request's way back.
pub const PATH_MAX: usize = 10;
/// How many moments of its way a request remembers.
pub const STAMPS: usize = 8;
/// Operation-specific arguments of a request.
pub const ARGS: usize = 4;
/// Bytes of a port's label.
pub const LABEL_BYTES: usize = 32;
/// Counters of a port.
pub const COUNTERS: usize = 32;
/// Groups of operations that have a latency histogram of their own.
pub const LATENCY_GROUPS: usize = 8;
/// Buckets of a histogram: bucket n counts latencies of up to 2^n nanoseconds.
pub const LATENCY_BUCKETS: usize = 32;

/// May lie in the segment.
///
/// # Safety
/// `repr(C)`, no padding, no pointers, every field an atomic (so valid for every bit pattern, and never a data race).
pub(crate) unsafe trait Shared: Sized {}

macro_rules! shared {
    ($(#[$doc:meta])* pub struct $name:ident: $bytes:literal {
        $($(#[$field_doc:meta])* $field:ident: $kind:ty,)*
    }) => {
        $(#[$doc])*
        #[repr(C, align(64))]
        pub(crate) struct $name { $($(#[$field_doc])* pub $field: $kind,)* }
        const _: () = {
            assert!(size_of::<$name>() == $bytes, "layout changed: new LAYOUT_VERSION (LAYOUT-3)");
            assert!(0 $(+ size_of::<$kind>())* == $bytes, "padding (LAYOUT-1)");
        };
        // SAFETY: repr(C) by the macro; the asserts above exclude padding; the fields are atomics (LAYOUT-1).
        unsafe impl Shared for $name {}
        #[cfg(test)]
        impl $name {
            /// (field, offset, bytes) of each field, for the test that reads docs/segment.md.
            pub(crate) fn fields() -> Vec<(&'static str, usize, usize)> {
                vec![$((stringify!($field), std::mem::offset_of!($name, $field), size_of::<$kind>())),*]
            }
        }
    };
}

shared! {
    /// The first page.
    pub struct Header: 4096 {
        magic: AtomicU64,
        /// A process joins if [its oldest, its newest] and [these two] overlap.
        layout_oldest: AtomicU32,
        layout_newest: AtomicU32,
        size_bytes: AtomicU64,
        /// 128 random bits: tells a recreated segment from the old one.
        identity: [AtomicU64; 2],
        created_unix_ns: AtomicU64,
        ports: AtomicU32,
        static_ports: AtomicU32,
        requests: AtomicU32,
        /// 1: in use; 2: destroyed, leave.
        state: AtomicU32,
        buffer_counts: [AtomicU32; 12],
        reserved_0: [AtomicU64; 2],
        /// Grows with each settlement: receivers then look for what dead senders never pushed.
        deaths: AtomicU64,
        reserved_1: [AtomicU64; 7],
        reserved_2: [AtomicU64; 488],
    }
}

/// The header's `state` words.
pub(crate) const STATE_IN_USE: u32 = 1;
pub(crate) const STATE_DESTROYED: u32 = 2;

/// The lanes of an inbox, in the order of the head words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneKind {
    /// Work that its receiver takes when it has room.
    Requests = 0,
    /// Answers: always taken.
    Replies = 1,
    /// Ping, cancel, recall: always taken, not counted (P1).
    Notices = 2,
}

/// A record's lane word: one store says both that it is an answer and whose (ANSWER-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneWord {
    pub kind: LaneKind,
    /// For an answer: the place on the path of the port that it goes to.
    pub place: usize,
}

impl LaneWord {
    pub const fn pack(self) -> u32 {
        self.kind as u32 | (self.place as u32) << 8
    }

    /// What it says wrongly is found when the record is read.
    pub const fn unpack(word: u32) -> Self {
        let kind = match word as u8 {
            1 => LaneKind::Replies,
            2 => LaneKind::Notices,
            _ => LaneKind::Requests,
        };
        Self {
            kind,
            place: (word >> 8) as usize,
        }
    }
}

pub(crate) const LANES: [LaneKind; 3] = [LaneKind::Requests, LaneKind::Replies, LaneKind::Notices];

shared! {
    /// A port.
    pub struct PortRecord: 512 {
        /// Line 0, 1, 2: written by senders only.
        requests_head: AtomicU64,
        pad_0: [AtomicU64; 7],
        replies_head: AtomicU64,
        pad_1: [AtomicU64; 7],
        notices_head: AtomicU64,
        pad_2: [AtomicU64; 7],
        /// Line 3: read by senders, written when the port sleeps, is bound or is left.
        life: AtomicU64,
        bell: AtomicU32,
        /// The port whose bell rings for this one, plus one; 0 is its own.
        bell_port: AtomicU32,
        /// The port that requests to this one go through, plus one; 0 is none.
        via: AtomicU32,
        pad_3: [AtomicU32; 11],
        /// Line 4: written by the receiver only.
        requests_taken: AtomicU64,
        replies_taken: AtomicU64,
        notices_taken: AtomicU64,
        pad_4: [AtomicU64; 5],
        /// Line 5: who owns it.
        pid: AtomicU32,
        pad_5: AtomicU32,
        /// Clock ticks between boot and the process's start, from /proc: with the pid it names the process.
        pid_start: AtomicU64,
        bound_unix_ns: AtomicU64,
        requests_owned_max: AtomicU32,
        pad_6: [AtomicU32; 9],
        label: [AtomicU64; 4],
        pad_7: [AtomicU64; 4],
        /// Line 7: until when whoever relies on this port may answer; 0 if it keeps no lease.
        lease: AtomicU64,
        pad_8: [AtomicU64; 7],
    }
}

shared! {
    /// What a port has done: written by its owner alone, read by anybody.
    pub struct StatsRecord: 2304 {
        counters: [AtomicU64; 32],
        latency: [[AtomicU64; 32]; 8],
    }
}

shared! {
    /// A request. The first two lines are what an I/O needs.
    pub struct RequestRecord: 896 {
        owner: AtomicU64,
        /// The lane's head when this record was pushed.
        next: AtomicU64,
        /// Given by the sender at each submission: names the request for tracing and for cancelling.
        serial: AtomicU64,
        op: AtomicU32,
        flags: AtomicU32,
        offset: AtomicU64,
        length: AtomicU64,
        handle: AtomicU64,
        data_at: AtomicU64,
        data_len: AtomicU64,
        /// The buffer that the data lies in, plus one; 0 is no data.
        buffer: AtomicU32,
        /// The lane it travels in (low byte), and for an answer the place on `path` that it goes to (next byte).
        lane: AtomicU32,
        done: AtomicU64,
        errno: AtomicU32,
        /// How many ports stand on `path`.
        depth: AtomicU32,
        deadline_ns: AtomicU64,
        /// The port that it is meant for, whoever handles it on the way.
        destination: AtomicU32,
        /// Bytes of `target` (low half) and `snapshot` (high half).
        name_lens: AtomicU32,
        /// Names of the incarnations that the answer passes, the requester first.
        path: [AtomicU64; 10],
        stamps: [AtomicU64; 8],
        args: [AtomicU64; 4],
        /// 128 bits that make a changing management request recognisable when it is redone.
        op_id: [AtomicU64; 2],
        reserved: [AtomicU64; 10],
        target: [AtomicU64; 32],
        snapshot: [AtomicU64; 32],
    }
}

impl PortRecord {
    pub fn lane(&self, kind: LaneKind) -> crate::lane::Lane<'_> {
        let (head, taken) = match kind {
            LaneKind::Requests => (&self.requests_head, &self.requests_taken),
            LaneKind::Replies => (&self.replies_head, &self.replies_taken),
            LaneKind::Notices => (&self.notices_head, &self.notices_taken),
        };
        crate::lane::Lane { head, taken }
    }
}

#[cfg(test)]
#[path = "layout/tests.rs"]
mod tests;
