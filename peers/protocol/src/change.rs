//! Ranges of a volume as CHANGED tells them.

use crate::extent::{EXTENT_BYTES, read_words, write_words};
use crate::map::BadMessage;

/// Bytes of a change on the wire: as many as of an extent.
pub const CHANGE_BYTES: usize = EXTENT_BYTES;

/// A range that is all the same as in the snapshot, or of which nobody says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub bytes: u64,
    /// It may read differently than in the snapshot.
    pub is_changed: bool,
}

impl Change {
    const CHANGED: u64 = 1;

    pub fn write(self, to: &mut Vec<u8>) {
        let flags = if self.is_changed { Self::CHANGED } else { 0 };
        write_words([self.bytes, flags], to);
    }

    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, BadMessage> {
        let words = read_words(bytes)?;
        let change = |[bytes, flags]: [u64; 2]| Self {
            bytes,
            // What is not said to be the same is not taken for it.
            is_changed: flags != 0,
        };
        Ok(words.into_iter().map(change).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_survive_the_wire_and_odd_lengths_are_refused() {
        let changes = [(4096, true), (1 << 40, false)]
            .map(|(bytes, is_changed)| Change { bytes, is_changed });
        let mut bytes = Vec::new();
        changes.iter().for_each(|change| change.write(&mut bytes));
        assert_eq!(Change::read_all(&bytes).unwrap(), changes);
        assert!(Change::read_all(&bytes[1..]).is_err());
    }
}
