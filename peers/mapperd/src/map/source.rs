//! Where the bytes of a block or of a sub-block lie: in an object that one volume created once, or in one that is named by
//! what it holds.

use archipelago_protocol::ObjectSource;
use archipelago_store::ObjectName;

use super::{ContentId, Stamp, VolumeId};

/// What names a data object, but for the index of its block: a map never holds the index twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    Born {
        /// The volume that created it.
        birth: VolumeId,
        /// That volume's stamp when it did.
        stamp: Stamp,
    },
    /// It never changes, and is nobody's alone: only the mark of `gc` tells that nobody names it (M7).
    Content(ContentId),
}

impl Source {
    pub fn is_content(self) -> bool {
        matches!(self, Self::Content(_))
    }

    /// The volume that created it, if one did.
    pub fn birth(self) -> Option<VolumeId> {
        match self {
            Self::Born { birth, .. } => Some(birth),
            Self::Content(_) => None,
        }
    }

    /// That volume's stamp when it did.
    pub fn stamp(self) -> Option<Stamp> {
        match self {
            Self::Born { stamp, .. } => Some(stamp),
            Self::Content(_) => None,
        }
    }

    /// As peers say it.
    pub fn to_wire(self) -> ObjectSource {
        match self {
            Self::Born { birth, stamp } => ObjectSource::Born {
                birth: *birth.as_bytes(),
                stamp: stamp.bits(),
            },
            Self::Content(id) => ObjectSource::Content(*id.as_bytes()),
        }
    }
}

/// The object of block `index` (M2).
pub fn object_name(source: Source, index: u64) -> ObjectName {
    let name = source.to_wire().object_name(index);
    ObjectName::new(name.as_bytes()).expect("at most 66 bytes, none of them NUL")
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Born { birth, stamp } => write!(f, "{birth}/{stamp}"),
            Self::Content(id) => write!(f, "content {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_of_a_block_is_named_by_birth_stamp_and_index() {
        let source = Source::Born {
            birth: VolumeId::new([0xab; 16]).unwrap(),
            stamp: Stamp::new(1, 2).unwrap(),
        };
        let name = object_name(source, 0x1f);
        let expected = format!("{}/0000010000000002/000000000000001f", "ab".repeat(16));
        assert_eq!(name.to_string(), expected);
        assert_eq!(name.group(), &name.as_bytes()[..49]);
    }

    #[test]
    fn the_object_of_content_is_named_by_that_alone() {
        let source = Source::Content(ContentId::from_bytes([0xab; 24]));
        assert_eq!(object_name(source, 0), object_name(source, 1));
        assert_eq!(object_name(source, 0).group(), b"content/aba");
    }
}
