//! Which bytes of a payload are meant.

use std::ops::Range;

/// Ranges, in order, none of which touches another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// These too.
    pub fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|one| one.end < range.start);
        let after = self.0.partition_point(|one| one.start <= range.end);
        let touched = &self.0[first..after];
        let start = touched
            .first()
            .map_or(range.start, |one| one.start.min(range.start));
        let end = touched
            .last()
            .map_or(range.end, |one| one.end.max(range.end));
        self.0.splice(first..after, std::iter::once(start..end));
    }

    /// These not.
    pub fn remove(&mut self, range: &Range<u64>) {
        if range.is_empty() {
            return;
        }
        let left = self.0.drain(..).flat_map(|one| {
            let before = one.start..one.end.min(range.start);
            let behind = one.start.max(range.end)..one.end;
            [before, behind]
        });
        self.0 = left.filter(|one| !one.is_empty()).collect();
    }

    /// What of so many bytes is not among them.
    pub fn missing(&self, len: u64) -> Vec<Range<u64>> {
        let mut rest = Self(Vec::new());
        rest.add(0..len);
        for range in &self.0 {
            rest.remove(range);
        }
        rest.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEN: u64 = 40;

    proptest! {
        #[test]
        fn ranges_are_a_set_of_bytes(
            steps in proptest::collection::vec((any::<bool>(), 0..LEN, 0..LEN), 0..20),
        ) {
            let mut ranges = Ranges::default();
            let mut model = vec![false; LEN as usize];
            for (adds, start, end) in steps {
                let range = start..end.max(start);
                model[range.start as usize..range.end as usize].fill(adds);
                match adds {
                    true => ranges.add(range),
                    false => ranges.remove(&range),
                }
                for pair in ranges.0.windows(2) {
                    prop_assert!(pair[0].end < pair[1].start, "{ranges:?}");
                }
                let missing = ranges.missing(LEN);
                let is_missing = |byte: u64| missing.iter().any(|one| one.contains(&byte));
                for (byte, is_in) in (0..).zip(&model) {
                    prop_assert_eq!(is_missing(byte), !is_in);
                }
            }
        }
    }
}
