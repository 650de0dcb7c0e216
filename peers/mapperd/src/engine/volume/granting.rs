//! Grants and commits: how a write gets a new place (W2).

use std::collections::BTreeSet;
use std::ops::Range;

use archipelago_protocol::{Recall, RecallKind};

use super::state::{Grant, Target};
use super::volume::Volume;
use crate::engine::error::MapError;
use crate::engine::world::{ComposerId, World};
use crate::map::journal::Record;
use crate::map::{BlockMap, Source, Stamp};

/// Stamps that one durable ceiling allows (M2).
const STAMPS_AHEAD: u64 = 1 << 20;

/// How often space is given back for one grant.
const RECLAIMS_MAX: u32 = 3;

/// What a composer is given.
#[derive(Clone, Debug)]
pub struct Granted {
    pub number: u64,
    pub epoch: u64,
    pub source: Source,
    /// Nobody has written to this object: it is to be made as long as a block first.
    pub is_fresh: bool,
    /// What is granted: what was asked for, or all of the block.
    pub subs: Range<u16>,
    /// What the block is made of as yet.
    pub map: BlockMap,
}

/// Nothing of a block is granted while it lives (GRANT-3).
#[derive(Debug)]
pub struct BlockHeld<'a, W: World> {
    volume: &'a Volume<W>,
    block: u64,
}

impl<W: World> Drop for BlockHeld<'_, W> {
    fn drop(&mut self) {
        self.volume.state.borrow_mut().freeing.remove(&self.block);
        self.volume.moved.notify_all();
    }
}

/// What became of a try.
enum Try {
    Granted(Box<Granted>),
    /// Something happened meanwhile.
    Again,
    /// Another grant is in the way.
    Wait,
    /// What waits to be given back is in the way.
    Reclaim,
}

impl<W: World> Volume<W> {
    /// The right to write sub-blocks that may not be written where they are.
    pub async fn grant(
        &self,
        composer: ComposerId,
        block: u64,
        subs: Range<u16>,
    ) -> Result<Granted, MapError> {
        self.check_writable(block, &subs)?;
        let mut reclaims = 0;
        loop {
            self.check_open()?;
            self.take_back_inherited().await?;
            let moved = self.moved.notified();
            if self.state.borrow().must_wait(block, &subs) {
                moved.await;
                continue;
            }
            self.reserve_stamp().await?;
            let moves = self.state.borrow().layers.moves;
            let map = self.block(block).await?;
            match self.try_grant(composer, block, &subs, map, moves)? {
                Try::Granted(granted) => return Ok(*granted),
                Try::Again => {}
                Try::Wait => moved.await,
                Try::Reclaim if reclaims == RECLAIMS_MAX => return Err(MapError::Stale),
                Try::Reclaim => {
                    reclaims += 1;
                    self.reclaim().await?;
                }
            }
        }
    }

    /// Takes back what our predecessor granted, once (GRANT-5). Who does not give it up yet is asked again.
    async fn take_back_inherited(&self) -> Result<(), MapError> {
        if !self.state.borrow().inherits_grants {
            return Ok(());
        }
        let _change = self.change.lock().await;
        if self.state.borrow().inherits_grants {
            let held = self.take_back().await.map_err(|_| MapError::Stale)?;
            self.state.borrow_mut().inherits_grants = false;
            drop(held);
        }
        Ok(())
    }

    /// Grants, if nothing happened since the map was read.
    fn try_grant(
        &self,
        composer: ComposerId,
        block: u64,
        wanted: &Range<u16>,
        map: BlockMap,
        moves: u64,
    ) -> Result<Try, MapError> {
        let mut state = self.state.borrow_mut();
        let is_old = state.layers.moves != moves
            || state.layers.known(block).is_some_and(|known| known != map)
            || state.next_stamp >= state.durable_ceiling
            || state.must_wait(block, wanted);
        if is_old {
            return Ok(Try::Again);
        }
        let target = state.target(block, &map);
        let subs = match target {
            Target::NewWhole => 0..self.shape.subs(),
            _ => wanted.clone(),
        };
        if state.must_wait(block, &subs) {
            return Ok(Try::Wait);
        }
        let own = match target {
            Target::Own(source) => Some(source),
            Target::New | Target::NewWhole => None,
        };
        if state.would_displace_writable(&map, wanted, own) {
            return Err(MapError::Stale); // GRANT-4: the composer's map is old, it looks again
        }
        if state.would_displace_writable(&map, &subs, own) {
            return Ok(Try::Reclaim); // when the object is whole again it is granted itself
        }
        let (source, is_fresh) = match target {
            Target::Own(source) => (source, false),
            Target::New | Target::NewWhole => {
                let stamp = state.next_stamp;
                state.next_stamp = stamp.next().map_err(out_of_stamps)?;
                let birth = self.id;
                (Source::Born { birth, stamp }, true)
            }
        };
        let displaces: BTreeSet<Source> = map
            .runs(subs.clone())
            .filter_map(|(_, from)| from)
            .filter(|from| *from != source)
            .collect();
        let epoch = state.epoch;
        let number = state.add_grant(Grant {
            composer,
            block,
            subs: subs.clone(),
            source,
            displaces,
            is_committing: false,
        });
        Ok(Try::Granted(Box::new(Granted {
            number,
            epoch,
            source,
            is_fresh,
            subs,
            map,
        })))
    }

    pub(super) fn check_writable(&self, block: u64, subs: &Range<u16>) -> Result<(), MapError> {
        let state = self.state.borrow();
        if state.head.flags.snapshot {
            return Err(MapError::ReadOnly {
                name: state.head.name.clone(),
            });
        }
        let in_volume = block < self.shape.blocks(state.head.size_bytes);
        if in_volume && subs.start < subs.end && subs.end <= self.shape.subs() {
            return Ok(());
        }
        Err(MapError::Invalid {
            what: "the range to write",
            why: format!("block {block}, sub-blocks {subs:?}"),
        })
    }

    /// The next stamp is below a ceiling that is durable when this returns.
    async fn reserve_stamp(&self) -> Result<(), MapError> {
        let wanted = {
            let state = self.state.borrow();
            if state.next_stamp < state.durable_ceiling {
                return Ok(());
            }
            state.next_stamp
        };
        let ceiling = wanted.advanced(STAMPS_AHEAD).map_err(out_of_stamps)?;
        self.append([Record::Ceiling { ceiling }]).await?;
        self.flush().await?;
        let mut state = self.state.borrow_mut();
        state.durable_ceiling = state.durable_ceiling.max(ceiling);
        Ok(())
    }

    /// Nothing of the block is granted until the guard is dropped; `None` if something is. A change is under way (VOL-1).
    pub fn hold_block(&self, block: u64) -> Option<BlockHeld<'_, W>> {
        let mut state = self.state.borrow_mut();
        if state.grants_of(block).next().is_some() || !state.freeing.insert(block) {
            return None;
        }
        Some(BlockHeld {
            volume: self,
            block,
        })
    }

    /// A new object of our own, for the mapper's own use.
    pub(super) async fn own_stamp(&self) -> Result<Source, MapError> {
        self.reserve_stamp().await?;
        let mut state = self.state.borrow_mut();
        let stamp = state.next_stamp;
        state.next_stamp = stamp.next().map_err(out_of_stamps)?;
        Ok(Source::Born {
            birth: self.id,
            stamp,
        })
    }

    /// The write has been done: the map says so when this returns. Gives the epoch of now.
    pub async fn commit(&self, composer: ComposerId, number: u64) -> Result<u64, MapError> {
        let grant = self.state.borrow_mut().begin_commit(composer, number)?;
        let assign = Record::Assign {
            block: grant.block,
            from: grant.subs.start,
            count: grant.subs.end - grant.subs.start,
            source: Some(grant.source),
        };
        let mut committing = Committing {
            volume: self,
            number,
            counts: false,
        };
        self.append([assign]).await?;
        committing.counts = true;
        drop(committing);
        let has_others = self.state.borrow().composers.len() > 1;
        if has_others {
            // What was said of the block before may be on its way to them yet.
            self.state.borrow_mut().epoch += 1;
            let recall = Recall {
                epoch: self.epoch(),
                kind: RecallKind::Forget,
                first_block: grant.block,
                blocks: 1,
            };
            self.recall(recall, Some(composer)).await?;
        }
        Ok(self.epoch())
    }

    /// The write was not done, or not wholly: nothing of it counts.
    pub fn give_up(&self, composer: ComposerId, number: u64) {
        self.state
            .borrow_mut()
            .void_grants_where(|other, grant| other == number && grant.composer == composer);
        self.moved.notify_all();
    }
}

/// A record is on the way to the journal. Dropped before it counts, it may count or not.
struct Committing<'a, W: World> {
    volume: &'a Volume<W>,
    number: u64,
    counts: bool,
}

impl<W: World> Drop for Committing<'_, W> {
    fn drop(&mut self) {
        let mut state = self.volume.state.borrow_mut();
        state.end_commit(self.number, self.counts);
        drop(state);
        self.volume.moved.notify_all();
    }
}

fn out_of_stamps(error: crate::map::BadStamp) -> MapError {
    MapError::Invalid {
        what: "the next stamp",
        why: error.to_string(),
    }
}

/// The first stamp that a new owner, or the same one once more, gives out.
pub fn first_stamp(ceiling: Stamp, token: u64) -> Result<Stamp, MapError> {
    let next = if token > ceiling.token() {
        Stamp::new(token, 1)
    } else {
        ceiling.next()
    };
    next.map_err(out_of_stamps)
}
