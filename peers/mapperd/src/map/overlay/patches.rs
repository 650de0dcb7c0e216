//! Changed sub-blocks over an unknown base: runs in order, apart from each other and longest (OVER-1).

use std::collections::BTreeSet;

use crate::map::{Run, SOURCES_MAX, TooManySources};

/// Puts a run, which is not empty, over the others. With more than 125 sources nothing is changed: whatever the base
/// is, there would be no map for the block.
pub(super) fn insert(patches: &mut Vec<Run>, new: &Run) -> Result<(), TooManySources> {
    let (range, source) = new;
    let mut merged: Vec<Run> = Vec::with_capacity(patches.len() + 2);
    let left = patches
        .iter()
        .map(|(old, source)| (old.start..old.end.min(range.start), *source));
    let right = patches
        .iter()
        .map(|(old, source)| (old.start.max(range.end)..old.end, *source));
    let all = left.chain([(range.clone(), *source)]).chain(right);
    for (range, source) in all.filter(|(range, _)| !range.is_empty()) {
        match merged.last_mut() {
            Some((last, same)) if last.end == range.start && *same == source => {
                last.end = range.end;
            }
            _ => merged.push((range, source)),
        }
    }
    let sources: BTreeSet<_> = merged.iter().filter_map(|(_, source)| *source).collect();
    if sources.len() > SOURCES_MAX {
        return Err(TooManySources {
            found: sources.len(),
        });
    }
    *patches = merged;
    Ok(())
}

/// Does nothing of the base show?
pub(super) fn cover(patches: &[Run], subs: u16) -> bool {
    let covered: u16 = patches
        .iter()
        .map(|(range, _)| range.end - range.start)
        .sum();
    covered == subs
}
