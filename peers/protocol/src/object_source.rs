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
        // Each request needs one: written out by hand, as formatting takes several times as long.
        let mut name = String::with_capacity(NAME_BYTES_MAX);
        match self {
            Self::Born { birth, stamp } => {
                push_digits(&mut name, birth);
                name.push('/');
                push_digits(&mut name, &stamp.to_be_bytes());
                name.push('/');
                push_digits(&mut name, &index.to_be_bytes());
            }
            Self::Content(id) => {
                let mut digits = String::with_capacity(2 * CONTENT_ID_BYTES);
                push_digits(&mut digits, id);
                name.push_str(CONTENT_GROUPS);
                name.push_str(&digits[..3]);
                name.push('/');
                name.push_str(&digits);
            }
        }
        name
    }
}

/// Of what a volume made: three numbers and two slashes.
const NAME_BYTES_MAX: usize = 32 + 1 + 16 + 1 + 16;

fn push_digits(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(half)]));
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
