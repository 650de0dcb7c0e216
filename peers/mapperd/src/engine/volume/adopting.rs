//! Commits of what the dead mapper had granted: its composers have written, and lost nothing but the answer.
//!
//! Our predecessor's grants died with it. A composer that has filled one need not write all of it once more: it asks us to
//! adopt the grant, with what it was: which sub-blocks, to which object.
//!
//! # Invariants
//! * **ADOPT-1** A grant is adopted only if none was given for any of its sub-blocks since we opened the volume, and only
//!   before anything was taken back, given back, or changed as a whole: so the map still has there what the grant displaces, and
//!   the object what was written.
//! * **ADOPT-2** A composer asks for it only if nothing of the block was recalled since the grant was given (EPOCH-3): what made a
//!   grant void was recalled first. It names our first epoch, so what was meant for another mapper is refused.
//! * **ADOPT-3** The object's stamp is above the floor, so no snapshot has it, and below all that we give: the ceiling under
//!   which it was given was durable before, and no stamp names two objects (M2).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::state::{Grant, State};
use super::volume::Volume;
use crate::engine::error::MapError;
use crate::engine::world::{ComposerId, World};
use crate::map::{BlockMap, SOURCES_MAX, Source, Stamp};

/// Blocks of which it is remembered that something was granted; with more, nothing is adopted any more.
const BLOCKS_MAX: usize = 65_536;

/// What a composer asks to be adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    pub first_epoch: u64,
    pub block: u64,
    pub subs: Range<u16>,
    pub stamp: Stamp,
}

/// As long as grants of our predecessor may be adopted.
#[derive(Debug)]
pub struct Adoption {
    first_epoch: u64,
    first_stamp: Stamp,
    /// What we have granted since.
    given: BTreeMap<u64, Vec<Range<u16>>>,
}

impl Adoption {
    pub fn new(first_epoch: u64, first_stamp: Stamp) -> Self {
        Self {
            first_epoch,
            first_stamp,
            given: BTreeMap::new(),
        }
    }

    /// Tells whether that can be remembered.
    pub fn note(&mut self, block: u64, subs: Range<u16>) -> bool {
        self.given.entry(block).or_default().push(subs);
        self.given.len() <= BLOCKS_MAX
    }

    /// ADOPT-1, ADOPT-3
    fn allows(&self, orphan: &Orphan) -> bool {
        let overlaps =
            |given: &Range<u16>| given.start < orphan.subs.end && orphan.subs.start < given.end;
        let was_given = self.given.get(&orphan.block);
        let was_given = was_given.is_some_and(|given| given.iter().any(overlaps));
        orphan.first_epoch == self.first_epoch && orphan.stamp < self.first_stamp && !was_given
    }
}

impl State {
    /// The epoch by which a composer asks us to adopt.
    pub fn adopts(&self) -> Option<u64> {
        let adoption = self.adoption.as_ref();
        adoption.map(|adoption| adoption.first_epoch)
    }

    /// Makes the grant ours, if the map of its block, as it is now, allows that.
    fn adopt(
        &mut self,
        composer: ComposerId,
        orphan: &Orphan,
        map: &BlockMap,
    ) -> Result<u64, MapError> {
        let Orphan {
            block, ref subs, ..
        } = *orphan;
        let (birth, stamp) = (self.head.id, orphan.stamp);
        let source = Source::Born { birth, stamp };
        let is_allowed = self.adoption.as_ref().is_some_and(|all| all.allows(orphan));
        // Every other grant of this block may add one.
        let others = self.grants_of(block).count();
        let has_room =
            map.sources().contains(&source) || map.sources().len() + others + 1 < SOURCES_MAX;
        if !is_allowed
            || !has_room
            || !self.is_writable(source)
            || self.must_wait(block, subs)
            || self.would_displace_writable(map, subs, Some(source))
        {
            return Err(MapError::Stale);
        }
        let displaces: BTreeSet<Source> = map
            .runs(subs.clone())
            .filter_map(|(_, from)| from)
            .filter(|from| *from != source)
            .collect();
        Ok(self.add_grant(Grant {
            composer,
            block,
            subs: subs.clone(),
            source,
            displaces,
            is_committing: false,
        }))
    }
}

impl<W: World> Volume<W> {
    /// Commits what our predecessor granted. Gives the epoch of now.
    pub async fn adopt(&self, composer: ComposerId, orphan: &Orphan) -> Result<u64, MapError> {
        self.check_writable(orphan.block, &orphan.subs)?;
        loop {
            self.check_open()?;
            let moves = self.state.borrow().layers.moves;
            let map = self.block(orphan.block).await?;
            let number = {
                let mut state = self.state.borrow_mut();
                let known = state.layers.known(orphan.block);
                if state.layers.moves != moves || known.is_some_and(|known| known != map) {
                    continue;
                }
                state.adopt(composer, orphan, &map)?
            };
            return self.commit(composer, number).await;
        }
    }
}
