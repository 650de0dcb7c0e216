//! An open volume: its map is ours to change as long as we hold its lock.
//!
//! # Invariants
//! * **VOL-1** Changes of the map as a whole (checkpoint, snapshot, discard, resize, giving space back, close) are made one
//!   at a time; grants and commits go on meanwhile, unless the change holds them.
//! * **VOL-2** A look-up says what the map was at one moment between its begin and its end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use archipelago_protocol::{Recall, RecallKind};
use archipelago_runtime::local::{Mutex, Notify};

use super::state::{Displaced, State};
use crate::engine::error::MapError;
use crate::engine::failure::Failure;
use crate::engine::gc::Limit;
use crate::engine::layers::merge;
use crate::engine::log::Log;
use crate::engine::names;
use crate::engine::view::View;
use crate::engine::world::{Base, ComposerId, World};
use crate::map::journal::Record;
use crate::map::{BlockMap, Head, Shape, Source, Stamp, VolumeId};

#[derive(Debug)]
pub struct Volume<W: World> {
    pub(super) base: Rc<Base<W>>,
    pub id: VolumeId,
    pub shape: Shape,
    pub(super) state: RefCell<State>,
    pub(super) log: Log<W::Store>,
    /// VOL-1
    pub(super) change: Mutex<()>,
    /// Told when grants that wait may be given.
    pub(super) moved: Notify,
    /// The parent as it lies, read when it is needed.
    pub(super) parent: RefCell<Option<Rc<View>>>,
    /// The head in force, as it was published.
    pub(super) in_force: RefCell<Head>,
    /// The sequence number behind the frozen layer.
    pub(super) frozen_at: Cell<u64>,
    pub(super) token: u64,
    /// No stamp up to it is given out by this owner (OWNER-2).
    pub(super) ceiling_before: Stamp,
    pub(super) life: Cell<Life>,
    /// It has ended to be opened anew (REOPEN-3).
    pub(super) was_left: Cell<bool>,
    /// Why its lock is not ours any more (TAKEN-2).
    pub(super) taken: RefCell<Option<MapError>>,
    /// The lock was seen to be ours after this lease had begun (VOUCH-1).
    pub(super) vouched: Cell<u64>,
}

/// How far a volume's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Life {
    Open,
    /// Nothing of it changes any more: its journal is ended, or was given up.
    Ended,
    /// Its lock is given back, or was left: somebody else may open it.
    Closed,
}

impl<W: World> Volume<W> {
    /// Grows whenever the lock changes hands: as long as it is the same nobody else had the volume.
    pub fn token(&self) -> u64 {
        self.token
    }

    pub fn name(&self) -> String {
        self.state.borrow().head.name.clone()
    }

    pub fn size_bytes(&self) -> u64 {
        self.state.borrow().head.size_bytes
    }

    pub fn parent(&self) -> Option<VolumeId> {
        self.state.borrow().head.parent
    }

    pub fn epoch(&self) -> u64 {
        self.state.borrow().epoch
    }

    /// What may be read now, and under which epoch.
    pub fn with_state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.borrow())
    }

    /// Nothing changes the map as a whole until the guard is dropped (VOL-1).
    pub async fn begin_change(&self) -> archipelago_runtime::local::MutexGuard<'_, ()> {
        self.change.lock().await
    }

    pub fn journal_segments(&self) -> Vec<crate::map::SegmentRef> {
        self.log.segments()
    }

    /// Nothing is done with it any more.
    pub fn has_ended(&self) -> bool {
        self.life.get() >= Life::Ended
    }

    pub fn is_closed(&self) -> bool {
        self.life.get() == Life::Closed
    }

    /// A write of map records failed: only a new look at the store tells what it has (D3).
    pub fn failure(&self) -> Option<Failure> {
        self.log.failure()
    }

    pub fn check_open(&self) -> Result<(), MapError> {
        if self.has_ended() {
            return Err(MapError::NotOpen { name: self.name() });
        }
        Ok(())
    }

    /// A composer caches what it is told from now on: it is told when that changes.
    pub fn add_composer(&self, composer: ComposerId) {
        self.state.borrow_mut().composers.insert(composer);
    }

    /// It stays open until it is closed by name (HELD-2).
    pub fn ask_for(&self) {
        self.state.borrow_mut().is_asked_for = true;
    }

    /// A composer has forgotten the volume. Its grants are void.
    pub fn remove_composer(&self, composer: ComposerId) {
        {
            let mut state = self.state.borrow_mut();
            state.composers.remove(&composer);
            state.void_grants(|grant| grant.composer == composer);
        }
        self.moved.notify_all();
    }

    /// What a block is made of (VOL-2).
    pub async fn block(&self, block: u64) -> Result<BlockMap, MapError> {
        loop {
            let lower = {
                let state = self.state.borrow();
                if let Some(known) = state.layers.known(block) {
                    return Ok(known);
                }
                state.layers.lower()
            };
            let below = lower.block(&self.base.pages, block).await;
            let state = self.state.borrow();
            if state.layers.moves == lower.moves {
                return merge(&state.layers.live, block, below?);
            }
        }
    }

    /// May composers write to this at this moment, or soon (GONE-6)?
    pub fn may_write(&self, source: Source) -> bool {
        self.state.borrow().is_writable(source)
    }

    /// Was this displaced, and not given back yet? Then it is needed until that is durable (SPACE-1), and we see to it.
    pub fn keeps(&self, block: u64, source: Source) -> bool {
        let state = self.state.borrow();
        state.was_displaced_lately(Displaced { block, source })
    }

    /// The same, or is it being given back now (GC-3)?
    pub fn may_still_need(&self, block: u64, source: Source) -> bool {
        let displaced = Displaced { block, source };
        let state = self.state.borrow();
        state.was_displaced_lately(displaced)
            || state.leaving.contains(&displaced)
            || state.grants_of(block).any(|grant| grant.source == source)
    }

    /// What is old enough to be judged (GC-1). No change is under way.
    pub fn limit(&self) -> Limit {
        let mut state = self.state.borrow_mut();
        state.adoption = None; // ADOPT-1: what is not in the map may be given back
        let last = self
            .log
            .segments()
            .last()
            .map(|last| (last.token, last.number));
        Limit {
            stamp: state.head.floor.max(self.ceiling_before),
            page: self.in_force.borrow().next_page_number,
            segment: last.unwrap_or((0, 0)),
        }
    }

    /// The same of the parent; `None` without one.
    pub(super) async fn parent_block(&self, block: u64) -> Result<Option<BlockMap>, MapError> {
        match self.parent_view().await? {
            None => Ok(None),
            Some(parent) if block >= self.shape.blocks(parent.head.size_bytes) => Ok(None),
            Some(parent) => parent.block(&self.base, block).await.map(Some),
        }
    }

    pub(super) async fn parent_view(&self) -> Result<Option<Rc<View>>, MapError> {
        let Some(id) = self.state.borrow().head.parent else {
            return Ok(None);
        };
        if let Some(view) = self.parent.borrow().as_ref()
            && view.head.id == id
        {
            return Ok(Some(view.clone()));
        }
        let loaded = self.base.load(id).await?.ok_or_else(|| MapError::Corrupt {
            object: names::edge(id, self.id),
            why: format!("the parent {id} has no head"),
        })?;
        let view = Rc::new(View::of(loaded));
        *self.parent.borrow_mut() = Some(view.clone());
        Ok(Some(view))
    }

    /// Appends to the journal; the records count when this returns.
    pub(super) async fn append(
        &self,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<(), MapError> {
        let apply = |_, record: &Record| self.state.borrow_mut().apply(record);
        let sync = async || self.sync_objects().await;
        let appended = self.log.append(records, sync, apply).await;
        self.or_not_open(appended)
    }

    /// The journal of a volume that has ended takes nothing: that is no failure.
    fn or_not_open(&self, outcome: Result<(), MapError>) -> Result<(), MapError> {
        match outcome {
            Err(error @ MapError::Failed { .. }) if self.taken().is_some() => {
                Err(self.taken().unwrap_or(error))
            }
            Err(MapError::Failed { .. }) if self.has_ended() => {
                Err(MapError::NotOpen { name: self.name() })
            }
            outcome => outcome,
        }
    }

    /// Makes the data that was answered durable.
    pub(super) async fn sync_objects(&self) -> Result<(), MapError> {
        let synced = self.base.sync_data(self.id).await;
        // What was lost by the failure nobody knows: nothing is believed from now on (D3, F27).
        synced.inspect_err(|error| self.log.latch(error.into()))
    }

    /// Makes durable what was written and deleted of the map beside the journal.
    pub(super) async fn sync_maps(&self) -> Result<(), MapError> {
        let synced = self.base.sync_maps(self.id).await;
        synced.inspect_err(|error| self.log.latch(error.into()))
    }

    /// Asks both stores whether they are to be believed, and remembers it if not (WAL-7).
    pub(crate) async fn sync_stores(&self) -> Result<(), MapError> {
        self.sync_objects().await?;
        self.sync_maps().await
    }

    /// Everything that was answered is durable when this returns (D2).
    pub async fn flush(&self) -> Result<(), MapError> {
        let synced = self.log.barrier(async || self.sync_objects().await).await;
        self.or_not_open(synced)
    }

    /// Tells all composers but `except`, and waits for them. Who does not answer keeps the change from happening.
    pub(super) async fn recall(
        &self,
        recall: Recall,
        except: Option<ComposerId>,
    ) -> Result<(), MapError> {
        let composers = self.state.borrow().composers();
        let others = composers
            .into_iter()
            .filter(|composer| Some(*composer) != except);
        let calls = others.map(|composer| self.base.world.recall(composer, self.id, recall));
        let answers = crate::engine::together::try_all(calls, usize::MAX).await;
        answers.map(|_| ()).map_err(|silent| MapError::Busy {
            name: self.name(),
            by: format!(
                "the composer on port {} does not give up what it holds",
                silent.0.0
            ),
        })
    }

    /// Recalls all blocks from all composers.
    pub(super) async fn recall_all(&self, kind: RecallKind) -> Result<(), MapError> {
        let recall = Recall {
            epoch: self.epoch(),
            kind,
            first_block: 0,
            blocks: u64::MAX,
        };
        self.recall(recall, None).await
    }

    /// Keeps grants from being given until the guard is dropped, and takes back all that was said: when this returns,
    /// no composer holds anything of the volume.
    pub(super) async fn take_back(&self) -> Result<GrantsHeld<'_, W>, MapError> {
        let held = self.hold();
        self.recall_all(RecallKind::Forget).await?;
        self.state.borrow_mut().void_grants(|_| true);
        Ok(held)
    }
}

impl<W: World> Volume<W> {
    /// Waits until no change is under way that could make void what is said now: whoever was asked to forget must not be
    /// told the old map once more.
    pub async fn settled(&self) {
        loop {
            let moved = self.moved.notified();
            if self.state.borrow().holds_grants == 0 {
                return;
            }
            moved.await;
        }
    }

    /// Holds grants, under a new epoch.
    pub(super) fn hold(&self) -> GrantsHeld<'_, W> {
        let mut state = self.state.borrow_mut();
        state.holds_grants += 1;
        state.adoption = None; // ADOPT-1
        state.epoch += 1;
        GrantsHeld { volume: self }
    }
}

/// No grant is given while it lives.
#[derive(Debug)]
pub(super) struct GrantsHeld<'a, W: World> {
    volume: &'a Volume<W>,
}

impl<W: World> Drop for GrantsHeld<'_, W> {
    fn drop(&mut self) {
        self.volume.state.borrow_mut().holds_grants -= 1;
        self.volume.moved.notify_all();
    }
}
