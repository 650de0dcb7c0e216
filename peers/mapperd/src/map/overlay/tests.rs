//! Overlays against every sub-block of a small volume, written out, over any base.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::map::Stamp;
use crate::map::tests::any;

const BLOCKS: u64 = 24;
const SUBS: u16 = 16;

fn shape() -> Shape {
    Shape::new(16, 12).unwrap()
}

/// What a block's sub-blocks come from.
type NaiveBlock = Vec<Option<Source>>;

/// For each block its base with all changes done, and the sub-blocks that were changed.
#[derive(Clone)]
struct Naive {
    subs: Vec<NaiveBlock>,
    changed: Vec<Vec<bool>>,
}

impl Naive {
    fn new(base: &[BlockMap]) -> Self {
        let subs = |map: &BlockMap| (0..SUBS).map(|sub| map.source_at(sub)).collect();
        Self {
            subs: base.iter().map(subs).collect(),
            changed: vec![vec![false; SUBS.into()]; base.len()],
        }
    }

    fn set(&mut self, block: u64, subs: Range<u16>, source: Option<Source>) {
        let Some(of_block) = self.subs.get_mut(block as usize) else {
            return;
        };
        for sub in subs {
            of_block[usize::from(sub)] = source;
            self.changed[block as usize][usize::from(sub)] = true;
        }
    }

    fn apply(&mut self, record: &Record) {
        match *record {
            Record::Assign {
                block,
                from,
                count,
                source,
            } => {
                self.set(block, from..from + count, source);
            }
            Record::Zero { first_block, count } => {
                for block in first_block..first_block + count {
                    self.set(block, 0..SUBS, None);
                }
            }
            Record::Size { bytes } => {
                for block in shape().blocks(bytes)..BLOCKS {
                    self.set(block, 0..SUBS, None);
                }
            }
            _ => {}
        }
    }

    fn map(&self, block: u64) -> BlockMap {
        let mut map = BlockMap::Zero;
        for (sub, source) in (0..).zip(&self.subs[block as usize]) {
            map.assign(shape(), sub..sub + 1, *source).unwrap();
        }
        map
    }

    fn is_changed(&self, block: u64) -> bool {
        self.changed[block as usize].contains(&true)
    }

    fn is_known(&self, block: u64) -> bool {
        !self.changed[block as usize].contains(&false)
    }
}

fn record() -> impl Strategy<Value = Record> {
    let range = (0..SUBS).prop_flat_map(|from| (Just(from), 1..=SUBS - from));
    let range = prop_oneof![3 => range, 1 => Just((0, SUBS))];
    let assign = (0..BLOCKS, range, any::few());
    let zero = (0..BLOCKS).prop_flat_map(|first| (Just(first), 1..=BLOCKS - first));
    prop_oneof![
        8 => assign.prop_map(|(block, (from, count), source)| {
            Record::Assign { block, from, count, source }
        }),
        2 => zero.prop_map(|(first_block, count)| Record::Zero { first_block, count }),
        1 => (0..=BLOCKS << 16).prop_map(|bytes| Record::Size { bytes }),
        1 => Just(Record::Barrier),
        1 => Just(Record::Floor { floor: Stamp::ZERO }),
    ]
}

fn base_map() -> impl Strategy<Value = BlockMap> {
    let assigns = vec((0..SUBS, 1..=SUBS, any::few()), 0..4);
    (any::few(), assigns).prop_map(|(whole, assigns)| {
        let mut map = BlockMap::whole(whole);
        for (from, count, source) in assigns {
            map.assign(shape(), from..(from + count).min(SUBS), source)
                .unwrap();
        }
        map
    })
}

fn base() -> impl Strategy<Value = Vec<BlockMap>> {
    vec(base_map(), BLOCKS as usize)
}

fn of_records(records: &[Record]) -> Overlay {
    let mut overlay = Overlay::new(shape());
    for record in records {
        overlay.apply(record).unwrap();
    }
    overlay
}

/// OVER-1, OVER-2
#[track_caller]
fn assert_is(overlay: &Overlay, naive: &Naive, base: &[BlockMap]) {
    for block in 0..BLOCKS {
        let base = base[block as usize].clone();
        assert_eq!(
            overlay.merge(block, base).unwrap(),
            naive.map(block),
            "block {block}"
        );
        match overlay.lookup(block) {
            OverlayAnswer::Known(map) => {
                assert!(naive.is_known(block));
                let is_kept = overlay.blocks.contains_key(&block);
                assert_ne!(*map == BlockMap::Zero, is_kept, "zero is kept in ranges");
            }
            OverlayAnswer::Patches(patches) => {
                assert!(naive.is_changed(block) && !naive.is_known(block));
                assert!(!overlay.zeros.contains(block));
                for pair in patches.windows(2) {
                    let [(left, one), (right, other)] = pair else {
                        unreachable!()
                    };
                    assert!(left.end < right.start || (left.end == right.start && one != other));
                }
            }
            OverlayAnswer::Nothing => assert!(!naive.is_changed(block)),
        }
    }
    let ranges: Vec<_> = overlay.zeros.within(0..BLOCKS_MAX).collect();
    assert!(
        ranges.windows(2).all(|pair| pair[0].end < pair[1].start),
        "{ranges:?}"
    );
    assert_eq!(overlay.len(), ranges.len() + overlay.blocks.len());
    assert_eq!(
        overlay.is_empty(),
        overlay.items(0..BLOCKS_MAX).next().is_none()
    );
}

/// What the items say, block by block.
fn listed(overlay: &Overlay, range: Range<u64>) -> Vec<(u64, Option<BlockMap>)> {
    let mut all = Vec::new();
    for item in overlay.items(range) {
        match item {
            OverlayItem::Zero(range) => {
                assert!(!range.is_empty());
                all.extend(range.map(|block| (block, Some(BlockMap::Zero))));
            }
            OverlayItem::Block(block, map) => all.push((block, Some(map.clone()))),
            OverlayItem::Patches(block, patches) => {
                assert_eq!(overlay.lookup(block), OverlayAnswer::Patches(patches));
                all.push((block, None));
            }
        }
    }
    all
}

proptest! {
    /// OVER-1, OVER-2
    #[test]
    fn an_overlay_says_what_the_records_did_to_any_base(
        base in base(),
        records in vec(record(), 0..60),
    ) {
        let mut naive = Naive::new(&base);
        for record in &records {
            naive.apply(record);
        }
        assert_is(&of_records(&records), &naive, &base);
    }

    #[test]
    fn the_items_are_all_changes_in_the_order_of_blocks(
        records in vec(record(), 0..60),
        from in 0..=BLOCKS,
        to in 0..=BLOCKS,
    ) {
        let overlay = of_records(&records);
        let expected: Vec<_> = (from..to)
            .filter_map(|block| match overlay.lookup(block) {
                OverlayAnswer::Known(map) => Some((block, Some(map.clone()))),
                OverlayAnswer::Patches(_) => Some((block, None)),
                OverlayAnswer::Nothing => None,
            })
            .collect();
        prop_assert_eq!(listed(&overlay, from..to), expected);
    }

    /// A checkpoint takes one overlay away while the next one fills: both together say the same as one.
    #[test]
    fn one_overlay_over_another_says_the_same_as_one_alone(
        base in base(),
        records in vec(record(), 0..60),
        cut: prop::sample::Index,
    ) {
        let cut = cut.index(records.len() + 1);
        let (older, newer) = (of_records(&records[..cut]), of_records(&records[cut..]));
        let whole = of_records(&records);
        for (block, base) in (0..).zip(base) {
            let below = older.merge(block, base.clone()).unwrap();
            prop_assert_eq!(newer.merge(block, below), whole.merge(block, base));
        }
    }
}

/// F45: what lay beyond the end must not come back.
#[test]
fn a_volume_that_shrinks_and_grows_again_is_zero_where_it_was_cut() {
    let overlay = of_records(&[
        Record::Size { bytes: 5 << 16 },
        Record::Size { bytes: 9 << 16 },
    ]);
    let old = BlockMap::Object(any::source_of(1, 1));
    assert_eq!(overlay.merge(4, old.clone()), Ok(old.clone()));
    assert_eq!(overlay.merge(5, old), Ok(BlockMap::Zero));
    assert_eq!(overlay.len(), 1);
    let mut truncated = Overlay::new(shape());
    truncated.truncate(BLOCKS_MAX);
    assert!(truncated.is_empty());
}

#[test]
fn zeroing_a_petabyte_is_one_entry() {
    let mut overlay = Overlay::new(shape());
    let blocks = shape().blocks(1 << 50);
    for block in 0..1000 {
        let source = Some(any::source_of(1, block));
        let assign = Record::Assign {
            block: block * 7,
            from: 0,
            count: 1,
            source,
        };
        overlay.apply(&assign).unwrap();
    }
    assert_eq!(overlay.len(), 1000);
    overlay
        .apply(&Record::Zero {
            first_block: 0,
            count: blocks,
        })
        .unwrap();
    assert_eq!(overlay.len(), 1);
    assert_eq!(
        overlay.items(0..BLOCKS_MAX).collect::<Vec<_>>(),
        [OverlayItem::Zero(0..blocks)]
    );
}

/// OVER-3, BLOCK-2
#[test]
fn a_record_that_cannot_be_applied_changes_nothing() {
    let assign = |from: u16, stamp: u64| Record::Assign {
        block: 3,
        from,
        count: 1,
        source: Some(any::source_of(1, stamp)),
    };
    let shape = Shape::new(22, 12).unwrap();
    for known_block in [false, true] {
        let mut overlay = Overlay::new(shape);
        if known_block {
            overlay
                .apply(&Record::Zero {
                    first_block: 3,
                    count: 1,
                })
                .unwrap();
        }
        for n in 0..125 {
            overlay.apply(&assign(n * 2, n.into())).unwrap();
        }
        let before = overlay.clone();
        let refused = overlay.apply(&assign(1000, 125));
        let problem = TooManySources { found: 126 };
        assert_eq!(refused, Err(OverlayError::Sources { block: 3, problem }));
        assert_eq!(
            overlay.merge(3, BlockMap::Zero),
            before.merge(3, BlockMap::Zero)
        );
        let beyond = overlay.apply(&assign(1024, 1)).unwrap_err().to_string();
        assert!(beyond.contains("sub-blocks 1024"), "{beyond}");
        let far = Record::Assign {
            block: BLOCKS_MAX,
            from: 0,
            count: 1,
            source: None,
        };
        assert!(matches!(
            overlay.apply(&far),
            Err(OverlayError::Subs { .. })
        ));
        let far = Record::Zero {
            first_block: u64::MAX,
            count: 2,
        };
        assert!(matches!(
            overlay.apply(&far),
            Err(OverlayError::Blocks { .. })
        ));
        let nothing = Record::Assign {
            block: 9,
            from: 0,
            count: 0,
            source: None,
        };
        overlay.apply(&nothing).unwrap();
        assert_eq!(overlay.len(), before.len());
    }
}

/// Patches that fit alone may not fit over a base: whoever merges hears of it.
#[test]
fn patches_over_a_base_of_other_sources_may_be_too_many() {
    let shape = Shape::new(22, 12).unwrap();
    let mut overlay = Overlay::new(shape);
    let mut base = BlockMap::Zero;
    for n in 0..125_u16 {
        let source = |birth| Some(any::source_of(birth, n.into()));
        let record = Record::Assign {
            block: 0,
            from: n,
            count: 1,
            source: source(1),
        };
        overlay.apply(&record).unwrap();
        base.assign(shape, 500 + n..501 + n, source(2)).unwrap();
    }
    assert_eq!(overlay.merge(0, base), Err(TooManySources { found: 250 }));
}
