//! Metadata contexts: what a block status may be about.
//!
//! ```text
//! base:allocation                      what is stored, and what is a hole: every export has it
//! archipelago:changed-since:SNAPSHOT   what may differ from the snapshot: exports that can tell have it
//! ```
//! A client gives them numbers by selecting them; the numbers hold for the rest of the connection.

use archipelago_front::DiskName;

use crate::wire::{BASE_ALLOCATION, CHANGED_SINCE};

/// What a context tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ContextKind {
    Allocation,
    ChangedSince(DiskName),
}

/// A context that a client selected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetaContext {
    /// Its number on the wire.
    pub number: u32,
    pub kind: ContextKind,
}

impl ContextKind {
    /// What a client means by its full name. Anything else is somebody else's context, or none.
    pub fn by_name(name: &[u8]) -> Option<Self> {
        if name == BASE_ALLOCATION.as_bytes() {
            return Some(Self::Allocation);
        }
        let snapshot = name.strip_prefix(CHANGED_SINCE.as_bytes())?;
        let snapshot = DiskName::parse(snapshot).ok()?;
        (!snapshot.as_str().is_empty()).then_some(Self::ChangedSince(snapshot))
    }

    pub fn name(&self) -> String {
        match self {
            Self::Allocation => BASE_ALLOCATION.to_owned(),
            Self::ChangedSince(snapshot) => format!("{CHANGED_SINCE}{snapshot}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_known_by_their_full_names_only() {
        let snapshot = || "monday".parse().unwrap();
        let changed = ContextKind::ChangedSince(snapshot());
        for kind in [ContextKind::Allocation, changed] {
            assert_eq!(ContextKind::by_name(kind.name().as_bytes()), Some(kind));
        }
        for name in [
            "",
            "base:",
            "base:allocation ",
            "archipelago:changed-since:",
            "archipelago:changed-since:a/b",
            "qemu:dirty-bitmap:b",
        ] {
            assert_eq!(ContextKind::by_name(name.as_bytes()), None, "{name:?}");
        }
    }
}
