//! Feature bits (M9): what a build may do with a record that has features which it does not know.
//!
//! Of the features so far none is known: every bit that is set is unknown.
//!
//! # Invariants
//! * **FEATURE-1** An unknown incompat bit refuses the record, an unknown ro-compat bit makes what it belongs to
//!   read-only, an unknown compat bit changes nothing. Whoever rewrites a record drops the compat bits that it does
//!   not know: a feature whose data must not be dropped so is not a compat one.

use super::error::FormatError;

/// What may be done with what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadWrite,
    /// It has features that only a newer build may keep up when it writes.
    ReadOnly,
}

/// A value, and what may be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<T> {
    pub value: T,
    pub access: Access,
}

const RO_COMPAT_KNOWN: u32 = 0;
const INCOMPAT_KNOWN: u32 = 0;

impl Access {
    /// What the features of a record leave.
    pub(super) fn from_features(
        record: &'static str,
        ro_compat: u32,
        incompat: u32,
    ) -> Result<Self, FormatError> {
        let bits = incompat & !INCOMPAT_KNOWN;
        if bits != 0 {
            return Err(FormatError::Incompatible { record, bits });
        }
        Ok(if ro_compat & !RO_COMPAT_KNOWN == 0 {
            Self::ReadWrite
        } else {
            Self::ReadOnly
        })
    }
}
