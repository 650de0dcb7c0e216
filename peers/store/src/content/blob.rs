//! Bytes with holes, in memory.
//!
//! A blob keeps 512-byte sectors: the unit that a disk writes wholly or not at all, and the grain in which the
//! stores in memory count their space. A sector that is not there reads as zeros.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// What a disk writes wholly or not at all.
pub(crate) const SECTOR_BYTES: u64 = 512;

/// One sector's bytes. Shared between copies of a blob.
pub(crate) type Sector = Rc<[u8; SECTOR_BYTES as usize]>;

/// A part of a range that lies within one sector.
struct Piece {
    sector: u64,
    /// Where in the sector, and where in the caller's bytes.
    from: usize,
    at: usize,
    len: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blob {
    size: u64,
    sectors: BTreeMap<u64, Sector>,
}

/// The sectors that hold `offset .. offset + len`. The range was checked not to overflow.
pub(crate) fn sectors_of(offset: u64, len: u64) -> Range<u64> {
    if len == 0 {
        return 0..0;
    }
    offset / SECTOR_BYTES..(offset + len).div_ceil(SECTOR_BYTES)
}

fn pieces(offset: u64, len: u64) -> impl Iterator<Item = Piece> {
    sectors_of(offset, len).map(move |sector| {
        let start = (sector * SECTOR_BYTES).max(offset);
        let end = ((sector + 1) * SECTOR_BYTES).min(offset + len);
        Piece {
            sector,
            from: (start % SECTOR_BYTES) as usize,
            at: (start - offset) as usize,
            len: (end - start) as usize,
        }
    })
}

impl Blob {
    pub fn of(data: &[u8]) -> Self {
        let mut blob = Self::default();
        blob.write(0, data);
        blob
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn allocated(&self) -> u64 {
        self.sectors.len() as u64 * SECTOR_BYTES
    }

    /// Of that, what is no hole.
    pub fn data_in(&self, part: Range<u64>) -> u64 {
        let part = part.start..part.end.min(self.size);
        let sectors = sectors_of(part.start, part.end.saturating_sub(part.start));
        let within = |sector: &u64| {
            let (start, end) = (sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
            end.min(part.end) - start.max(part.start)
        };
        self.sectors
            .range(sectors)
            .map(|(sector, _)| within(sector))
            .sum()
    }

    pub fn read(&self, offset: u64, into: &mut [u8]) -> usize {
        let len = self.size.saturating_sub(offset).min(into.len() as u64);
        for piece in pieces(offset, len) {
            let part = &mut into[piece.at..piece.at + piece.len];
            match self.sectors.get(&piece.sector) {
                Some(sector) => part.copy_from_slice(&sector[piece.from..piece.from + piece.len]),
                None => part.fill(0),
            }
        }
        len as usize
    }

    pub fn write(&mut self, offset: u64, data: &[u8]) {
        for piece in pieces(offset, data.len() as u64) {
            let sector = self.sectors.entry(piece.sector).or_insert_with(zeros);
            Rc::make_mut(sector)[piece.from..piece.from + piece.len]
                .copy_from_slice(&data[piece.at..piece.at + piece.len]);
        }
        if !data.is_empty() {
            self.grow(offset + data.len() as u64);
        }
    }

    /// What writing there would add to `allocated`.
    pub fn missing_bytes(&self, offset: u64, len: u64) -> u64 {
        let range = sectors_of(offset, len);
        let wanted = range.end - range.start;
        (wanted - self.sectors.range(range).count() as u64) * SECTOR_BYTES
    }

    pub fn grow(&mut self, size: u64) {
        self.size = self.size.max(size);
    }

    /// Allocates all before `size`. The caller has looked at what it would take.
    pub fn reserve(&mut self, size: u64) {
        for sector in sectors_of(0, size) {
            self.sectors.entry(sector).or_insert_with(zeros);
        }
        self.grow(size);
    }

    /// Makes the range zero, as far as the blob goes, and gives whole sectors back.
    pub fn punch(&mut self, offset: u64, len: u64) {
        let len = self.size.saturating_sub(offset).min(len);
        let end = offset + len;
        let present: Vec<u64> = self.present_in(offset, len).collect();
        for index in present {
            let start = (index * SECTOR_BYTES).max(offset);
            let stop = ((index + 1) * SECTOR_BYTES).min(end);
            // The last sector goes too when all of it that the blob has is punched.
            let is_whole = start == index * SECTOR_BYTES
                && (stop == (index + 1) * SECTOR_BYTES || stop == self.size);
            if is_whole {
                self.sectors.remove(&index);
            } else if let Some(sector) = self.sectors.get_mut(&index) {
                let from = (start % SECTOR_BYTES) as usize;
                Rc::make_mut(sector)[from..from + (stop - start) as usize].fill(0);
            }
        }
    }

    /// Its first bytes, as a blob of their own.
    pub fn prefix(&self, len: u64) -> Self {
        let mut prefix = self.clone();
        prefix.cut(len);
        prefix
    }

    /// Cuts off what lies beyond `size`, if anything does.
    pub fn cut(&mut self, size: u64) {
        if size >= self.size {
            return;
        }
        self.size = size;
        self.sectors.split_off(&size.div_ceil(SECTOR_BYTES));
        if let Some(sector) = self.sectors.get_mut(&(size / SECTOR_BYTES)) {
            Rc::make_mut(sector)[(size % SECTOR_BYTES) as usize..].fill(0);
        }
    }

    /// Sectors that are there in a range, by index.
    pub fn present_in(&self, offset: u64, len: u64) -> impl Iterator<Item = u64> {
        let range = self.sectors.range(sectors_of(offset, len));
        range.map(|(index, _)| *index)
    }

    /// Sectors that are there, by index.
    pub fn present(&self) -> impl Iterator<Item = u64> {
        self.sectors.keys().copied()
    }

    pub fn sector(&self, index: u64) -> Option<Sector> {
        self.sectors.get(&index).cloned()
    }

    /// Puts a sector as it is elsewhere; the size stays.
    pub fn set_sector(&mut self, index: u64, sector: Option<Sector>) {
        match sector {
            Some(sector) => self.sectors.insert(index, sector),
            None => self.sectors.remove(&index),
        };
    }

    /// BLAKE3 of the content without its trailing zeros.
    pub fn hash(&self) -> [u8; 32] {
        const ZEROS: [u8; SECTOR_BYTES as usize] = [0; SECTOR_BYTES as usize];
        let last = self
            .sectors
            .iter()
            .rfind(|(_, sector)| sector.iter().any(|byte| *byte != 0));
        let Some((last, sector)) = last else {
            return blake3::hash(&[]).into();
        };
        let mut hasher = blake3::Hasher::new();
        for index in 0..*last {
            let sector = self.sectors.get(&index);
            hasher.update(sector.map_or(&ZEROS, |sector| &**sector));
        }
        let used = sector.iter().rposition(|byte| *byte != 0);
        hasher.update(&sector[..used.map_or(0, |at| at + 1)]);
        hasher.finalize().into()
    }
}

fn zeros() -> Sector {
    Rc::new([0; SECTOR_BYTES as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        Grow(u64),
        Punch(u64, u64),
        Cut(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = prop::collection::vec(any::<u8>(), 0..1500);
        prop_oneof![
            (0..4000_u64, bytes).prop_map(|(at, data)| Step::Write(at, data)),
            (0..6000_u64).prop_map(Step::Grow),
            (0..5000_u64, 0..3000_u64).prop_map(|(at, len)| Step::Punch(at, len)),
            (0..5000_u64).prop_map(Step::Cut),
        ]
    }

    fn apply_naively(bytes: &mut Vec<u8>, step: &Step) {
        match step {
            Step::Write(at, data) if !data.is_empty() => {
                let end = *at as usize + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*at as usize..end].copy_from_slice(data);
            }
            Step::Write(..) => {}
            Step::Grow(size) => bytes.resize(bytes.len().max(*size as usize), 0),
            Step::Punch(at, len) => {
                let start = (*at as usize).min(bytes.len());
                let end = (*at + *len).min(bytes.len() as u64) as usize;
                bytes[start..end.max(start)].fill(0);
            }
            Step::Cut(size) => bytes.truncate(*size as usize),
        }
    }

    proptest! {
        #[test]
        fn a_blob_is_a_vector_of_bytes(steps in prop::collection::vec(step(), 0..20)) {
            let (mut blob, mut bytes) = (Blob::default(), Vec::new());
            for step in steps {
                match &step {
                    Step::Write(at, data) => blob.write(*at, data),
                    Step::Grow(size) => blob.grow(*size),
                    Step::Punch(at, len) => blob.punch(*at, *len),
                    Step::Cut(size) => blob.cut(*size),
                }
                apply_naively(&mut bytes, &step);
                let mut read = vec![7; bytes.len() + 9];
                let count = blob.read(0, &mut read);
                prop_assert_eq!(&read[..count], &bytes[..]);
                let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
                prop_assert_eq!(blob.hash(), *blake3::hash(&bytes[..used]).as_bytes());
            }
        }
    }

    #[test]
    fn whole_sectors_are_given_back_by_a_punch() {
        let mut blob = Blob::of(&[1; 2048]);
        blob.punch(100, 1000);
        assert_eq!(blob.allocated(), 3 * SECTOR_BYTES);
        blob.punch(0, u64::MAX >> 1);
        assert_eq!((blob.allocated(), blob.size()), (0, 2048));
    }
}
