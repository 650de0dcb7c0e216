//! The mapper: all volumes of a store, by name.
//!
//! # Invariants
//! * **MAPPER-1** A volume is open at most once here: its lock does not tell two openers of one owner apart.
//! * **MAPPER-3** A volume that is not open and has our lock was left by our predecessor: its composers write in place meanwhile.
//! * **MAPPER-4** A volume that is closed by itself, as by whoever tidies up, while it is being changed is opened again for
//!   the change: nobody is told that it is not open.
//! * **MAPPER-5** Of a volume that failed, and was closed so, each of its composers is told once at its next flush: whether
//!   what it wrote is durable is not known (D3, F27).
//! * **MAPPER-2** Management changes one thing at a time; I/O of volumes goes on meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use archipelago_protocol::{Recall, RecallKind};
use archipelago_runtime::local::{Mutex, Notify};
use archipelago_store::StoreError;

use super::content_turns::Turns;
use super::directory::Directory;
use super::error::MapError;
use super::load::Loaded;
use super::lost::Lost;
use super::volume::{Volume, Whom};
use super::world::{Base, ComposerId, World};
use crate::map::{Head, VolumeId};

/// Locks that are broken at the same time: each is a request that waits.
const UNLOCKS_AT_ONCE: usize = 64;

/// May the lock of another one be broken?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    No,
    IfDead,
    /// Also if it lives: it answers nothing any more by then (FENCE-1).
    Fenced,
    /// Also if it lives, at once: it may go on answering until it finds out (F49).
    Anyway,
}

#[derive(Debug)]
pub struct Mapper<W: World> {
    pub(super) base: Rc<Base<W>>,
    open: RefCell<BTreeMap<VolumeId, Rc<Volume<W>>>>,
    pub(super) opening: Mutex<()>,
    /// One volume that was late is opened anew at a time.
    pub(super) reopening: Mutex<()>,
    /// Volumes that were left to be opened anew, and are not yet: whether somebody had asked for them (HELD-2).
    pub(super) left: RefCell<BTreeMap<VolumeId, bool>>,
    /// MAPPER-2
    pub(super) manage: Mutex<()>,
    pub(super) emptying: Mutex<()>,
    /// What is being given back.
    pub(super) going: RefCell<BTreeSet<VolumeId>>,
    /// What is being made, and who waits until it is (MAKING-2).
    pub(super) in_making: RefCell<BTreeSet<VolumeId>>,
    pub(super) made: Notify,
    /// The snapshot into which something is being folded, by its lock.
    pub(super) folded_into: RefCell<BTreeSet<VolumeId>>,
    /// Snapshots that are being read from end to end, and by how many (HASH-3).
    pub(super) held: RefCell<BTreeMap<VolumeId, u32>>,
    /// Volumes that were taken from us while clients used them (LOST-1).
    pub(super) lost: RefCell<BTreeMap<VolumeId, Lost>>,
    /// Up to which token it is known what became of what was written (LOST-3).
    pub(super) over: RefCell<BTreeMap<VolumeId, u64>>,
    /// Who is still to be told that a volume failed, and why (MAPPER-5).
    owed: RefCell<BTreeMap<(VolumeId, ComposerId), String>>,
    pub(super) is_stopping: Cell<bool>,
    pub(super) turns: Turns,
}

impl<W: World> Mapper<W> {
    pub fn new(base: Rc<Base<W>>) -> Self {
        Self {
            base,
            open: RefCell::default(),
            opening: Mutex::new(()),
            reopening: Mutex::new(()),
            left: RefCell::default(),
            manage: Mutex::new(()),
            emptying: Mutex::new(()),
            going: RefCell::default(),
            in_making: RefCell::default(),
            made: Notify::new(),
            folded_into: RefCell::default(),
            held: RefCell::default(),
            lost: RefCell::default(),
            over: RefCell::default(),
            owed: RefCell::default(),
            is_stopping: Cell::new(false),
            turns: Turns::default(),
        }
    }

    pub fn base(&self) -> &Rc<Base<W>> {
        &self.base
    }

    /// The open volumes.
    pub fn volumes(&self) -> Vec<Rc<Volume<W>>> {
        let open = self.open.borrow();
        let volumes = open.values().filter(|volume| !volume.has_ended());
        volumes.cloned().collect()
    }

    pub fn open_volume(&self, id: VolumeId) -> Option<Rc<Volume<W>>> {
        let volume = self.known(id)?;
        (!volume.has_ended()).then_some(volume)
    }

    /// A volume that is open, or is being closed.
    pub(super) fn known(&self, id: VolumeId) -> Option<Rc<Volume<W>>> {
        let open = self.open.borrow();
        open.get(&id).filter(|volume| !volume.is_closed()).cloned()
    }

    /// The open volume of this id, opened if it is not.
    pub async fn open_id(&self, id: VolumeId, wait: bool) -> Result<Rc<Volume<W>>, MapError> {
        self.check_not_lost(id)?;
        self.open_also_lost(id, wait).await
    }

    async fn open_also_lost(&self, id: VolumeId, wait: bool) -> Result<Rc<Volume<W>>, MapError> {
        if let Some(volume) = self.open_volume(id) {
            return Ok(volume);
        }
        // Whoever waits for a foreign lock waits here, and not in anybody's way.
        let waited = wait && !self.holds_lock(id).await?;
        if waited {
            self.base.lock(id, true).await?;
        }
        let opened = self.open_now(id, Whom::Named).await;
        if waited && opened.is_err() {
            let _opening = self.opening.lock().await;
            if self.known(id).is_none() {
                self.unlock_quietly(id).await; // nobody has anything of it
            }
        }
        opened
    }

    pub(super) async fn open_now(
        &self,
        id: VolumeId,
        whom: Whom,
    ) -> Result<Rc<Volume<W>>, MapError> {
        self.open_if(id, whom, || true).await
    }

    /// The same, if that is still wanted when it is this one's turn to open; `NotOpen` if not.
    pub(super) async fn open_if(
        &self,
        id: VolumeId,
        whom: Whom,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Rc<Volume<W>>, MapError> {
        loop {
            self.made(id).await;
            let closing = {
                let _opening = self.opening.lock().await;
                if self.in_making.borrow().contains(&id) {
                    continue;
                }
                match self.known(id) {
                    None if !is_wanted() => {
                        let name = id.to_string();
                        return Err(MapError::NotOpen { name });
                    }
                    None => {
                        let opened = Volume::open(self.base.clone(), id, whom).await;
                        if let Err(MapError::Taken { name, .. }) = &opened {
                            // Composers may have it from our predecessor.
                            if let Err(error) = self.recall_left(id, name).await {
                                tracing::warn!(volume = %id, %error, "composers go on with it");
                            }
                        }
                        let volume = opened?;
                        self.open.borrow_mut().insert(id, volume.clone());
                        if self.left.borrow_mut().remove(&id) == Some(true) {
                            volume.ask_for(); // HELD-2
                        }
                        return Ok(volume);
                    }
                    Some(volume) if !volume.has_ended() => return Ok(volume),
                    Some(volume) => volume,
                }
            };
            // MAPPER-1: it is opened anew only when the lock of the last time is given back. Others need not wait for that.
            closing.closed().await;
        }
    }

    /// Opens a volume by name: it stays open until it is closed by name (HELD-2).
    pub async fn open(&self, name: &str, wait: bool) -> Result<Rc<Volume<W>>, MapError> {
        let id = self.find(name).await?.head.id;
        loop {
            let volume = self.open_also_lost(id, wait).await?;
            self.end_loss(id);
            volume.ask_for();
            // Whoever closes it already, because nobody had asked for it, comes first.
            let _change = volume.begin_change().await;
            if !volume.has_ended() {
                return Ok(volume.clone());
            }
        }
    }

    /// The lease under which the volume is ours (VOUCH-1). One that is not is dropped.
    pub async fn vouch(&self, volume: &Volume<W>) -> Result<u64, MapError> {
        let vouched = volume.vouch().await;
        if let Err(MapError::Taken { .. }) = &vouched {
            self.drop_taken(volume).await;
        }
        vouched
    }

    async fn confirm(&self, volume: &Volume<W>) -> Result<(), MapError> {
        let confirmed = volume.confirm().await;
        if let Err(MapError::Taken { .. }) = &confirmed {
            self.drop_taken(volume).await;
        }
        confirmed
    }

    /// Does something with the open volume (MAPPER-4, VOUCH-2).
    pub(super) async fn with_open<T>(
        &self,
        id: VolumeId,
        change: impl AsyncFn(&Rc<Volume<W>>) -> Result<T, MapError>,
    ) -> Result<T, MapError> {
        loop {
            let volume = self.open_id(id, false).await?;
            match change(&volume).await {
                Err(MapError::NotOpen { .. }) if volume.has_ended() => {}
                Ok(done) => {
                    self.confirm(&volume).await?;
                    return Ok(done);
                }
                refused => return refused,
            }
        }
    }

    /// Everything that was answered of a volume is durable when this returns, also what our predecessor's composers wrote
    /// since it died (D2, MAPPER-3). The composer had it by the token `had` (LOST-3).
    pub async fn flush(
        &self,
        id: VolumeId,
        composer: ComposerId,
        had: u64,
    ) -> Result<(), MapError> {
        self.hear_had(id, had).await?;
        self.check_not_lost(id)?;
        if let Some(why) = self.owed.borrow_mut().remove(&(id, composer)) {
            return Err(MapError::Failed { volume: id, why }); // MAPPER-5
        }
        match self.open_or_left(id).await? {
            Some(volume) => volume.flush().await,
            None => Ok(()), // what was closed was flushed
        }
    }

    /// The volume, if it is open, or was left open by our predecessor (MAPPER-3).
    pub async fn open_or_left(&self, id: VolumeId) -> Result<Option<Rc<Volume<W>>>, MapError> {
        if let Some(volume) = self.open_volume(id) {
            return Ok(Some(volume));
        }
        if let Some(volume) = self.known(id) {
            volume.closed().await;
        }
        if !self.holds_lock(id).await? {
            return Ok(None);
        }
        match self.open_id(id, false).await {
            Ok(volume) => Ok(Some(volume)),
            Err(MapError::ReadOnly { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Refuses to take the name of what is being read from end to end (HASH-3).
    pub(super) fn check_not_held(&self, head: &Head) -> Result<(), MapError> {
        if self.held.borrow().contains_key(&head.id) {
            return Err(MapError::Held {
                name: head.name.clone(),
            });
        }
        Ok(())
    }

    /// What stands under this name.
    pub async fn find(&self, name: &str) -> Result<Loaded, MapError> {
        self.base.found(name).await
    }

    /// Opens the volumes whose locks are ours: they were open when the last mapper died, and their journals tell what is
    /// to be given back.
    pub async fn open_left(&self) -> Result<(), MapError> {
        let mut entries = self.base.entries().await?;
        entries.extend(self.base.entries_in(Directory::Hashes).await?);
        for entry in entries {
            if !self.holds_lock(entry.id).await? {
                continue;
            }
            match self.open_id(entry.id, false).await {
                Ok(_) | Err(MapError::NotFound { .. }) => {}
                // Nobody has it open: it was being made, or changed.
                Err(MapError::ReadOnly { .. }) => {
                    let _manage = self.manage.lock().await;
                    self.end_making_left(entry.id).await?;
                }
                Err(error) => tracing::warn!(volume = entry.name, %error, "not opened again"),
            }
        }
        Ok(())
    }

    /// Is the volume's lock ours?
    pub async fn holds_lock(&self, id: VolumeId) -> Result<bool, MapError> {
        let record = self.base.lock_record(id).await?;
        Ok(record.is_some_and(|record| record.is_of(self.base.world.owner())))
    }

    /// Closes a volume. One that failed is dropped as it is, and read anew when it is opened the next time (D3).
    pub async fn close(&self, name: &str) -> Result<(), MapError> {
        let loaded = self.find(name).await?;
        let id = loaded.head.id;
        if let Some(volume) = self.open_volume(id) {
            return self.close_volume(&volume).await;
        }
        let not_open = MapError::NotOpen {
            name: name.to_owned(),
        };
        if loaded.head.flags.snapshot {
            return Err(not_open);
        }
        // If it could not be opened, whoever says this wants it to be tried again (D3).
        self.base.believe(id).await?;
        if !self.holds_lock(id).await? {
            return Err(not_open);
        }
        // It was open when the last mapper died: what that answered is made durable, as by every close.
        let volume = self.open_now(id, Whom::Named).await?;
        self.close_volume(&volume).await
    }

    /// Takes the lock of a volume, for good (HELD-1).
    pub async fn lock(&self, name: &str) -> Result<(), MapError> {
        let id = self.find(name).await?.head.id;
        // Nobody opens it by a lock that is given back here if it cannot be held.
        let _opening = self.opening.lock().await;
        self.base.lock_and_hold(id).await
    }

    /// Gives the lock of a volume back. By force anybody's, and that of a volume that is open here, which is closed.
    pub async fn unlock(&self, name: &str, is_forced: bool) -> Result<(), MapError> {
        let id = self.find(name).await?.head.id;
        let force = if is_forced { Force::IfDead } else { Force::No };
        self.unlock_id(id, name, force).await
    }

    /// The same of what may have lost its name.
    pub async fn unlock_id(&self, id: VolumeId, name: &str, force: Force) -> Result<(), MapError> {
        let is_forced = force != Force::No;
        if let Some(volume) = self.open_volume(id) {
            // The lock alone is never taken from under an open volume.
            if !is_forced {
                return Err(MapError::Open {
                    name: name.to_owned(),
                });
            }
            self.base.let_go(id).await?;
            return self.close_volume(&volume).await;
        }
        // Also one that is being broken: it is ours to give back.
        let record = self.base.lock_record(id).await?;
        let is_ours = record.is_some_and(|record| record.owner == *self.base.world.owner());
        let mut opening = None;
        if is_ours {
            self.recall_left(id, name).await?;
            // What was late is opened by itself: not under a lock that is given back.
            opening = Some(self.opening.lock().await);
            if self.open_volume(id).is_some() {
                return Err(MapError::Open {
                    name: name.to_owned(),
                });
            }
            self.left.borrow_mut().remove(&id);
            if self.folded_into.borrow().contains(&id) {
                return Err(MapError::Busy {
                    name: name.to_owned(),
                    by: "what it hangs from is being given back".into(), // GONE-9
                });
            }
            // The store of the lock does not know what is late in that of the data (STORE-7).
            self.base.believe(id).await?;
            self.base.let_go(id).await?;
        }
        let unlocked = match force {
            Force::Anyway if !is_ours => self.base.break_lock(id).await,
            Force::Fenced if !is_ours => self.base.fence_lock(id).await,
            _ => self.base.unlock(id, is_forced).await,
        };
        drop(opening);
        let is_anybodys = matches!(
            &unlocked,
            Ok(())
                | Err(MapError::Store {
                    source: StoreError::NotLocked,
                    ..
                })
        );
        // That somebody holds it is forgotten when the lock is broken, and not if that is refused.
        if is_forced && !is_ours && is_anybodys {
            self.base.let_go(id).await?;
        }
        match unlocked {
            Err(MapError::Store {
                source: StoreError::Locked { owner },
                ..
            }) => {
                let locked = self.base.locked(id, name.to_owned(), owner).await;
                Err(if is_forced {
                    locked.by_who_lives()
                } else {
                    locked
                })
            }
            Err(MapError::Store {
                source: StoreError::NotLocked,
                ..
            }) => Err(MapError::NotLocked {
                name: name.to_owned(),
            }),
            unlocked => unlocked,
        }
    }

    /// The same of several at once: where their owner's lease is waited for, that is one wait for all of them (FENCE-1).
    pub async fn unlock_all(
        &self,
        volumes: impl IntoIterator<Item = (VolumeId, &str)>,
        force: Force,
    ) -> Vec<Result<(), MapError>> {
        let volumes = volumes.into_iter();
        let calls = volumes.map(|(id, name)| self.unlock_id(id, name, force));
        super::together::all(calls, UNLOCKS_AT_ONCE).await
    }

    /// Of a volume that our predecessor may have left open composers forget what that told them (CLOSE-3).
    async fn recall_left(&self, id: VolumeId, name: &str) -> Result<(), MapError> {
        let world = &self.base.world;
        let recall = Recall {
            epoch: world.first_epoch(),
            kind: RecallKind::Drop, // what it wrote was never flushed
            first_block: 0,
            blocks: u64::MAX,
        };
        let composers = world.composers().into_iter();
        let calls = composers.map(|composer| world.recall(composer, id, recall));
        let answers = super::together::try_all(calls, usize::MAX).await;
        answers.map(drop).map_err(|silent| MapError::Busy {
            name: name.to_owned(),
            by: format!(
                "the composer on port {} does not give up what it holds",
                silent.0.0
            ),
        })
    }

    pub async fn close_volume(&self, volume: &Volume<W>) -> Result<(), MapError> {
        let closed = self.close_or_abandon(volume).await;
        // Found out while it was closed: then it is dropped as one that failed.
        let closed = match closed {
            Err(MapError::Taken { .. }) if !volume.has_ended() => {
                self.close_or_abandon(volume).await
            }
            closed => closed,
        };
        self.forget_closed(volume.id);
        closed?;
        volume.taken().map_or(Ok(()), Err)
    }

    pub(super) fn forget_closed(&self, id: VolumeId) {
        let mut open = self.open.borrow_mut();
        if open.get(&id).is_some_and(|known| known.is_closed()) {
            open.remove(&id);
        }
    }

    async fn close_or_abandon(&self, volume: &Volume<W>) -> Result<(), MapError> {
        if let Some(error) = volume.taken() {
            self.begin_loss(volume.id, volume.name(), error);
        }
        let closed = if let Some(failure) = volume.failure().filter(|_| !volume.has_ended()) {
            let composers = volume.with_state(|state| state.composers());
            let abandoned = volume.abandon().await;
            // Who used a volume that was lost is told for as long as it stays (LOST-1), and whoever comes after it is not.
            let is_told = self.lost.borrow().contains_key(&volume.id);
            // What a store has answered that is late otherwise is durable: nothing of it is in doubt (STORE-7).
            if abandoned.is_ok() && !is_told && !failure.is_late {
                let owed = composers
                    .into_iter()
                    .map(|one| ((volume.id, one), failure.why.clone()));
                self.owed.borrow_mut().extend(owed); // MAPPER-5
            }
            abandoned
        } else {
            volume.close().await
        };
        if volume.has_ended() {
            self.note_over(volume.id, volume.token());
        }
        match volume.was_left() {
            true => self.close_reopened(volume.id).await, // REOPEN-3
            false => closed,
        }
    }

    /// Closes all volumes, as far as that is possible.
    pub async fn close_all(&self) -> Result<(), MapError> {
        let mut outcome = Ok(());
        drop(self.reopening.lock().await); // what is being opened is closed as well
        for volume in self.volumes() {
            match self.close_volume(&volume).await {
                Err(MapError::Taken { .. }) => {} // it is not ours to close
                closed if outcome.is_ok() => outcome = closed,
                _ => {}
            }
        }
        outcome
    }

    pub(super) async fn unlock_quietly(&self, id: VolumeId) {
        match self.base.release(id).await {
            Ok(())
            | Err(MapError::Store {
                source: StoreError::NotLocked,
                ..
            }) => {}
            Err(error) => tracing::warn!(volume = %id, %error, "the lock is kept"),
        }
    }

    /// Gives back what volumes displaced and folds journals that have grown: to be called every few seconds.
    pub async fn tidy(&self, journal_bytes: u64) {
        for volume in self.volumes() {
            let tidied = async {
                volume.reclaim().await?;
                volume.checkpoint(journal_bytes).await
            };
            match tidied.await {
                Ok(()) | Err(MapError::NotOpen { .. }) => {}
                Err(MapError::Taken { .. }) => self.drop_taken(&volume).await,
                Err(error) => tracing::warn!(volume = %volume.id, %error, "not tidied up"),
            }
        }
    }
}
