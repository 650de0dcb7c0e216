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
        write_words([self.bytes, flags], to);
    }

    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, BadMessage> {
        let words = read_words(bytes)?;
        let extent = |[bytes, flags]: [u64; 2]| Self {
            bytes,
            is_hole: flags & Self::HOLE != 0,
        };
        Ok(words.into_iter().map(extent).collect())
    }
}

/// A length and its flags.
pub(crate) fn write_words(words: [u64; 2], to: &mut Vec<u8>) {
    words
        .iter()
        .for_each(|word| to.extend_from_slice(&word.to_le_bytes()));
}

pub(crate) fn read_words(bytes: &[u8]) -> Result<Vec<[u64; 2]>, BadMessage> {
    let (words, rest) = bytes.as_chunks::<8>();
    let (pairs, odd) = words.as_chunks::<2>();
    if !rest.is_empty() || !odd.is_empty() {
        return Err(BadMessage {
            field: "the length of the extents",
            value: bytes.len() as u64,
        });
    }
    let pair = |pair: &[[u8; 8]; 2]| pair.map(u64::from_le_bytes);
    Ok(pairs.iter().map(pair).collect())
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
