//! Feature bits (M9): what a build may do with a record that has features which it does not know.
//!
//! One feature is known, an incompat one: *content*. A page has its bit iff one of its entries or sources is content, a
//! head iff its tree may have such pages.
//!
//! # Invariants
//! * **FEATURE-1** An unknown incompat bit refuses the record, an unknown ro-compat bit makes what it belongs to
//!   read-only, an unknown compat bit changes nothing. Whoever rewrites a record drops the compat bits that it does
//!   not know: a feature whose data must not be dropped so is not a compat one.

use super::error::{BadField, FormatError};

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
/// Incompat: objects that are named by what they hold.
pub(super) const CONTENT: u32 = 1;
const INCOMPAT_KNOWN: u32 = CONTENT;

/// The incompat bits of a record.
pub(super) fn incompat_bits(has_content: bool) -> u32 {
    if has_content { CONTENT } else { 0 }
}

/// The bits of a record that was read must be those that it would be written with.
pub(super) fn check_incompat(
    record: &'static str,
    bits: u32,
    has_content: bool,
) -> Result<(), FormatError> {
    if bits == incompat_bits(has_content) {
        return Ok(());
    }
    let (field, value) = ("incompat", bits.into());
    let want = "bit 1 where there is content, and only there";
    Err(FormatError::Field(BadField {
        record,
        field,
        value,
        want,
    }))
}

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
