//! A volume's journal: what changed since its head was written, record behind record in segments of fixed size.
//!
//! # What counts after a crash (M6)
//!
//! Writes of several records may be under way at once; the death of the process leaves any of them undone, and power
//! loss any sector of whatever was not synced. Behind the end may lie whatever an earlier owner left there: records
//! that it wrote and that the next owner did not take, with the very sequence numbers that come next. So:
//!
//! 1. Each checksum is continued from the checksum of the record before it (the first of a segment: from the segment's
//!    name). A record is *whole* only behind the very record that it was written behind, in the segment that it was
//!    written in. Sequence numbers say the same for people and for tools.
//! 2. Whoever opens a journal for writing syncs the objects that the records taken name, then writes an *opening* (a barrier
//!    of its own kind, which [`Appender::begin`] makes), waits for it and syncs it, and only then appends. So between the
//!    records of two boots there is a barrier on both sides: the last that counts of the older boot, and the opening of
//!    the newer. Within one boot an opening differs from whatever the dead process wrote there: an ordinary barrier
//!    in its place might be the same bytes as one of the dead, and would make what lies behind that one whole. (Another
//!    opening at the same place may be the same bytes; but had it been written, it would count, and had it not been,
//!    nothing was written behind it.)
//! 3. A record of another boot than the one before it counts only if it is an opening, and the one before it a barrier.
//!    Anything else ends the walk.
//! 4. If the last whole record is of the boot that runs now, all count: what one process wrote is in the page cache for
//!    the next one. If it is of another boot, those up to and including the last barrier count. What is behind
//!    it was never promised: data objects that it names may be missing.
//!
//! A segment that was written in boot A, continued in boot B and is read in boot C therefore counts up to B's last
//! barrier; there is one if B wrote anything, and then everything of A that B took lies before it.
//!
//! # Invariants
//! * **LOG-1** What counts is a beginning of what was written: no record without all before it, and none that an earlier
//!   opening did not take.
//! * **LOG-2** Every record whose write was answered counts in the same boot; every record up to the last barrier whose
//!   sync was answered counts in any.
//! * **LOG-3** A whole record that this build does not understand is an error, never the end: the end would be
//!   written over. So is anything missing from the part of a segment that a head says is complete.
//! * **LOG-5** Damage is not taken for the end that a crash left (F32). After a sync the first record that is appended says
//!   up to where all was durable: an end before that is an error. And a segment that is followed by another one that was begun is complete: its writer went
//!   on only when all of it was synced.
//! * **LOG-4** A record has one encoding (a barrier one more, as an opening), and what `append` accepts is read back the same.

mod appender;
mod body;
mod position;
pub(in crate::map) mod record;
mod replay;
#[cfg(test)]
mod tests;

pub use appender::Appender;
pub use position::Position;
pub use record::{ANSWER_BYTES_MAX, Record};
pub use replay::{End, JournalError, JournalProblem, Replayed};
