//! The map of a block whose sub-blocks have different sources.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{BlockMap, Run, SOURCES_MAX, TooManySources};
use crate::map::Source;

/// A source for each sub-block. Made by `BlockMap` alone, which keeps it in its one form (BLOCK-1).
#[derive(Clone, PartialEq, Eq)]
pub struct Split {
    /// For each sub-block 0 if it is zero, n if it comes from `table[n - 1]`.
    indices: Box<[u8]>,
    table: Vec<Source>,
}

impl Split {
    /// The sub-blocks of the block.
    pub fn subs(&self) -> u16 {
        u16::try_from(self.indices.len()).expect("at most 1024")
    }

    /// The different sources, in the order of first use.
    pub fn table(&self) -> &[Source] {
        &self.table
    }

    /// For each sub-block 0 if it is zero, n if it comes from `table()[n - 1]`.
    pub(in crate::map) fn indices(&self) -> &[u8] {
        &self.indices
    }

    /// The split with these parts, if they are in their one form (BLOCK-1).
    pub(in crate::map) fn from_parts(indices: &[u8], table: Vec<Source>) -> Option<Self> {
        let in_table = |index: &u8| usize::from(*index) <= table.len();
        let different: BTreeSet<&Source> = table.iter().collect();
        if different.len() != table.len() || !indices.iter().all(in_table) {
            return None;
        }
        let split = Self {
            indices: indices.into(),
            table,
        };
        match split.clone().into_map() {
            Ok(BlockMap::Split(normal)) if *normal == split => Some(split),
            _ => None,
        }
    }

    pub(super) fn source_at(&self, sub: u16) -> Option<Source> {
        match self.indices[usize::from(sub)] {
            0 => None,
            index => Some(self.table[usize::from(index) - 1]),
        }
    }

    /// Where the run that begins this range, which is not empty, ends.
    pub(super) fn run_end(&self, range: Range<u16>) -> u16 {
        let indices = &self.indices[usize::from(range.start)..usize::from(range.end)];
        let others = indices.iter().position(|index| *index != indices[0]);
        let run = others.map(|others| u16::try_from(others).expect("at most 1024"));
        run.map_or(range.end, |run| range.start + run)
    }

    /// The map with these assignments done, not in its one form yet.
    pub(super) fn draft(map: &BlockMap, subs: u16, runs: &[Run]) -> Self {
        let mut draft = match map {
            BlockMap::Split(split) => {
                assert_eq!(split.subs(), subs, "the map is of this shape");
                Self::clone(split)
            }
            BlockMap::Zero | BlockMap::Object(_) => Self {
                indices: vec![u8::from(*map != BlockMap::Zero); usize::from(subs)].into(),
                table: map.sources().to_vec(),
            },
        };
        for (range, source) in runs {
            assert!(
                range.start <= range.end && range.end <= subs,
                "{range:?} of {subs}"
            );
            let index = source.map_or(0, |source| draft.index_of(source));
            draft.indices[usize::from(range.start)..usize::from(range.end)].fill(index);
        }
        draft
    }

    fn index_of(&mut self, source: Source) -> u8 {
        let known = self.table.iter().position(|other| *other == source);
        let index = known.unwrap_or_else(|| {
            self.table.push(source);
            self.table.len() - 1
        });
        u8::try_from(index + 1).expect("125 sources that were there and 125 new ones at most")
    }

    /// The map in its one form: sources in the order of first use, and a split only where there is something to split.
    pub(super) fn into_map(self) -> Result<BlockMap, TooManySources> {
        let mut new_index = [0_u8; 256];
        let mut table = Vec::with_capacity(self.table.len());
        let mut indices = self.indices;
        for index in &mut indices {
            let old = usize::from(*index);
            if old != 0 && new_index[old] == 0 {
                table.push(self.table[old - 1]);
                new_index[old] = u8::try_from(table.len()).expect("no more than were in the table");
            }
            *index = new_index[old];
        }
        if table.len() > SOURCES_MAX {
            return Err(TooManySources { found: table.len() });
        }
        Ok(match indices.iter().all(|index| *index == indices[0]) {
            true => BlockMap::whole(table.first().copied()),
            false => BlockMap::Split(Box::new(Self { indices, table })),
        })
    }
}

impl std::fmt::Debug for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let map = BlockMap::Split(Box::new(self.clone()));
        let runs = map.runs(0..self.subs());
        f.debug_list()
            .entries(runs.map(|(range, source)| match source {
                None => format!("{range:?}: zero"),
                Some(source) => format!("{range:?}: {source}"),
            }))
            .finish()
    }
}
