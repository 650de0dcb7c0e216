//! Block maps against a source for each sub-block, written out.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::map::tests::any;

type Naive = Vec<Option<Source>>;

/// The map whose sub-blocks have these sources, made in one go.
fn map_of(naive: &Naive, shape: Shape) -> Result<BlockMap, TooManySources> {
    let mut map = BlockMap::Zero;
    let runs: Vec<Run> = (0..)
        .zip(naive)
        .map(|(sub, source)| (sub..sub + 1, *source))
        .collect();
    // At most 125 sources at a time, as `assign_all` asks for.
    for chunk in runs.chunks(SOURCES_MAX) {
        map.assign_all(shape, chunk)?;
    }
    Ok(map)
}

fn different(naive: &Naive) -> BTreeSet<Source> {
    naive.iter().flatten().copied().collect()
}

/// BLOCK-1
#[track_caller]
fn assert_is(map: &BlockMap, naive: &Naive, shape: Shape) {
    for (sub, source) in (0..).zip(naive) {
        assert_eq!(map.source_at(sub), *source, "sub-block {sub}");
    }
    assert_eq!(*map, map_of(naive, shape).unwrap(), "one form");
    let sources = map.sources();
    let set: BTreeSet<Source> = sources.iter().copied().collect();
    assert_eq!(set.len(), sources.len(), "each source once");
    assert_eq!(set, different(naive));
    let parts: BTreeSet<_> = naive.iter().collect();
    assert_eq!(matches!(map, BlockMap::Split(_)), parts.len() > 1);
}

fn naive_runs(naive: &Naive, range: Range<u16>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for sub in range {
        let source = naive[usize::from(sub)];
        match runs.last_mut() {
            Some((run, same)) if *same == source => run.end = sub + 1,
            _ => runs.push((sub..sub + 1, source)),
        }
    }
    runs
}

/// A range within the shape from two numbers.
fn range_in(shape: Shape, (a, b): (u16, u16)) -> Range<u16> {
    let (a, b) = (a % (shape.subs() + 1), b % (shape.subs() + 1));
    a.min(b)..a.max(b)
}

proptest! {
    /// BLOCK-1
    #[test]
    fn a_map_says_what_was_assigned_last(
        shape in any::shape(),
        steps in vec(((0..2048_u16, 0..2048_u16), any::few()), 0..20),
        asked: (u16, u16),
    ) {
        let mut map = BlockMap::Zero;
        let mut naive: Naive = vec![None; shape.subs().into()];
        for (range, source) in steps {
            let range = range_in(shape, range);
            naive[usize::from(range.start)..usize::from(range.end)].fill(source);
            map.assign(shape, range, source).unwrap();
        }
        assert_is(&map, &naive, shape);
        let asked = range_in(shape, asked);
        let runs: Vec<Run> = map.runs(asked.clone()).collect();
        prop_assert_eq!(runs, naive_runs(&naive, asked));
    }

    #[test]
    fn assigning_all_is_assigning_one_after_the_other(
        steps in vec(((0..64_u16, 0..64_u16), any::few()), 0..20),
        base in vec(((0..64_u16, 0..64_u16), any::few()), 0..4),
    ) {
        let shape = Shape::new(18, 12).unwrap();
        let mut one = BlockMap::Zero;
        for (range, source) in base {
            one.assign(shape, range_in(shape, range), source).unwrap();
        }
        let mut all = one.clone();
        let steps: Vec<Run> =
            steps.into_iter().map(|(range, source)| (range_in(shape, range), source)).collect();
        all.assign_all(shape, &steps).unwrap();
        for (range, source) in steps {
            one.assign(shape, range, source).unwrap();
        }
        prop_assert_eq!(one, all);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// BLOCK-2
    #[test]
    fn more_than_125_sources_are_refused_and_change_nothing(
        steps in vec((0..1024_u16, 1..10_u16, 0..200_u64), 100..400),
    ) {
        let shape = Shape::new(22, 12).unwrap();
        let mut map = BlockMap::Zero;
        let mut naive: Naive = vec![None; 1024];
        for (from, count, stamp) in steps {
            let range = from..(from + count).min(1024);
            let source = (stamp > 0).then(|| any::source_of(1, stamp));
            let mut wanted = naive.clone();
            wanted[usize::from(range.start)..usize::from(range.end)].fill(source);
            let found = different(&wanted).len();
            let outcome = map.assign(shape, range, source);
            if found <= SOURCES_MAX {
                prop_assert_eq!(outcome, Ok(()));
                naive = wanted;
            } else {
                prop_assert_eq!(outcome, Err(TooManySources { found }));
            }
        }
        assert_is(&map, &naive, shape);
    }
}

/// BLOCK-2: 125 old sources and 125 new ones that replace them.
#[test]
fn as_many_new_sources_as_there_may_be_replace_as_many_old_ones() {
    let shape = Shape::new(22, 12).unwrap();
    let runs = |birth| -> Vec<Run> {
        (0..125_u16)
            .map(|n| (n * 8..n * 8 + 8, Some(any::source_of(birth, n.into()))))
            .collect()
    };
    let mut map = BlockMap::Zero;
    map.assign_all(shape, &runs(1)).unwrap();
    assert_eq!(map.sources().len(), 125);
    map.assign_all(shape, &runs(2)).unwrap();
    assert!(
        map.sources()
            .iter()
            .all(|source| source.birth() == Some(any::volume(2)))
    );
    let more = map.assign(shape, 1000..1001, Some(any::source_of(3, 0)));
    assert_eq!(more, Err(TooManySources { found: 126 }));
}

#[test]
fn a_block_with_one_sub_block_is_never_split() {
    let shape = Shape::new(16, 16).unwrap();
    let mut map = BlockMap::Zero;
    map.assign(shape, 0..1, Some(any::source_of(1, 1))).unwrap();
    assert_eq!(map, BlockMap::Object(any::source_of(1, 1)));
    map.assign(shape, 0..0, None).unwrap();
    assert_eq!(map.runs(0..1).count(), 1);
    map.assign(shape, 0..1, None).unwrap();
    assert_eq!(map, BlockMap::Zero);
}
