//! Heads: what a volume or snapshot is at one moment, but for what its journal says.
//!
//! A head is published exclusively under a new version, never changed, and the highest version wins. It names the root
//! of the tree and the journal segments to replay over it; everything else about the volume is in it, so that opening
//! one reads one object before the journal.
//!
//! # Invariants
//! * **HEAD-1** What `encode` accepts, `decode` reads back the same; what `decode` would refuse, `encode` refuses first.
//! * **HEAD-2** Bytes that were cut, appended to or changed in any bit are refused.

use std::num::NonZeroU64;

use super::journal::Position;
use super::{PageRef, Shape, Stamp, VolumeId};

pub(super) mod codec;
pub(super) use codec::{flag_bits, flags_of};
#[cfg(test)]
mod tests;

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// The most journal segments that one head can name.
pub const SEGMENTS_MAX: usize = 4096;

/// All of a volume but its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub id: VolumeId,
    pub version: Version,
    pub shape: Shape,
    /// At most 2^63.
    pub size_bytes: u64,
    /// The volume's own objects with stamps above it may be written in place (M2).
    pub floor: Stamp,
    /// Stamps up to it may have been given out.
    pub ceiling: Stamp,
    /// Its last snapshot, or the origin that it was cloned from (M7). Never itself (F44).
    pub parent: Option<VolumeId>,
    /// None: all is zero but for what the segments say.
    pub root: Option<Root>,
    pub flags: HeadFlags,
    /// Its tree may name content (an incompat feature).
    pub has_content: bool,
    /// At most 255 bytes; empty if it has none. The directory entry of this name must point back here to count.
    pub name: String,
    /// To be replayed over the tree, in this order. Only the last may be open.
    pub segments: Vec<SegmentRef>,
    /// The number of the next page object of this volume.
    pub next_page_number: u64,
    /// Seconds since 1970.
    pub created_seconds: u64,
}

/// Which of a volume's heads it is: the highest is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The owner's fencing token: what a later owner writes is above all of an earlier one's.
    pub token: u64,
    /// Counts the heads of one owner.
    pub number: u64,
}

/// The top of a volume's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    pub page: PageRef,
    /// 0 if the root is a leaf, `LEVEL_MAX` at most.
    pub level: u8,
}

/// What a head is, apart from where its data lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadFlags {
    /// It never changes: reads only.
    pub snapshot: bool,
    /// A snapshot that names nothing but content. Its name is its hash, and no volume's.
    pub content: bool,
    /// No name stands for it: its space is given back as soon as nothing hangs from it.
    pub nameless: bool,
    /// A write or sync of it failed: it must be looked at before it is written again (F27).
    pub failed: bool,
    /// In the trash since, in seconds since 1970.
    pub trashed_at_seconds: Option<NonZeroU64>,
}

/// A journal segment, or the part of one, that belongs to a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRef {
    /// The volume that wrote it.
    pub birth: VolumeId,
    /// Token and number of its name.
    pub token: u64,
    pub number: u64,
    /// Where the first record that counts begins, and what must stand there.
    pub from: Position,
    /// Where the part ends: everything before it is durable and must be there. None: open, it ends where the records do.
    pub to_offset: Option<u64>,
}
