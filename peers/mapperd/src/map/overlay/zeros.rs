//! Ranges of zeroed blocks: apart, and not touching (OVER-2).

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of blocks, as ranges.
#[derive(Clone, Debug, Default)]
pub(super) struct Zeros {
    /// The end of each range, by its start.
    ends: BTreeMap<u64, u64>,
}

impl Zeros {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn contains(&self, block: u64) -> bool {
        let before = self.ends.range(..=block).next_back();
        before.is_some_and(|(_, end)| block < *end)
    }

    /// Adds the blocks of a range. Ranges that it swallows were added once each: O(log n) over time.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        if let Some((left, left_end)) = self.ends.range(..=start).next_back()
            && *left_end >= start
        {
            (start, end) = (*left, end.max(*left_end));
        }
        while let Some((right, right_end)) = self.ends.range(start..=end).next() {
            end = end.max(*right_end);
            let right = *right;
            self.ends.remove(&right);
        }
        self.ends.insert(start, end);
    }

    /// The ranges within `range`, cut to it, in order.
    pub fn within(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let before = self.ends.range(..range.start).next_back();
        let inside = self.ends.range(range.start..range.end.max(range.start));
        before
            .into_iter()
            .chain(inside)
            .map(move |(start, end)| (*start).max(range.start)..(*end).min(range.end))
            .filter(|part| !part.is_empty())
    }
}
