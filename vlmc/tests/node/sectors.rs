//! What a volume must say: a number for each sector, and for sectors whose last write was not answered, several.
//!
//! # Invariants
//! * **MODEL-1** What was read once is what the sector says from then on: a write that was not answered is done or not
//!   done, for ever.

use std::collections::BTreeMap;
use std::ops::Range;

pub const SECTOR_BYTES: u64 = 512;
const WORDS: usize = SECTOR_BYTES as usize / 8;

/// A volume as a vector.
#[derive(Clone, Debug, Default)]
pub struct Sectors {
    /// 0 is a sector of zeros.
    values: Vec<u64>,
    /// What else it may say.
    maybe: BTreeMap<usize, Vec<u64>>,
}

/// The bytes of a sector of this number.
pub fn fill(value: u64, into: &mut Vec<u8>) {
    for word in 0..WORDS as u64 {
        let word = match value {
            0 => 0,
            value => value.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(word),
        };
        into.extend(word.to_le_bytes());
    }
}

impl Sectors {
    pub fn new(size: u64) -> Self {
        Self {
            values: vec![0; (size / SECTOR_BYTES) as usize],
            maybe: BTreeMap::new(),
        }
    }

    pub fn size(&self) -> u64 {
        self.values.len() as u64 * SECTOR_BYTES
    }

    pub fn resize(&mut self, size: u64) {
        self.values.resize((size / SECTOR_BYTES) as usize, 0);
        let end = self.values.len();
        self.maybe.retain(|sector, _| *sector < end);
    }

    /// A change is on its way: any sector may say either.
    pub fn begin(&mut self, sectors: Range<usize>, value: u64) {
        for sector in sectors {
            let may = self
                .maybe
                .entry(sector)
                .or_insert_with(|| vec![self.values[sector]]);
            may.push(value);
        }
    }

    pub fn done(&mut self, sectors: Range<usize>, value: u64) {
        for sector in sectors {
            self.values[sector] = value;
            self.maybe.remove(&sector);
        }
    }

    /// Compares what was read from the sector `first` on.
    #[track_caller]
    pub fn check(&mut self, what: &str, first: usize, data: &[u8]) {
        let mut wanted = Vec::with_capacity(SECTOR_BYTES as usize);
        for (sector, found) in (first..).zip(data.chunks_exact(SECTOR_BYTES as usize)) {
            let mut is = |value: u64| {
                wanted.clear();
                fill(value, &mut wanted);
                wanted == found
            };
            match self.maybe.remove(&sector) {
                None => assert!(
                    is(self.values[sector]),
                    "{what}: sector {sector} is {:x?}, not {:x}",
                    &found[..16],
                    self.values[sector]
                ),
                Some(may) => {
                    let found_value = may.iter().copied().find(|value| is(*value));
                    self.values[sector] = found_value.unwrap_or_else(|| {
                        panic!(
                            "{what}: sector {sector} is {:x?}, none of {may:x?}",
                            &found[..16]
                        )
                    });
                }
            }
        }
    }

    /// Of which nobody knows what they say.
    pub fn unknown(&self) -> Vec<usize> {
        self.maybe.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        values.iter().for_each(|value| fill(*value, &mut bytes));
        bytes
    }

    /// MODEL-1
    #[test]
    fn what_was_not_answered_is_either_and_then_stays() {
        let mut sectors = Sectors::new(4096);
        sectors.begin(1..3, 7);
        assert_eq!(sectors.unknown(), [1, 2]);
        sectors.check("x", 0, &bytes(&[0, 7, 0]));
        assert!(sectors.unknown().is_empty());
        let again = std::panic::catch_unwind(move || sectors.check("x", 1, &bytes(&[0])));
        again.unwrap_err();
    }

    #[test]
    fn a_lost_write_is_noticed() {
        let mut sectors = Sectors::new(4096);
        sectors.begin(0..2, 9);
        sectors.done(0..2, 9);
        let lost = std::panic::catch_unwind(move || sectors.check("x", 0, &bytes(&[9, 0])));
        lost.unwrap_err();
    }
}
