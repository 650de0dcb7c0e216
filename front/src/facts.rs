//! What a client learns of a disk when it opens it.

/// What a disk can do. A client is never told of more, and a command that was not offered is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    pub read_only: bool,
    pub flush: bool,
    pub fua: bool,
    pub trim: bool,
    pub write_zeroes: bool,
    /// It can say at once that zeroing would be no faster than writing.
    pub fast_zero: bool,
    pub cache: bool,
    /// What one connection flushes, all connections' writes are part of (F84).
    pub multi_conn: bool,
}

/// Size, abilities, and what to tell people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskFacts {
    pub size_bytes: u64,
    pub features: Features,
    pub description: String,
}

impl Features {
    /// Everything, writable.
    pub const ALL: Self = Self {
        read_only: false,
        flush: true,
        fua: true,
        trim: true,
        write_zeroes: true,
        fast_zero: true,
        cache: true,
        multi_conn: true,
    };
}
