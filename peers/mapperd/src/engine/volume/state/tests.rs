//! What shrinking leaves of a block, against a block as a vector of sources.

use proptest::prelude::*;

use super::*;
use crate::engine::tree::Root;
use crate::map::{HeadFlags, Overlay, Shape, Version, VolumeId};

const SUBS: u16 = 16;

fn id() -> VolumeId {
    VolumeId::new([7; 16]).unwrap()
}

fn source(stamp: u64) -> Source {
    Source::Born {
        birth: id(),
        stamp: Stamp::from_bits(stamp),
    }
}

fn state(floor: u64) -> State {
    let shape = Shape::new(16, 12).unwrap();
    let head = Head {
        id: id(),
        version: Version {
            token: 1,
            number: 1,
        },
        shape,
        size_bytes: 1 << 20,
        floor: Stamp::from_bits(floor),
        ceiling: Stamp::from_bits(1 << 20),
        parent: None,
        root: None,
        flags: HeadFlags::default(),
        has_content: false,
        name: "v".into(),
        segments: Vec::new(),
        next_page_number: 0,
        created_seconds: 0,
    };
    let layers = Layers::new(shape, Root::default(), Overlay::new(shape));
    State::new(head, layers, Stamp::from_bits(100))
}

fn waits(state: &State, source: Source) -> bool {
    state.was_displaced_lately(Displaced { block: 0, source })
}

fn map() -> impl Strategy<Value = BlockMap> {
    let runs = proptest::collection::vec((0..SUBS, 1..=SUBS, 0..6_u64), 0..6);
    runs.prop_map(|runs| {
        let mut map = BlockMap::Zero;
        for (from, count, stamp) in runs {
            let range = from..(from + count).min(SUBS);
            let from = (stamp != 0).then(|| source(stamp));
            map.assign(Shape::new(16, 12).unwrap(), range, from)
                .unwrap();
        }
        map
    })
}

proptest! {
    /// SPACE-2: sub-block by sub-block, what anybody has is kept, and the rest is given back.
    #[test]
    fn what_becomes_of_an_object_is_what_nobody_has(
        mine in map(),
        parent in proptest::option::of(map()),
        granted in proptest::collection::vec((1..6_u64, 0..SUBS, 1..4_u16), 0..4),
    ) {
        let granted: Vec<(Source, Range<u16>)> = granted
            .into_iter()
            .map(|(stamp, from, count)| (source(stamp), from..(from + count).min(SUBS)))
            .collect();
        for stamp in 1..6 {
            let of = source(stamp);
            let is_kept = |sub: u16| {
                parent.as_ref().is_some_and(|parent| (0..SUBS).any(|sub| parent.source_at(sub) == Some(of)))
                    || mine.source_at(sub) == Some(of)
                    || granted.iter().any(|(source, range)| *source == of && range.contains(&sub))
            };
            let gone: Vec<u16> = (0..SUBS).filter(|sub| !is_kept(*sub)).collect();
            match fate(of, &mine, parent.as_ref(), &granted, SUBS) {
                Fate::Keep => prop_assert!(gone.is_empty()),
                Fate::Delete => prop_assert_eq!(gone.len(), usize::from(SUBS)),
                Fate::Punch(ranges) => {
                    prop_assert!(gone.len() < usize::from(SUBS));
                    prop_assert_eq!(ranges.into_iter().flatten().collect::<Vec<_>>(), gone);
                }
            }
        }
    }

    /// GRANT-1, GRANT-2, GRANT-3: whatever is given, committed, given up and displaced, in whatever order.
    #[test]
    fn grants_never_overlap_and_never_name_what_may_not_be_written(
        steps in proptest::collection::vec((0..6_u8, 0..SUBS, 1..5_u16), 1..60),
        floor in 0..6_u64,
        start in map(),
    ) {
        let mut state = state(floor);
        let mut map = start;
        let mut live: Vec<(u64, Grant)> = Vec::new();
        let composer = ComposerId(1);
        for (step, from, count) in steps {
            let subs = from..(from + count).min(SUBS);
            match step {
                0..3 => {
                    if state.must_wait(0, &subs) {
                        prop_assert!(live.iter().any(|(_, other)| other.subs.start < subs.end && subs.start < other.subs.end));
                        continue;
                    }
                    let source = match state.target(0, &map) {
                        Target::Own(source) => source,
                        Target::New | Target::NewWhole => {
                            state.next_stamp = state.next_stamp.next().unwrap();
                            Source::Born { birth: id(), stamp: state.last_stamp() }
                        }
                    };
                    prop_assert!(source.stamp() > Some(state.head.floor));
                    prop_assert!(!waits(&state, source));
                    for (_, other) in &live {
                        prop_assert!(other.subs.end <= subs.start || subs.end <= other.subs.start);
                    }
                    let displaces = map
                        .runs(subs.clone())
                        .filter_map(|(_, from)| from)
                        .filter(|from| *from != source)
                        .collect();
                    let grant = Grant { composer, block: 0, subs, source, displaces, is_committing: false };
                    live.push((state.add_grant(grant.clone()), grant));
                }
                3 if !live.is_empty() => {
                    let (number, grant) = live.remove(usize::from(from) % live.len());
                    state.begin_commit(composer, number).unwrap();
                    // What is on its way to the journal is not voided.
                    state.void_grants_where(|other, _| other == number);
                    prop_assert!(state.is_committing());
                    map.assign(state.layers.shape, grant.subs.clone(), Some(grant.source)).unwrap();
                    state.end_commit(number, true);
                    for source in grant.displaces {
                        prop_assert!(waits(&state, source));
                    }
                }
                4 if !live.is_empty() => {
                    let (number, grant) = live.remove(usize::from(from) % live.len());
                    state.void_grants_where(|other, _| other == number);
                    prop_assert_eq!(state.begin_commit(composer, number), Err(MapError::Stale));
                    prop_assert!(waits(&state, grant.source));
                }
                _ => {}
            }
        }
    }
}
