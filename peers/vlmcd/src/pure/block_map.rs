//! What one block is made of: runs of sub-blocks that come from one object each. What no run names is zero.
//!
//! # Invariants
//! * **BMAP-1** Runs are sorted, do not overlap, are within the block and not empty; neighbours of one source are one run.
//! * **BMAP-2** A map that is read, changed and cut into parts says of each sub-block what an array of sources would say.

use std::ops::Range;

use archipelago_protocol::{BadMessage, Run as WireRun};

use super::source::Source;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    subs: Range<u16>,
    source: Source,
}

/// The sources of a block's sub-blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockMap {
    runs: Vec<Run>,
}

impl BlockMap {
    /// From the runs of one block, in any order.
    pub fn from_wire(runs: &[WireRun], subs: u16) -> Result<Self, BadMessage> {
        let mut sorted: Vec<&WireRun> = runs.iter().collect();
        sorted.sort_unstable_by_key(|run| run.from);
        let mut map = Self::default();
        let mut last = 0;
        for run in sorted {
            let end = run.from.checked_add(run.count).filter(|end| *end <= subs);
            let end = end.filter(|_| run.from >= last && run.count > 0);
            let Some(end) = end else {
                return Err(BadMessage {
                    field: "the place of a run",
                    value: run.from.into(),
                });
            };
            last = end;
            map.push(run.from..end, run.source);
        }
        Ok(map)
    }

    /// Behind all others (BMAP-1).
    fn push(&mut self, subs: Range<u16>, source: Source) {
        if subs.is_empty() {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if last.subs.end == subs.start && last.source == source => {
                last.subs.end = subs.end;
            }
            _ => self.runs.push(Run { subs, source }),
        }
    }

    /// How many runs it has: what it takes of memory.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// The sub-blocks of the range, in parts of one source each; `None` is zero.
    pub fn parts(&self, subs: Range<u16>) -> impl Iterator<Item = (Range<u16>, Option<Source>)> {
        let mut next = self.runs.partition_point(|run| run.subs.end <= subs.start);
        let mut at = subs.start;
        std::iter::from_fn(move || {
            if at >= subs.end {
                return None;
            }
            let start = at;
            let source = match self.runs.get(next) {
                Some(run) if run.subs.start <= at => {
                    at = run.subs.end;
                    next += 1;
                    Some(run.source)
                }
                Some(run) => {
                    at = run.subs.start;
                    None
                }
                None => {
                    at = subs.end;
                    None
                }
            };
            at = at.min(subs.end);
            Some((start..at, source))
        })
    }

    /// The sub-blocks come from there now.
    pub fn assign(&mut self, subs: Range<u16>, source: Source) {
        let mut changed = Self::default();
        let old = std::mem::take(self);
        for run in &old.runs {
            let before = run.subs.start..run.subs.end.min(subs.start);
            changed.push(before, run.source);
        }
        changed.push(subs.clone(), source);
        for run in &old.runs {
            let behind = run.subs.start.max(subs.end)..run.subs.end;
            changed.push(behind, run.source);
        }
        *self = changed;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUBS: u16 = 24;

    fn source(stamp: u64) -> Source {
        Source::Born {
            birth: [7; 16],
            stamp,
        }
    }

    fn wire(naive: &[Option<Source>]) -> Vec<WireRun> {
        let all = naive.iter().enumerate();
        all.filter_map(|(sub, source)| {
            source.map(|source| WireRun {
                block: 0,
                from: sub as u16,
                count: 1,
                source,
            })
        })
        .collect()
    }

    fn flat(map: &BlockMap, subs: Range<u16>) -> Vec<Option<Source>> {
        let parts = map.parts(subs);
        parts
            .flat_map(|(subs, source)| subs.map(move |_| source))
            .collect()
    }

    fn is_tidy(map: &BlockMap) -> bool {
        let is_whole = map.runs.iter().all(|run| !run.subs.is_empty());
        is_whole
            && map.runs.windows(2).all(|pair| {
                let (one, other) = (&pair[0], &pair[1]);
                one.subs.end < other.subs.start
                    || (one.subs.end == other.subs.start && one.source != other.source)
            })
    }

    proptest! {
        /// BMAP-1, BMAP-2
        #[test]
        fn a_map_is_an_array_of_sources(
            first in proptest::collection::vec(proptest::option::of(0..3_u64), SUBS as usize),
            changes in proptest::collection::vec((0..SUBS, 1..SUBS, 0..4_u64), 0..8),
            cut in (0..SUBS, 0..=SUBS),
        ) {
            let mut naive: Vec<Option<Source>> = first.into_iter().map(|one| one.map(source)).collect();
            let mut runs = wire(&naive);
            runs.reverse();
            let mut map = BlockMap::from_wire(&runs, SUBS).unwrap();
            for (from, count, stamp) in changes {
                let end = (from + count).min(SUBS);
                map.assign(from..end, source(stamp));
                naive[usize::from(from)..usize::from(end)].fill(Some(source(stamp)));
            }
            prop_assert!(is_tidy(&map));
            prop_assert_eq!(flat(&map, 0..SUBS), naive.clone());
            let cut = cut.0..cut.1.max(cut.0);
            let expected = naive[usize::from(cut.start)..usize::from(cut.end)].to_vec();
            prop_assert_eq!(flat(&map, cut.clone()), expected);
            for pair in map.parts(cut.clone()).collect::<Vec<_>>().windows(2) {
                prop_assert!(pair[0].1 != pair[1].1 && pair[0].0.end == pair[1].0.start);
            }
        }
    }

    #[test]
    fn runs_that_overlap_or_leave_the_block_are_refused() {
        let run = |from, count| WireRun {
            block: 0,
            from,
            count,
            source: source(1),
        };
        assert!(BlockMap::from_wire(&[run(0, 4), run(3, 1)], 16).is_err());
        assert!(BlockMap::from_wire(&[run(15, 2)], 16).is_err());
        assert!(BlockMap::from_wire(&[run(u16::MAX, 2)], 16).is_err());
        assert!(BlockMap::from_wire(&[run(4, 4), run(0, 4)], 16).is_ok());
    }
}
