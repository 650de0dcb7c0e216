//! What names a data object, but for the index of its block.
//!
//! # Invariants
//! * **NAMED-1** No two sources name one object, whatever the blocks: content lies in a group of its own, whose names do
//!   not depend on blocks, and a volume's objects are named by the volume, its stamp and the block.

use crate::VolumeIdBytes;

/// Bytes of the name of content: as many as an entry of a map has room for.
pub const CONTENT_ID_BYTES: usize = 24;

/// The first part of the groups in which content lies.
pub const CONTENT_GROUPS: &str = "content/";

/// Where the bytes of a block or of a part of it lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectSource {
    /// An object that a volume made once: the volume that created it, and that one's stamp then (M2).
    Born { birth: VolumeIdBytes, stamp: u64 },
    /// An object that is named by what it holds. It never changes.
    Content([u8; CONTENT_ID_BYTES]),
}

impl ObjectSource {
    /// `<birth>/<stamp>/<index>`, in 32, 16 and 16 hexadecimal digits; of content `content/<3 digits>/<48 digits>`, of
    /// which the 3 are the first of the 48: content is listed a small group at a time.
    pub fn object_name(&self, index: u64) -> String {
        match self {
            Self::Born { birth, stamp } => {
                let birth = u128::from_be_bytes(*birth);
                format!("{birth:032x}/{stamp:016x}/{index:016x}")
            }
            Self::Content(id) => {
                let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{CONTENT_GROUPS}{}/{digits}", &digits[..3])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_by_birth_stamp_and_index() {
        let mut birth = [0xab; 16];
        birth[0] = 1;
        let source = ObjectSource::Born {
            birth,
            stamp: 0x10_0000_0000_0002,
        };
        let expected = format!("01{}/0010000000000002/000000000000001f", "ab".repeat(15));
        assert_eq!(source.object_name(0x1f), expected);
    }

    /// NAMED-1
    #[test]
    fn content_is_named_by_itself_whatever_the_block() {
        let source = ObjectSource::Content([0xcd; 24]);
        let expected = format!("content/cdc/{}", "cd".repeat(24));
        assert_eq!(source.object_name(0), expected);
        assert_eq!(source.object_name(7), expected);
    }
}
