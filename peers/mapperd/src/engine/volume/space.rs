//! Giving back what the map displaced (M6, M7).
//!
//! # Invariants
//! * **SPACE-1** Nothing is given back before the record that displaced it is durable, and before every composer has
//!   ended what it began when the map still named it.
//! * **SPACE-2** What the map, its parent, or a grant names is not given back.
//! * **SPACE-4** What was displaced is compared with the parent that the volume had then: once there is a snapshot between,
//!   the old parent may have what neither has.
//! * **SPACE-3** What could not be given back is tried again as long as the volume is open; after a crash the journal tells
//!   it again, if it was not folded yet. What is left then is for `gc` to find.
//! * **SPACE-5** Content is never given back here, whoever displaces it: others may name it, whom nobody here knows.

use std::collections::{BTreeMap, BTreeSet};

use archipelago_protocol::{Recall, RecallKind};
use archipelago_store::{Store, StoreError};

use super::state::{Displaced, Fate, fate};
use super::volume::Volume;
use crate::engine::error::MapError;
use crate::engine::names;
use crate::engine::together;
use crate::engine::world::World;
use crate::map::{Source, object_name};

/// Objects that are given back at the same time.
const AT_ONCE: usize = 16;

impl<W: World> Volume<W> {
    /// Is there something to give back?
    pub fn has_displaced(&self) -> bool {
        !self.state.borrow().displaced.is_empty()
    }

    /// Gives back what was displaced.
    pub async fn reclaim(&self) -> Result<(), MapError> {
        if !self.has_displaced() {
            return Ok(());
        }
        let _change = self.change.lock().await;
        self.check_open()?;
        self.reclaim_in_change().await
    }

    pub(super) async fn reclaim_in_change(&self) -> Result<(), MapError> {
        let leaving = {
            let mut state = self.state.borrow_mut();
            state.leaving = std::mem::take(&mut state.displaced);
            state.adoption = None; // ADOPT-1: what is not in the map may be given back
            Leaving { volume: self }
        };
        let (batch, epoch) = self.with_state(|state| (state.leaving.clone(), state.epoch));
        if batch.is_empty() {
            return Ok(());
        }
        self.flush().await?;
        self.check_lock().await?; // TAKEN-1
        let mut by_block: BTreeMap<u64, BTreeSet<Source>> = BTreeMap::new();
        for displaced in &batch {
            by_block
                .entry(displaced.block)
                .or_default()
                .insert(displaced.source);
        }
        self.state.borrow_mut().freeing.extend(by_block.keys());
        for displaced in self.free_blocks(&by_block, epoch).await? {
            self.state.borrow_mut().leaving.remove(&displaced);
        }
        drop(leaving);
        Ok(())
    }

    /// What was displaced before this was called is displaced for good, and no composer is busy with it, when this returns:
    /// who knows that nobody else names it may give it back (SPACE-1).
    pub async fn forget_displaced(&self) -> Result<(), MapError> {
        let _change = self.change.lock().await;
        self.check_open()?;
        self.flush().await?;
        self.check_lock().await?; // TAKEN-1
        self.quiesce(self.epoch()).await
    }

    async fn quiesce(&self, epoch: u64) -> Result<(), MapError> {
        let quiesce = Recall {
            epoch,
            kind: RecallKind::Quiesce,
            first_block: 0,
            blocks: u64::MAX,
        };
        self.recall(quiesce, None).await
    }

    async fn free_blocks(
        &self,
        by_block: &BTreeMap<u64, BTreeSet<Source>>,
        epoch: u64,
    ) -> Result<Vec<Displaced>, MapError> {
        self.quiesce(epoch).await?;
        let work = by_block
            .iter()
            .map(|(block, sources)| self.free_block(*block, sources));
        let outcomes = together::all(work, AT_ONCE).await;
        let mut freed = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(of_block) => freed.extend(of_block),
                Err(error) => {
                    tracing::warn!(volume = %self.id, %error, "space is not given back yet");
                }
            }
        }
        Ok(freed)
    }

    async fn free_block(
        &self,
        block: u64,
        sources: &BTreeSet<Source>,
    ) -> Result<Vec<Displaced>, MapError> {
        let parent = self.parent_block(block).await?;
        let mine = self.block(block).await?;
        let granted: Vec<_> = self
            .state
            .borrow()
            .grants_of(block)
            .map(|grant| (grant.source, grant.subs.clone()))
            .collect();
        let mut freed = Vec::new();
        for source in sources {
            let displaced = Displaced {
                block,
                source: *source,
            };
            // What was taken from it since the flush may come back: `mine` says already what it does not (SPACE-1).
            if self.state.borrow().was_displaced_lately(displaced) {
                continue;
            }
            let subs = self.shape.subs();
            let fate = fate(*source, &mine, parent.as_ref(), &granted, subs);
            self.base
                .free_object(*source, block, fate, self.shape.grain_bytes())
                .await?;
            freed.push(displaced);
        }
        Ok(freed)
    }
}

/// What is being given back; what is left of it when this is dropped is tried again (SPACE-3).
struct Leaving<'a, W: World> {
    volume: &'a Volume<W>,
}

impl<W: World> Drop for Leaving<'_, W> {
    fn drop(&mut self) {
        let mut state = self.volume.state.borrow_mut();
        let left = std::mem::take(&mut state.leaving);
        state.displaced.extend(left);
        state.freeing.clear();
        drop(state);
        self.volume.moved.notify_all();
    }
}

impl<W: World> crate::engine::world::Base<W> {
    /// Does with an object what was decided. What is gone already is.
    pub async fn free_object(
        &self,
        source: Source,
        block: u64,
        fate: Fate,
        grain_bytes: u64,
    ) -> Result<(), MapError> {
        let object = object_name(source, block);
        // Content is freed by nobody but `gc` (SPACE-5).
        let Source::Born { birth, .. } = source else {
            return Ok(());
        };
        let scope = names::scope(birth);
        let done = match fate {
            Fate::Keep => Ok(()),
            Fate::Delete => self.data().delete(&object).await,
            Fate::Punch(ranges) => {
                let mut done = Ok(());
                for range in ranges {
                    let from = u64::from(range.start) * grain_bytes;
                    let len = u64::from(range.end - range.start) * grain_bytes;
                    done = self.data().punch(scope, &object, from, len).await;
                    if done.is_err() {
                        break;
                    }
                }
                done
            }
        };
        match done {
            Ok(()) | Err(StoreError::NotFound) => Ok(()),
            Err(error) => Err(MapError::store("give back", &object)(error)),
        }
    }
}
