//! The trash: what was removed waits there, and what was cut off while it was made.

use std::cell::RefCell;
use std::collections::BTreeSet;

use archipelago_runtime::local::MutexGuard;

use super::directory::Directory;
use super::error::MapError;
use super::leaving::Folded;
use super::load::Loaded;
use super::mapper::Mapper;
use super::names;
use super::volume::{Volume, Whom};
use super::world::World;
use crate::map::VolumeId;

impl<W: World> Mapper<W> {
    /// Gives back what was removed at least `ttl_seconds` ago, and ends what was begun.
    pub async fn empty_trash(&self, ttl_seconds: u64) -> Result<(), MapError> {
        let _emptying = self.emptying.lock().await;
        // One that goes may free its parent to go.
        loop {
            let mut went = false;
            for id in self.base.trash().await? {
                match self.empty(id, ttl_seconds).await {
                    Ok(gone) => went |= gone,
                    Err(error @ (MapError::Busy { .. } | MapError::Locked { .. })) => {
                        tracing::debug!(volume = %id, %error, "stays in the trash for now");
                    }
                    Err(error) => {
                        tracing::warn!(volume = %id, %error, "stays in the trash for now");
                    }
                }
            }
            if !went {
                return Ok(());
            }
        }
    }

    /// Gives back what a line stands for, when its time is over; a line that stands for nothing goes at once. Tells whether something went.
    pub(super) async fn empty(&self, id: VolumeId, ttl_seconds: u64) -> Result<bool, MapError> {
        let manage = self.manage.lock().await;
        let found = self.base.load_left(id).await?;
        let has_name_to_come = match &found {
            None => true,
            Some(loaded) => {
                !loaded.head.flags.nameless && !self.base.is_named(&loaded.head).await?
            }
        };
        if !has_name_to_come || self.holds_lock(id).await? {
            return self.empty_found(id, found, true, ttl_seconds, manage).await;
        }
        // MAKING-1
        self.base.lock(id, false).await?;
        let emptied = match self.base.load_left(id).await {
            Ok(found) => {
                self.empty_found(id, found, false, ttl_seconds, manage)
                    .await
            }
            Err(error) => Err(error),
        };
        self.unlock_quietly(id).await;
        emptied
    }

    async fn empty_found(
        &self,
        id: VolumeId,
        found: Option<Loaded>,
        may_be_left: bool,
        ttl_seconds: u64,
        manage: MutexGuard<'_, ()>,
    ) -> Result<bool, MapError> {
        let Some(loaded) = found else {
            // Of a head that is gone, or never was.
            self.base.delete_edges_of_nobody(id).await?;
            self.base.forget_lock(id).await?;
            self.base.delete_quietly(&names::trash(id)).await?;
            return Ok(false);
        };
        let head = &loaded.head;
        if self.base.is_named(head).await? {
            loaded.check_whole()?;
            // It was made wholly, or its removal was cut off before it counted.
            self.end_making_left(id).await?;
            self.base.delete_quietly(&names::trash(id)).await?;
            return Ok(false);
        }
        let since = head.flags.trashed_at_seconds.map_or(0, u64::from);
        if since.saturating_add(ttl_seconds) > self.base.world.now_seconds() {
            return Ok(false);
        }
        if self.held.borrow().contains_key(&id) {
            return Ok(false);
        }
        let directory = Directory::of(head);
        self.base.delete_entry(directory, &head.name, id).await?;
        if self.base.kin(id).await?.children.len() > 1 {
            self.end_making_left(id).await?; // a clone was hung from it
            return Ok(false);
        }
        let _going = Going::begin(&self.going, id);
        drop(manage);
        if let Some(volume) = self.open_volume(id) {
            // Its removal was cut off before it was closed.
            self.end_removed(&volume).await?;
            return Ok(true);
        }
        // A lock that was taken just now tells of nobody who had it open: it would be opened and closed for ever.
        if may_be_left && !head.flags.snapshot && !head.is_hollow() && self.holds_lock(id).await? {
            // The same, and then we died: the journal tells what was displaced.
            match self.open_now(id, Whom::Any).await {
                Ok(volume) => {
                    self.close_volume(&volume).await?;
                    return Ok(true);
                }
                // We died later: some of it is given back.
                Err(MapError::Missing { .. } | MapError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let token = self.base.lock(id, false).await?.token;
        let outcome = self.fold_away(id, token).await;
        if !matches!(outcome, Ok(Folded::Wholly)) {
            self.base.let_go(id).await?;
            self.unlock_quietly(id).await;
        }
        outcome.map(|folded| folded != Folded::NotNow)
    }

    /// Closes what is in the trash, unless somebody uses it (GONE-5): an entry that is lost makes nothing removed.
    async fn end_removed(&self, volume: &Volume<W>) -> Result<(), MapError> {
        let (is_nameless, is_used) =
            volume.with_state(|state| (state.head.flags.nameless, !state.composers.is_empty()));
        match (is_nameless, is_used) {
            (true, _) => self.close_volume(volume).await,
            (false, true) => Err(MapError::Busy {
                name: volume.name(),
                by: "it has lost its name, and is attached on this node; detach it first".into(),
            }),
            (false, false) => volume.abandon().await,
        }
    }

    /// A volume that was opened for our own sake does not stay open.
    pub(super) async fn close_unused(&self, id: VolumeId) {
        let Some(volume) = self.open_volume(id) else {
            return;
        };
        if volume.with_state(|state| state.is_asked_for || !state.composers.is_empty()) {
            return; // HELD-2
        }
        match self.close_volume(&volume).await {
            Ok(()) | Err(MapError::NotOpen { .. }) => {}
            Err(error) => tracing::warn!(volume = %id, %error, "it stays open"),
        }
    }
}

/// Nobody gives an id a name while what it has is given back.
pub(super) struct Going<'a> {
    going: &'a RefCell<BTreeSet<VolumeId>>,
    id: VolumeId,
}

impl<'a> Going<'a> {
    pub(super) fn begin(going: &'a RefCell<BTreeSet<VolumeId>>, id: VolumeId) -> Self {
        going.borrow_mut().insert(id);
        Self { going, id }
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.going.borrow_mut().remove(&self.id);
    }
}
