//! Why bytes are no value of a format. Every error names the record, the field, what was found and what is right.

/// Bytes that are no value of a format, or a value that has no bytes because a reader would refuse them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    #[error(
        "the {record} has {found} bytes where {expected} are expected: it is cut, or something else lies there"
    )]
    Length {
        record: &'static str,
        found: usize,
        expected: usize,
    },
    #[error(
        "the {record} begins with {found:#x} and not with its magic number {expected:#x}: it is something else"
    )]
    Magic {
        record: &'static str,
        found: u64,
        expected: u64,
    },
    #[error("the {record} has format {found}, this build reads format {known}: use a newer build")]
    Format {
        record: &'static str,
        found: u16,
        known: u16,
    },
    #[error(
        "the {record} needs features that this build lacks (bits {bits:#x}): use a newer build"
    )]
    Incompatible { record: &'static str, bits: u32 },
    #[error(
        "the {record} must not be changed by a build without its features (bits {bits:#x}): open it read-only, or use a newer build"
    )]
    ReadOnly { record: &'static str, bits: u32 },
    #[error(
        "the {record} is damaged: its checksum is {found:#010x}, its bytes make {made:#010x}; restore it"
    )]
    Crc {
        record: &'static str,
        found: u32,
        made: u32,
    },
    #[error("{0}")]
    Field(#[from] BadField),
    #[error("`{field}` of the {record} is not UTF-8 from byte {valid_bytes} on")]
    NotText {
        record: &'static str,
        field: &'static str,
        valid_bytes: usize,
    },
}

/// A field with a value that it cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` of the {record} is {value} ({value:#x}): {want}")]
pub struct BadField {
    pub record: &'static str,
    pub field: &'static str,
    pub value: u128,
    /// What it may be.
    pub want: &'static str,
}
