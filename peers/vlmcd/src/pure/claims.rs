//! Ranges of a volume that somebody writes to: in place, many at a time, or to a new place, alone.
//!
//! # Invariants
//! * **CLAIM-1** No two claims that were granted overlap, unless both are shared.
//! * **CLAIM-2** Claims that conflict are granted in the order of asking: nobody is overtaken for ever.
//! * **CLAIM-3** A claim waits only while an older one that it conflicts with is there.

use std::collections::BTreeMap;
use std::ops::Range;

/// Names a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimId(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimMode {
    /// Writes in place: their order does not matter.
    Shared,
    /// A write to a new place, or a discard.
    Exclusive,
}

#[derive(Debug)]
struct Claim {
    subs: Range<u64>,
    mode: ClaimMode,
    is_granted: bool,
}

/// Claims on ranges of sub-blocks, counted from the volume's first.
#[derive(Debug, Default)]
pub struct Claims {
    claims: BTreeMap<ClaimId, Claim>,
    next: u64,
    /// How many are exclusive: with none, nobody waits.
    exclusive: usize,
}

impl Claims {
    /// Asks for a range. It may be granted at once: see `is_granted`.
    pub fn ask(&mut self, subs: Range<u64>, mode: ClaimMode) -> ClaimId {
        let id = ClaimId(self.next);
        self.next += 1;
        let is_free = mode == ClaimMode::Shared && self.exclusive == 0;
        let is_granted = is_free || !self.is_blocked(id, &subs, mode);
        self.exclusive += usize::from(mode == ClaimMode::Exclusive);
        let claim = Claim {
            subs,
            mode,
            is_granted,
        };
        self.claims.insert(id, claim);
        id
    }

    /// Does an older claim stand in the way (CLAIM-3)?
    fn is_blocked(&self, id: ClaimId, subs: &Range<u64>, mode: ClaimMode) -> bool {
        self.claims.range(..id).any(|(_, older)| {
            let is_exclusive = mode == ClaimMode::Exclusive || older.mode == ClaimMode::Exclusive;
            is_exclusive && older.subs.start < subs.end && subs.start < older.subs.end
        })
    }

    /// May its owner go on? Who waits asks again whenever a claim was given back.
    pub fn is_granted(&mut self, id: ClaimId) -> bool {
        let Some(claim) = self.claims.get(&id) else {
            return false;
        };
        if claim.is_granted {
            return true;
        }
        let is_granted = !self.is_blocked(id, &claim.subs, claim.mode);
        if let Some(claim) = self.claims.get_mut(&id) {
            claim.is_granted = is_granted;
        }
        is_granted
    }

    /// It is given back, or given up. Tells whether somebody may have waited for that.
    pub fn release(&mut self, id: ClaimId) -> bool {
        let Some(claim) = self.claims.remove(&id) else {
            return false;
        };
        let had_exclusive = self.exclusive > 0;
        self.exclusive -= usize::from(claim.mode == ClaimMode::Exclusive);
        had_exclusive && !self.claims.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All claims, oldest first, each with a place for every sub-block.
    #[derive(Default)]
    struct Naive(Vec<(ClaimId, [bool; 16], bool)>);

    impl Naive {
        fn may_go_on(&self, place: usize) -> bool {
            let (_, subs, exclusive) = &self.0[place];
            self.0[..place].iter().all(|(_, older, also)| {
                let overlaps = subs.iter().zip(older).any(|(one, other)| *one && *other);
                !overlaps || !(*exclusive || *also)
            })
        }
    }

    proptest! {
        /// CLAIM-1, CLAIM-2, CLAIM-3
        #[test]
        fn claims_are_a_queue_for_each_sub_block(
            steps in proptest::collection::vec((0..3_u8, 0..15_u64, 1..8_u64, any::<bool>(), any::<usize>()), 0..60)
        ) {
            let mut claims = Claims::default();
            let mut naive = Naive::default();
            for (kind, start, len, exclusive, choice) in steps {
                if kind < 2 {
                    let subs = start..(start + len).min(16);
                    let mode = if exclusive { ClaimMode::Exclusive } else { ClaimMode::Shared };
                    let mut places = [false; 16];
                    subs.clone().for_each(|sub| places[sub as usize] = true);
                    naive.0.push((claims.ask(subs, mode), places, exclusive));
                } else if !naive.0.is_empty() {
                    let (id, ..) = naive.0.remove(choice % naive.0.len());
                    let waited = (0..naive.0.len()).any(|place| !claims.claims[&naive.0[place].0].is_granted);
                    let told = claims.release(id);
                    prop_assert!(told || !waited);
                }
                for place in 0..naive.0.len() {
                    prop_assert_eq!(claims.is_granted(naive.0[place].0), naive.may_go_on(place));
                }
                prop_assert_eq!(claims.is_empty(), naive.0.is_empty());
            }
        }
    }
}
