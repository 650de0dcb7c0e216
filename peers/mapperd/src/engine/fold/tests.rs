//! Trees against a map from blocks to what they are made of.

use std::collections::BTreeMap;
use std::rc::Rc;

use archipelago_store::sim::{SimStore, block_on};
use proptest::prelude::*;

use super::*;
use crate::engine::names;
use crate::map::{Shape, Source, Stamp};

type Naive = BTreeMap<u64, BlockMap>;

fn shape() -> Shape {
    Shape::new(16, 12).unwrap()
}

fn birth() -> VolumeId {
    VolumeId::new([7; 16]).unwrap()
}

fn source(stamp: u64) -> Source {
    Source::Born {
        birth: birth(),
        stamp: Stamp::from_bits(stamp),
    }
}

/// Near the edges of pages of all levels that three levels have.
fn block() -> impl Strategy<Value = u64> {
    let edges = [0, 125, 126, 127, 15_875, 15_876, 15_900, 2_000_375];
    (0..edges.len(), 0..3_u64).prop_map(move |(edge, more)| edges[edge] + more)
}

fn map() -> impl Strategy<Value = BlockMap> {
    prop_oneof![
        Just(BlockMap::Zero),
        (1..9_u64).prop_map(|stamp| BlockMap::Object(source(stamp))),
        (1..9_u64, 1..15_u16).prop_map(|(stamp, end)| {
            let mut map = BlockMap::Zero;
            map.assign(shape(), 0..end, Some(source(stamp))).unwrap();
            map
        }),
    ]
}

fn edits() -> impl Strategy<Value = Edits> {
    let blocks = proptest::collection::btree_map(block(), map(), 0..8);
    let zeros = proptest::collection::vec((block(), block()), 0..3);
    (blocks, zeros).prop_map(|(blocks, zeros)| {
        let mut ends: Vec<u64> = zeros
            .into_iter()
            .flat_map(|(one, other)| [one, other])
            .collect();
        ends.sort_unstable();
        ends.dedup();
        Edits {
            blocks: blocks.into_iter().collect(),
            zeros: ends.chunks_exact(2).map(|ends| ends[0]..ends[1]).collect(),
        }
    })
}

fn apply(naive: &mut Naive, edits: &Edits) {
    for zero in &edits.zeros {
        naive.retain(|block, _| !zero.contains(block));
    }
    for (block, map) in &edits.blocks {
        naive.remove(block);
        if *map != BlockMap::Zero {
            naive.insert(*block, map.clone());
        }
    }
}

async fn write(store: &SimStore, new: NewPages) -> u64 {
    use archipelago_store::Store;
    let (objects, next) = new.finish();
    for (number, bytes) in objects {
        let object = names::pages(birth(), number);
        let scope = names::scope(birth());
        store.write(scope, &object, 0, &bytes).await.unwrap();
    }
    next
}

async fn check(pages: &Pages<SimStore>, root: Root, naive: &Naive) {
    let edges = [0, 125, 126, 127, 15_875, 15_876, 15_900, 2_000_375, 1 << 40];
    for block in edges.into_iter().flat_map(|edge| edge..edge + 4) {
        let found = pages.block(root, block, shape()).await.unwrap();
        let wanted = naive.get(&block).cloned().unwrap_or_default();
        assert_eq!(found, wanted, "block {block}");
    }
    let mapped = pages.mapped(root, 0..u64::MAX).await.unwrap();
    assert_eq!(mapped, naive.keys().copied().collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// FOLD-1, FOLD-2: each tree says what was folded into it, and goes on to say so when the next is made of it.
    #[test]
    fn trees_say_what_was_folded_into_them(all in proptest::collection::vec((edits(), 0..4_u8), 1..6)) {
        block_on(async {
            let store = Rc::new(SimStore::new(1));
            let pages = Pages::new(store.clone(), 3);
            let mut trees = vec![(Root::default(), Naive::new())];
            let mut number = 1;
            for (edits, level) in all {
                let (root, mut naive) = trees.last().unwrap().clone();
                // High enough for the last block.
                let level = if edits.touches(&(126..u64::MAX)) { level.max(3) } else { level };
                let mut new = NewPages::new(birth(), number);
                let root = pages.fold(root, level, &edits, &mut new).await.unwrap();
                number = write(&store, new).await;
                apply(&mut naive, &edits);
                trees.push((root, naive));
            }
            for (root, naive) in &trees {
                check(&pages, *root, naive).await;
            }
        });
    }
}
