//! What one block is made of: zero, one object, or a source for each sub-block (M4).
//!
//! # Invariants
//! * **BLOCK-1** A map has one form: a split has at least two different parts (zero counts as one), its table holds each
//!   source that is used once, in the order of first use, and no other. So equal contents are equal values.
//! * **BLOCK-2** A block has at most 125 sources: as many as a split page holds. An assignment that would leave more
//!   changes nothing.

use std::ops::Range;

use super::{Shape, Source};

mod split;
#[cfg(test)]
mod tests;

pub use split::Split;

/// The most objects that one block is made of.
pub const SOURCES_MAX: usize = 125;

/// Sub-blocks side by side with the same source; none is zero.
pub type Run = (Range<u16>, Option<Source>);

/// What one block is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BlockMap {
    #[default]
    Zero,
    /// All of it.
    Object(Source),
    Split(Box<Split>),
}

/// A block would be made of more objects than a map can say: it is to be compacted into a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the block would have {found} sources, 125 are the most: compact it into a new object")]
pub struct TooManySources {
    pub found: usize,
}

impl BlockMap {
    /// The map of a block that comes from one source, or is zero.
    pub fn whole(source: Option<Source>) -> Self {
        source.map_or(Self::Zero, Self::Object)
    }

    /// Where this sub-block comes from: none is zero. A split block has no sub-block beyond its shape's.
    pub fn source_at(&self, sub: u16) -> Option<Source> {
        match self {
            Self::Zero => None,
            Self::Object(source) => Some(*source),
            Self::Split(split) => split.source_at(sub),
        }
    }

    /// The sub-blocks of this range in longest runs of the same source, in order.
    pub fn runs(&self, range: Range<u16>) -> Runs<'_> {
        Runs {
            map: self,
            rest: range,
        }
    }

    /// Each source once.
    pub fn sources(&self) -> &[Source] {
        match self {
            Self::Zero => &[],
            Self::Object(source) => std::slice::from_ref(source),
            Self::Split(split) => split.table(),
        }
    }

    /// From now on these sub-blocks come from `source`, or are zero.
    ///
    /// # Panics
    /// If the range is not one of the shape's, or the map is not of this shape.
    pub fn assign(
        &mut self,
        shape: Shape,
        range: Range<u16>,
        source: Option<Source>,
    ) -> Result<(), TooManySources> {
        self.assign_all(shape, &[(range, source)])
    }

    /// All of these assignments, in order, or none. At most 125 different sources. Panics like `assign`.
    pub fn assign_all(&mut self, shape: Shape, runs: &[Run]) -> Result<(), TooManySources> {
        let subs = shape.subs();
        if let [(range, source)] = runs
            && *range == (0..subs)
        {
            *self = Self::whole(*source);
            return Ok(());
        }
        *self = Split::draft(self, subs, runs).into_map()?;
        Ok(())
    }
}

/// The longest runs of a range, in order.
#[derive(Clone, Debug)]
pub struct Runs<'a> {
    map: &'a BlockMap,
    rest: Range<u16>,
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        if self.rest.is_empty() {
            return None;
        }
        let start = self.rest.start;
        let end = match self.map {
            BlockMap::Zero | BlockMap::Object(_) => self.rest.end,
            BlockMap::Split(split) => split.run_end(self.rest.clone()),
        };
        self.rest.start = end;
        Some((start..end, self.map.source_at(start)))
    }
}
