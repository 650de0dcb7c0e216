//! Magazines against sets: every index is in one stock, in use by one port, or free.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::name::{Owner, PortId};
use crate::sync::Ordering;

const WORDS: u32 = 40;

/// A magazine, and what the model knows of its port.
struct Holder {
    magazine: Magazine,
    name: Name,
    in_use: HashSet<u32>,
}

fn holder(port: u32, range: std::ops::Range<u32>, refill: usize) -> Holder {
    Holder {
        magazine: Magazine::new(range, refill, port.wrapping_mul(0x9e37_79b1)),
        name: Name {
            port: PortId::new(port).unwrap(),
            generation: 7,
        },
        in_use: HashSet::new(),
    }
}

fn owner_of(word: &AtomicU64) -> Owner {
    Owner::unpack(word.load(Ordering::Relaxed)).unwrap()
}

fn free_count(words: &[AtomicU64]) -> usize {
    let is_free = |word: &&AtomicU64| owner_of(word) == Owner::Free;
    words.iter().filter(is_free).count()
}

#[derive(Clone, Debug)]
enum Step {
    Take(usize),
    /// This holder puts the so-manieth of what it uses back.
    Put(usize, usize),
    Empty(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_usize).prop_map(Step::Take),
        3 => (0..3_usize, 0..40_usize).prop_map(|(holder, nth)| Step::Put(holder, nth)),
        1 => (0..3_usize).prop_map(Step::Empty),
    ];
    prop::collection::vec(step, 0..300)
}

/// MAG-1: what is named in the segment is in the stock or in use, and the counts agree.
fn check(holders: &[Holder], words: &[AtomicU64]) {
    let mut all_in_use = HashSet::new();
    for holder in holders {
        let named: HashSet<u32> = (0..WORDS)
            .filter(|index| owner_of(&words[*index as usize]) == Owner::Owned(holder.name))
            .collect();
        let stock: HashSet<u32> = holder.magazine.stock.iter().copied().collect();
        assert_eq!(stock.len(), holder.magazine.stock.len(), "twice in stock");
        assert!(stock.is_disjoint(&holder.in_use));
        assert_eq!(&named, &(&stock | &holder.in_use));
        assert_eq!(holder.magazine.owned() as usize, named.len());
        assert!(all_in_use.is_disjoint(&holder.in_use), "handed out twice");
        all_in_use.extend(&holder.in_use);
    }
}

proptest! {
    /// MAG-1
    #[test]
    fn no_index_is_handed_out_twice_or_lost(steps in steps(), refill in 1..6_usize) {
        let words: Vec<AtomicU64> = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        let word = |index: u32| &words[index as usize];
        let mut holders: Vec<Holder> = (0..3).map(|port| holder(port, 0..WORDS, refill)).collect();
        for step in steps {
            match step {
                Step::Take(at) => {
                    let Holder { magazine, name, in_use } = &mut holders[at];
                    let had_free = free_count(&words) > 0 || !magazine.stock.is_empty();
                    let taken = magazine.take(*name, word);
                    prop_assert_eq!(taken.is_some(), had_free);
                    prop_assert!(taken.is_none_or(|index| in_use.insert(index)));
                }
                Step::Put(at, nth) => {
                    let Holder { magazine, in_use, .. } = &mut holders[at];
                    let Some(index) = in_use.iter().copied().nth(nth) else { continue };
                    in_use.remove(&index);
                    magazine.put(index, word);
                    prop_assert!(magazine.stock.len() <= refill * 3, "a hoard");
                }
                Step::Empty(at) => holders[at].magazine.empty(word),
            }
            check(&holders, &words);
        }
        for Holder { magazine, in_use, .. } in &mut holders {
            for index in in_use.drain() {
                magazine.put(index, word);
            }
            magazine.empty(word);
            prop_assert_eq!(magazine.owned(), 0);
        }
        prop_assert_eq!(free_count(&words), WORDS as usize);
    }
}

#[test]
fn a_magazine_takes_from_its_own_range_only() {
    let words: Vec<AtomicU64> = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
    let mut holder = holder(3, 10..20, 4);
    let mut taken: Vec<u32> = std::iter::from_fn(|| {
        let word = |index: u32| &words[index as usize];
        holder.magazine.take(holder.name, word)
    })
    .collect();
    taken.sort_unstable();
    assert_eq!(taken, (10..20).collect::<Vec<_>>());
}

#[test]
fn an_empty_range_has_nothing_to_take() {
    let words: Vec<AtomicU64> = Vec::new();
    let mut holder = holder(1, 0..0, 4);
    let word = |index: u32| &words[index as usize];
    assert_eq!(holder.magazine.take(holder.name, word), None);
}

/// MAG-2
#[test]
fn what_is_left_to_others_is_never_taken() {
    for (len, part, expected) in [(40, 8, 35), (40, 1, 1), (7, 8, 6), (2, 8, 1), (1, 8, 1)] {
        let words: Vec<AtomicU64> = (0..len).map(|_| AtomicU64::new(0)).collect();
        let word = |index: u32| &words[index as usize];
        let (mut one, mut other) = (holder(1, 0..len, 4), holder(2, 0..len, 4));
        one.magazine.leave_to_others(part);
        let mut taken: Vec<u32> =
            std::iter::from_fn(|| one.magazine.take(one.name, word)).collect();
        assert_eq!(taken.len(), expected, "of {len}");
        // What was put back and taken again is no more than before.
        taken
            .drain(..)
            .for_each(|index| one.magazine.put(index, word));
        let again = std::iter::from_fn(|| one.magazine.take(one.name, word));
        assert_eq!(again.count(), expected, "of {len}");
        let rest = std::iter::from_fn(|| other.magazine.take(other.name, word));
        assert_eq!(rest.count(), len as usize - expected, "of {len}");
    }
}
