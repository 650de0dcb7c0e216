//! Extents: what lies in a range, in runs.

/// A run of bytes of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    pub len_bytes: u64,
    /// Nothing is allocated for it.
    pub hole: bool,
    /// It reads as zeroes.
    pub zero: bool,
}

impl Extent {
    /// Allocated, and who knows what.
    pub fn data(len_bytes: u64) -> Self {
        Self {
            len_bytes,
            hole: false,
            zero: false,
        }
    }

    /// Nothing is there, and it reads as zeroes.
    pub fn hole(len_bytes: u64) -> Self {
        Self {
            len_bytes,
            hole: true,
            zero: true,
        }
    }
}
