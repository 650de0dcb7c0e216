//! What a record of the journal says.

use crate::map::{HeadFlags, Source, Stamp, VolumeId};

/// The longest answer that is remembered of a management call, in bytes.
pub const ANSWER_BYTES_MAX: usize = 1024;

/// "AJRN", as it stands on disk.
pub(in crate::map) const MAGIC: u32 = u32::from_le_bytes(*b"AJRN");

/// One change of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// These sub-blocks of a block now come from `source`, or are zero. At least one; all of them below 1024.
    Assign {
        block: u64,
        from: u16,
        count: u16,
        source: Option<Source>,
    },
    /// These blocks are zero. At least one.
    Zero { first_block: u64, count: u64 },
    /// A snapshot was made: it is the parent from now on, and the floor rises (M2, M7).
    Snapshot { child: VolumeId, floor: Stamp },
    /// The volume hangs from another one, or from none.
    Parent { parent: Option<VolumeId> },
    /// Objects with stamps up to it are not written in place any more.
    Floor { floor: Stamp },
    /// Stamps up to it may be given out from now on.
    Ceiling { ceiling: Stamp },
    /// The volume has this size. Blocks from its end on are zero, whatever was there.
    Size { bytes: u64 },
    /// The volume has this name: at most 255 bytes, empty if none.
    Name { name: String },
    /// What the volume is.
    Flags(HeadFlags),
    /// A management call was finished with this answer: asked again, it is answered again and not done again.
    Operation { id: u128, answer: Vec<u8> },
    /// All objects that earlier records name are durable.
    Barrier,
    /// All records with smaller numbers than this were durable when it was written: if one of them is not whole, it is
    /// damaged (LOG-5).
    Synced { sequence: u64 },
}

/// Numbers of the kinds of records on disk.
pub(in crate::map) mod kind {
    pub const ASSIGN: u16 = 1;
    pub const ZERO: u16 = 2;
    pub const SNAPSHOT: u16 = 3;
    pub const PARENT: u16 = 4;
    pub const FLOOR: u16 = 5;
    pub const CEILING: u16 = 6;
    pub const SIZE: u16 = 7;
    pub const NAME: u16 = 8;
    pub const FLAGS: u16 = 9;
    pub const OPERATION: u16 = 10;
    pub const BARRIER: u16 = 11;
    /// The barrier with which an opening begins. Other bytes than those of any other barrier (see the module above).
    pub const OPENING: u16 = 12;
    pub const SYNCED: u16 = 13;
}
