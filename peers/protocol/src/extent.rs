//! Ranges of a volume as BLOCK_STATUS tells them.

use crate::map::BadMessage;

/// Bytes of an extent on the wire.
pub const EXTENT_BYTES: usize = 16;

/// A range that is all of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub bytes: u64,
    /// Nothing is stored for it: it reads as zero and takes no space.
    pub is_hole: bool,
}

impl Extent {
    const HOLE: u64 = 1;
    const ZERO: u64 = 2;

    pub fn write(self, to: &mut Vec<u8>) {
        let flags = if self.is_hole {
            Self::HOLE | Self::ZERO
        } else {
            0
        };
        to.extend_from_slice(&self.bytes.to_le_bytes());
        to.extend_from_slice(&u64::to_le_bytes(flags));
    }

    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, BadMessage> {
        let (chunks, rest) = bytes.as_chunks::<EXTENT_BYTES>();
        if !rest.is_empty() {
            return Err(BadMessage {
                field: "the length of the extents",
                value: bytes.len() as u64,
            });
        }
        let word = |chunk: &[u8; 16], at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&chunk[at..at + 8]);
            u64::from_le_bytes(word)
        };
        Ok(chunks
            .iter()
            .map(|chunk| Self {
                bytes: word(chunk, 0),
                is_hole: word(chunk, 8) & Self::HOLE != 0,
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_survive_the_wire_and_odd_lengths_are_refused() {
        let extents = [
            Extent {
                bytes: 4096,
                is_hole: true,
            },
            Extent {
                bytes: 1 << 40,
                is_hole: false,
            },
        ];
        let mut bytes = Vec::new();
        extents.iter().for_each(|extent| extent.write(&mut bytes));
        assert_eq!(Extent::read_all(&bytes).unwrap(), extents);
        assert!(Extent::read_all(&bytes[1..]).is_err());
    }
}
