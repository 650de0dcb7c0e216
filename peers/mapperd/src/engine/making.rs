//! What is being made, on whichever node, is nobody else's to give back.
//!
//! # Invariants
//! * **MAKING-1** What is listed in the trash and has a name to come is given back, with its edges, only by who has its lock and has seen
//!   since that it has no name: whoever makes it has the lock from before there is anything of it until it has its name. The
//!   nameless snapshot from which a clone is hung is locked until the clone hangs from it.
//! * **MAKING-2** Nobody here opens what is being made, or folds anything into it: the lock does not tell two of one owner apart.
//! * **MAKING-3** A volume's lock is given back and never forgotten: whoever has opened it since has named things by its token.
//! * **MAKING-4** A clone gets its name only when, after it hung from its parent, that was seen to be there, and not removed.
//! * **MAKING-5** An edge to somebody who never was looks like one to somebody who is gone (GONE-4). So a snapshot has its head before the edge to
//!   it, by which nobody needs it yet; and the line in the trash says to whom a clone's edge is, for who finds no head.

use archipelago_store::{LockRecord, Store, StoreError};

use super::create::tidied_up;
use super::error::MapError;
use super::load::Loaded;
use super::mapper::Mapper;
use super::names;
use super::world::{Base, World};
use crate::map::{Head, VolumeId};

/// How often a lock is tried that another node has for the moment in which it looks at the line.
const TRIES_MAX: u32 = 20;

/// Something is being made here, until this is dropped.
#[derive(Debug)]
pub struct InMaking<'a, W: World> {
    mapper: &'a Mapper<W>,
    id: VolumeId,
    token: u64,
}

impl<W: World> InMaking<'_, W> {
    pub(super) fn id(&self) -> VolumeId {
        self.id
    }

    /// Nobody else had it since: then nothing of it was given back.
    pub(super) async fn check_lock(&self) -> Result<(), MapError> {
        self.mapper.base.check_token(self.id, self.token).await
    }
}

impl<W: World> Drop for InMaking<'_, W> {
    fn drop(&mut self) {
        self.mapper.in_making.borrow_mut().remove(&self.id);
        self.mapper.made.notify_all();
    }
}

impl<W: World> Mapper<W> {
    /// Lists what is to be made, and keeps others from it. Begun again after a death, it is begun.
    pub(super) async fn lock_to_make(&self, id: VolumeId) -> Result<InMaking<'_, W>, MapError> {
        if self.known(id).is_some() || self.folded_into.borrow().contains(&id) {
            return Err(tidied_up(id));
        }
        self.in_making.borrow_mut().insert(id);
        // MAKING-2
        let mut making = InMaking {
            mapper: self,
            id,
            token: 0,
        };
        making.token = self.base.list_and_lock(id).await?.token;
        Ok(making)
    }

    /// A volume has its name, or nobody makes it any more.
    pub(super) async fn end_making_volume(&self, making: InMaking<'_, W>) {
        self.unlock_quietly(making.id).await; // MAKING-3
    }

    /// The same of a snapshot. Nothing was named by the lock's token, so it leaves no trace, unless somebody holds it.
    pub(super) async fn end_making_snapshot(&self, making: InMaking<'_, W>) {
        let _opening = self.opening.lock().await; // whoever holds it by name
        if let Err(error) = self.base.forget_unless_held(making.id).await {
            tracing::warn!(volume = %making.id, %error, "the lock is kept");
        }
    }

    /// Waits until nobody here makes it (MAKING-2).
    pub(super) async fn made(&self, id: VolumeId) {
        loop {
            let made = self.made.notified();
            if !self.in_making.borrow().contains(&id) {
                return;
            }
            made.await;
        }
    }

    /// Something has its name, and whoever made it may have died before it gave the lock back. Management is ours.
    pub(super) async fn end_making_left(&self, id: VolumeId) -> Result<(), MapError> {
        let _opening = self.opening.lock().await;
        if !self.holds_lock(id).await?
            || self.known(id).is_some()
            || self.folded_into.borrow().contains(&id)
        {
            return Ok(());
        }
        // Composers may have a volume from our predecessor if that had opened it (OWNER-3): then it has a head of its token.
        let loaded = self.base.load(id).await?;
        let was_opened =
            |head: &Head| !head.flags.snapshot && (head.version.token > 0 || head.flags.nameless);
        if loaded.is_some_and(|loaded| !was_opened(&loaded.head)) {
            self.unlock_quietly(id).await;
        }
        Ok(())
    }

    /// MAKING-4
    pub(super) async fn check_parent(&self, parent: VolumeId) -> Result<(), MapError> {
        let found = self.base.load(parent).await?;
        // What never had a name is there for the clone alone, and was locked.
        if let Some(Loaded { head, .. }) = &found
            && (head.name.is_empty() || self.base.is_named(head).await?)
        {
            return Ok(());
        }
        let name = parent.to_string();
        Err(MapError::NotFound { name })
    }
}

impl<W: World> Base<W> {
    async fn list_and_lock(&self, id: VolumeId) -> Result<LockRecord, MapError> {
        self.put_in_trash(id).await?;
        let mut tries = 0;
        let lock = loop {
            match self.lock(id, false).await {
                Err(MapError::Locked { .. }) if tries < TRIES_MAX => {
                    tries += 1;
                    self.world.pause().await;
                }
                locked => break locked?,
            }
        };
        // Whoever had it meanwhile found nothing, and took the line away.
        if let Err(error) = self.put_in_trash(id).await {
            self.release(id).await?;
            return Err(error);
        }
        Ok(lock)
    }

    async fn forget_unless_held(&self, id: VolumeId) -> Result<(), MapError> {
        let _holding = self.holding.lock().await; // HELD-3
        let held = names::held(id);
        match self.maps().stat(&held).await {
            Ok(_) => return Ok(()),
            Err(StoreError::NotFound) => {}
            Err(error) => return Err(MapError::store("look for", &held)(error)),
        }
        let object = names::lock(id);
        match self.maps().forget_lock(&object, self.world.owner()).await {
            Ok(()) | Err(StoreError::NotLocked) => Ok(()),
            Err(error) => Err(MapError::store("forget", &object)(error)),
        }
    }
}
