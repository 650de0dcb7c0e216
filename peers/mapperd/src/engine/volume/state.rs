//! What an open volume knows: decisions on it are taken here, without I/O.
//!
//! # Invariants
//! * **GRANT-1** No two grants name the same sub-block; a grant that was voided is never committed.
//! * **GRANT-2** A granted object is this volume's own and above the floor, or new (M2).
//! * **GRANT-4** A grant displaces nothing that may be written in place: whoever writes there, by what he was told, would write
//!   to what is copied, or forgotten.
//! * **GRANT-5** While a composer may be writing by a grant of our predecessor no other one is given a grant.
//! * **GRANT-3** An object of which a part waits to be given back, or is being given back, is not granted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::adopting::Adoption;
use crate::engine::error::MapError;
use crate::engine::layers::Layers;
use crate::engine::load::apply_to_head;
use crate::engine::world::ComposerId;
use crate::map::journal::Record;
use crate::map::{BlockMap, Head, SOURCES_MAX, Source, Stamp};

#[cfg(test)]
mod tests;

/// The right to write sub-blocks of a block to an object, until it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub composer: ComposerId,
    pub block: u64,
    pub subs: Range<u16>,
    pub source: Source,
    /// What these sub-blocks come from as yet.
    pub displaces: BTreeSet<Source>,
    /// Its record is on the way to the journal: it is not voided any more (GRANT-1).
    pub is_committing: bool,
}

/// What was displaced, and may be given back once that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Displaced {
    pub block: u64,
    pub source: Source,
}

#[derive(Debug)]
pub struct State {
    /// As it would be published now, but for root and segments.
    pub head: Head,
    pub layers: Layers,
    /// Raised when something that was said may no longer hold.
    pub epoch: u64,
    pub next_stamp: Stamp,
    /// Stamps below it may be given out: the ceiling that is durable, while the head's may be on its way (M2).
    pub durable_ceiling: Stamp,
    grants: BTreeMap<u64, Grant>,
    next_grant: u64,
    pub composers: BTreeSet<ComposerId>,
    /// Displaced by records that may not be durable yet.
    pub displaced: BTreeSet<Displaced>,
    /// What of it is being given back. What is displaced once more meanwhile is in both.
    pub leaving: BTreeSet<Displaced>,
    /// Blocks of which parts are being given back.
    pub freeing: BTreeSet<u64>,
    /// Our predecessor's grants, as long as they may be adopted (ADOPT-1).
    pub adoption: Option<Adoption>,
    /// Several composers may be writing by grants of our predecessor, which are to be taken back before any is given (GRANT-5).
    pub inherits_grants: bool,
    /// No grant is given while the map changes as a whole.
    pub holds_grants: u32,
    /// It was opened by name: only who closes it by name ends that (HELD-2).
    pub is_asked_for: bool,
}

/// Where the sub-blocks are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Own(Source),
    New,
    /// The block has too many parts: all of it is to be written to a new object.
    NewWhole,
}

impl State {
    pub fn new(head: Head, layers: Layers, next_stamp: Stamp) -> Self {
        Self {
            durable_ceiling: head.ceiling,
            head,
            layers,
            epoch: 1,
            next_stamp,
            grants: BTreeMap::new(),
            next_grant: 1,
            composers: BTreeSet::new(),
            displaced: BTreeSet::new(),
            leaving: BTreeSet::new(),
            freeing: BTreeSet::new(),
            adoption: None,
            inherits_grants: false,
            holds_grants: 0,
            is_asked_for: false,
        }
    }

    /// Numbers go on above those of any earlier owner of this boot: what it said and granted is void, and must not be
    /// taken for ours. `composers` may hold something that it said.
    pub fn succeed(&mut self, first_epoch: u64, composers: BTreeSet<ComposerId>) {
        self.epoch = first_epoch;
        self.next_grant = first_epoch;
        match composers.len() {
            0 => {}
            // It does not write twice in the same place at a time.
            1 => self.adoption = Some(Adoption::new(first_epoch, self.next_stamp)),
            _ => self.inherits_grants = true,
        }
        self.composers = composers;
    }

    /// Takes in what the journal has.
    pub fn apply(&mut self, record: &Record) {
        self.layers
            .live
            .apply(record)
            .expect("what we write ourselves is checked before");
        apply_to_head(&mut self.head, record);
    }

    /// May this be written in place (M2)?
    pub fn is_writable(&self, source: Source) -> bool {
        match source {
            Source::Born { birth, stamp } => birth == self.head.id && stamp > self.head.floor,
            Source::Content(_) => false,
        }
    }

    /// Must a grant for these sub-blocks wait?
    pub fn must_wait(&self, block: u64, subs: &Range<u16>) -> bool {
        self.holds_grants > 0
            || self.freeing.contains(&block)
            || self.grants.values().any(|grant| {
                grant.block == block && grant.subs.start < subs.end && subs.start < grant.subs.end
            })
    }

    /// Where sub-blocks of a block that is made like this may be written (GRANT-2, GRANT-3).
    pub fn target(&self, block: u64, map: &BlockMap) -> Target {
        let is_free = |source: &Source| {
            let displaced = Displaced {
                block,
                source: *source,
            };
            let waits = self.displaced.contains(&displaced) || self.leaving.contains(&displaced);
            self.is_writable(*source) && !waits
        };
        let own = map.sources().iter().copied().find(is_free);
        let granted = self
            .grants
            .values()
            .filter(|grant| grant.block == block)
            .map(|grant| grant.source)
            .find(|source| is_free(source));
        match own.or(granted) {
            Some(source) => Target::Own(source),
            // Every other grant of this block may add one.
            None if map.sources().len() + self.grants_of(block).count() + 1 >= SOURCES_MAX => {
                Target::NewWhole
            }
            None => Target::New,
        }
    }

    /// May some of these sub-blocks be written where they are, other than to `source` (GRANT-4)?
    pub fn would_displace_writable(
        &self,
        map: &BlockMap,
        subs: &Range<u16>,
        source: Option<Source>,
    ) -> bool {
        let mut sources = map.runs(subs.clone()).filter_map(|(_, from)| from);
        sources.any(|from| Some(from) != source && self.is_writable(from))
    }

    pub fn grants_of(&self, block: u64) -> impl Iterator<Item = &Grant> {
        self.grants
            .values()
            .filter(move |grant| grant.block == block)
    }

    pub fn add_grant(&mut self, grant: Grant) -> u64 {
        let number = self.next_grant;
        self.next_grant += 1;
        if let Some(adoption) = &mut self.adoption
            && !adoption.note(grant.block, grant.subs.clone())
        {
            self.adoption = None;
        }
        self.grants.insert(number, grant);
        number
    }

    /// The grant is used now, and cannot be voided until its record counts.
    pub fn begin_commit(&mut self, composer: ComposerId, number: u64) -> Result<Grant, MapError> {
        match self.grants.get_mut(&number) {
            Some(grant) if grant.composer == composer && !grant.is_committing => {
                grant.is_committing = true;
                Ok(grant.clone())
            }
            _ => Err(MapError::Stale),
        }
    }

    /// Its record counts, or nobody knows: then what is in use is found when space is given back.
    pub fn end_commit(&mut self, number: u64, counts: bool) {
        let Some(grant) = self.grants.remove(&number) else {
            return;
        };
        let block = grant.block;
        let own = (!counts).then_some(grant.source);
        let displaced = grant.displaces.into_iter().chain(own);
        self.displaced
            .extend(displaced.map(|source| Displaced { block, source }));
    }

    /// Voids all grants for which `is_void` says so. What they named may be given back.
    pub fn void_grants(&mut self, is_void: impl Fn(&Grant) -> bool) {
        self.void_grants_where(|_, grant| is_void(grant));
    }

    pub fn void_grants_where(&mut self, is_void: impl Fn(u64, &Grant) -> bool) {
        let displaced = &mut self.displaced;
        self.grants.retain(|number, grant| {
            let goes = !grant.is_committing && is_void(*number, grant);
            if goes {
                displaced.insert(Displaced {
                    block: grant.block,
                    source: grant.source,
                });
            }
            !goes
        });
    }

    /// Is some of this displaced by a record that may not be durable yet?
    pub fn was_displaced_lately(&self, displaced: Displaced) -> bool {
        let Displaced { block, source } = displaced;
        self.displaced.contains(&displaced)
            || self
                .grants_of(block)
                .any(|grant| grant.is_committing && grant.displaces.contains(&source))
    }

    pub fn is_committing(&self) -> bool {
        self.grants.values().any(|grant| grant.is_committing)
    }

    /// The floor as composers are told it: while grants are held nothing may be written in place either, for the change
    /// may raise the floor.
    pub fn told_floor(&self) -> Stamp {
        if self.holds_grants > 0 {
            self.last_stamp()
        } else {
            self.head.floor
        }
    }

    /// No stamp above it was given out.
    pub fn last_stamp(&self) -> Stamp {
        Stamp::from_bits(self.next_stamp.bits() - 1)
    }

    pub fn composers(&self) -> Vec<ComposerId> {
        self.composers.iter().copied().collect()
    }
}

/// What becomes of an object's part in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All that it has is in use.
    Keep,
    /// Nobody has any of it.
    Delete,
    /// These sub-blocks of it are nobody's.
    Punch(Vec<Range<u16>>),
}

/// Decides on an object that a head may have no more (M7).
///
/// An object is written only before the first snapshot that shows it, so heads further down never have more of it
/// than those above. If the head above (`parent`) has any of it, that has all that the one in question had. If not,
/// only this head and those below ever had it: `mine` says what of it is still in use there, and what is granted is
/// about to be. Content may be anybody's: only a mark tells that it is nobody's.
pub fn fate(
    source: Source,
    mine: &BlockMap,
    parent: Option<&BlockMap>,
    granted: &[(Source, Range<u16>)],
    subs: u16,
) -> Fate {
    let is_elsewhere = parent.is_some_and(|parent| parent.sources().contains(&source));
    if is_elsewhere || source.is_content() {
        return Fate::Keep;
    }
    let is_used = |sub: u16| {
        let is_granted = |(of, range): &(Source, Range<u16>)| *of == source && range.contains(&sub);
        mine.source_at(sub) == Some(source) || granted.iter().any(is_granted)
    };
    let mut unused: Vec<Range<u16>> = Vec::new();
    for sub in (0..subs).filter(|sub| !is_used(*sub)) {
        match unused.last_mut() {
            Some(last) if last.end == sub => last.end += 1,
            _ => unused.push(sub..sub + 1),
        }
    }
    match unused.as_slice() {
        [] => Fate::Keep,
        [all] if *all == (0..subs) => Fate::Delete,
        _ => Fate::Punch(unused),
    }
}
