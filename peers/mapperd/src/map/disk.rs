//! The fixed records of the map formats, as they lie on disk: little-endian, without padding.
//!
//! docs/map-format.md explains every field, and a test holds that page against these declarations. Nothing here is
//! checked: whoever reads one of these checks it (`entry`, `page`, `head` ...) and hands out a type that is right.
//!
//! # Invariants
//! * **DISK-1** Every field of every format stands in docs/map-format.md, at its offset and with its size.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Declares a record of so many bytes, and for the tests the list of its fields.
macro_rules! disk_records {
    ($($(#[$meta:meta])* $name:ident: $bytes:literal { $($field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
        #[repr(C)]
        pub(super) struct $name { $(pub $field: $type),* }

        const _: () = assert!(size_of::<$name>() == $bytes, "the layout changed: it is a new format");

        #[cfg(test)]
        impl $name {
            /// (name, offset, bytes) of each field.
            pub fn fields() -> Vec<(&'static str, usize, usize)> {
                vec![$((stringify!($field), std::mem::offset_of!(Self, $field), size_of::<$type>())),*]
            }
        }
    )*};
}

disk_records! {
    RawEntry: 32 {
        kind: u8,
        flags: u8,
        index: U16,
        crc: U32,
        number: U64,
        birth: [u8; 16],
    }

    RawPageHeader: 64 {
        magic: U64,
        format: U16,
        kind: u8,
        level: u8,
        crc: U32,
        compat: U32,
        ro_compat: U32,
        incompat: U32,
        index: U16,
        reserved: U16,
        birth: [u8; 16],
        number: U64,
        first: U64,
    }

    RawTreePage: 4096 {
        header: RawPageHeader,
        entries: [RawEntry; 126],
    }

    RawSource: 24 {
        birth: [u8; 16],
        stamp: U64,
    }

    RawSplitPage: 4096 {
        header: RawPageHeader,
        subs: U16,
        source_count: U16,
        reserved: U32,
        indices: [u8; 1024],
        table: [RawSource; 125],
    }

    RawHead: 168 {
        magic: U64,
        format: U16,
        flags: U16,
        length: U32,
        crc: U32,
        compat: U32,
        ro_compat: U32,
        incompat: U32,
        segment_count: U32,
        object_bits: u8,
        grain_bits: u8,
        root_level: u8,
        name_length: u8,
        id: [u8; 16],
        version_token: U64,
        version_number: U64,
        size_bytes: U64,
        floor: U64,
        ceiling: U64,
        next_page_number: U64,
        created_seconds: U64,
        trashed_at_seconds: U64,
        parent: [u8; 16],
        root: RawEntry,
    }

    RawSegment: 64 {
        birth: [u8; 16],
        token: U64,
        number: U64,
        from_offset: U64,
        to_offset: U64,
        first_sequence: U64,
        link: U32,
        reserved: U32,
    }

    RawName: 48 {
        magic: U64,
        format: U16,
        kind: u8,
        name_length: u8,
        crc: U32,
        compat: U32,
        ro_compat: U32,
        incompat: U32,
        reserved: U32,
        id: [u8; 16],
    }

    RawRecordHeader: 40 {
        magic: U32,
        length: U32,
        crc: U32,
        kind: U16,
        flags: U16,
        sequence: U64,
        boot: [u8; 16],
    }

    RawAssign: 40 {
        block: U64,
        from: U16,
        count: U16,
        reserved: U32,
        stamp: U64,
        birth: [u8; 16],
    }

    RawZero: 16 {
        first_block: U64,
        count: U64,
    }

    RawSnapshot: 24 {
        child: [u8; 16],
        floor: U64,
    }

    RawParent: 16 {
        parent: [u8; 16],
    }

    /// The body of `Floor`, `Ceiling` and `Size`.
    RawNumber: 8 {
        value: U64,
    }

    RawFlags: 16 {
        flags: U16,
        reserved: [u8; 6],
        trashed_at_seconds: U64,
    }

    /// Before the bytes of `Name`.
    RawText: 8 {
        length: U32,
        reserved: U32,
    }

    /// Before the bytes of `Operation`.
    RawOperation: 24 {
        id: [u8; 16],
        length: U32,
        reserved: U32,
    }
}
