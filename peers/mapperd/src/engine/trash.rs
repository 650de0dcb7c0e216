//! The trash: what was removed waits there, and what was cut off while it was made.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use archipelago_runtime::local::MutexGuard;

use super::beside::{Beside, Kin, Neighbour};
use super::directory::Directory;
use super::error::MapError;
use super::load::{Loaded, View};
use super::mapper::Mapper;
use super::names;
use super::volume::{Volume, Whom};
use super::world::World;
use crate::map::{Head, VolumeId};

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

    /// Tells whether something went.
    async fn empty(&self, id: VolumeId, ttl_seconds: u64) -> Result<bool, MapError> {
        let manage = self.manage.lock().await;
        let found = self.base.load(id).await?;
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
        let emptied = match self.base.load(id).await {
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
            self.base.delete_edges(id).await?;
            self.base.forget_lock(id).await?;
            self.base.delete_quietly(&names::trash(id)).await?;
            return Ok(false);
        };
        let head = &loaded.head;
        if self.base.is_named(head).await? {
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

    /// Gives back what the head alone has, and hangs its child, if it has one, from its parent (GONE-3). Its lock is held.
    async fn fold_away(&self, id: VolumeId, token: u64) -> Result<Folded, MapError> {
        let Some(loaded) = self.base.load(id).await? else {
            return Ok(Folded::NotNow);
        };
        // What failed of it before does not matter any more.
        self.base.believe(id).await?;
        let Kin { children, strays } = self.base.kin(id).await?;
        let mut older = loaded.older.clone();
        let gone = View::of(loaded);
        let parent = match self.parent_of(&gone.head).await {
            // An earlier try came as far as to cut it off: the edges go when the journal is gone.
            Err(MapError::Corrupt { .. }) if gone.head.is_hollow() => {
                older.clear();
                None
            }
            parent => parent?,
        };
        let mut beside = Beside {
            parent,
            child: None,
            strays,
        };
        let folded = match (children.as_slice(), beside.strays.as_slice()) {
            ([], []) => {
                self.base.give_back_objects(&gone, &beside).await?;
                self.base.give_back_pages(&gone, &beside).await?;
                Folded::Wholly
            }
            ([], [stray]) => match self.base.topmost(stray.id, gone.head.parent).await? {
                Some(topmost) => self.fold_into(&gone, topmost, &mut beside).await?,
                None => Folded::Wholly,
            },
            // What it has is somebody's. Nobody comes here who died once only.
            ([], _) => Folded::Wholly,
            ([child], _) => {
                let loaded = self.base.load(*child).await?;
                let loaded = loaded.ok_or_else(|| MapError::NotFound {
                    name: child.to_string(),
                })?;
                self.fold_into(&gone, loaded, &mut beside).await?
            }
            _ => Folded::NotNow,
        };
        if folded == Folded::Wholly {
            self.base.delete_head(&gone, &older, &beside, token).await?;
        }
        Ok(folded)
    }

    async fn parent_of(&self, head: &Head) -> Result<Option<Neighbour<W>>, MapError> {
        let Some(parent) = head.parent else {
            return Ok(None);
        };
        // Without it nobody can tell what others have of this: nothing may be given back.
        let loaded = self.base.load(parent).await?;
        let loaded = loaded.ok_or_else(|| MapError::Corrupt {
            object: names::edge(parent, head.id),
            why: format!("the parent {parent} has no head"),
        })?;
        Ok(Some(Neighbour::Still(Rc::new(View::of(loaded)))))
    }

    /// Folds the head into what hangs from it, or hung from it until we died.
    async fn fold_into(
        &self,
        gone: &View,
        below: Loaded,
        beside: &mut Beside<W>,
    ) -> Result<Folded, MapError> {
        let id = below.head.id;
        let folded = if below.head.flags.snapshot {
            if self.in_making.borrow().contains(&id) {
                return Ok(Folded::NotNow); // MAKING-2
            }
            let _folding = Going::begin(&self.folded_into, id);
            let token = self.base.lock(id, false).await?.token;
            let folded = self.fold_into_snapshot(gone, below, token, beside).await;
            self.unlock_quietly(id).await;
            folded?;
            Folded::Wholly
        } else {
            let was_open = self.open_volume(id).is_some();
            let folded = self.fold_into_volume(gone, id, beside).await;
            if !was_open {
                self.close_unused(id).await;
            }
            folded?
        };
        tracing::debug!(volume = %gone.head.id, into = %id, ?folded, "folded, or not");
        Ok(folded)
    }

    async fn fold_into_snapshot(
        &self,
        gone: &View,
        below: Loaded,
        token: u64,
        beside: &mut Beside<W>,
    ) -> Result<(), MapError> {
        let (parent, id) = (gone.head.parent, below.head.id);
        let hangs = below.head.parent == Some(gone.head.id);
        beside.child = Some(Neighbour::Still(Rc::new(View::of(below))));
        self.base.give_back_objects(gone, beside).await?;
        if hangs {
            if let Some(parent) = parent {
                self.base.create_edge(parent, id).await?;
            }
            // Not while it gets another name, or loses it.
            let _manage = self.manage.lock().await;
            let change = |head: &mut Head| head.parent = parent;
            self.base.change_head(id, token, change).await?;
        }
        self.base.give_back_pages(gone, beside).await
    }

    async fn fold_into_volume(
        &self,
        gone: &View,
        id: VolumeId,
        beside: &mut Beside<W>,
    ) -> Result<Folded, MapError> {
        let volume = self.open_now(id, Whom::Any).await?;
        let _change = volume.begin_change().await;
        let hangs = volume.parent() == Some(gone.head.id);
        if volume.has_ended() || !(hangs || volume.parent() == gone.head.parent) {
            return Ok(Folded::NotNow);
        }
        volume.settle_drafts_in_change().await?;
        if self.base.versions(gone.head.id).await?.is_empty() {
            return Ok(Folded::WasDraft);
        }
        let parent = gone.head.parent;
        beside.child = Some(Neighbour::Open(volume.clone()));
        self.base.give_back_objects(gone, beside).await?;
        if hangs {
            if let Some(parent) = parent {
                self.base.create_edge(parent, id).await?;
            }
            volume.set_parent(parent).await?;
        }
        self.base.give_back_pages(gone, beside).await?;
        Ok(Folded::Wholly)
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

/// What became of a head that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Folded {
    /// What it alone had is given back.
    Wholly,
    /// Its volume never took it: it is gone, and nothing of what it named was its own (DRAFT-1).
    WasDraft,
    /// Others have changed what lies beside it: the next time.
    NotNow,
}

/// Nobody gives an id a name while what it has is given back.
struct Going<'a> {
    going: &'a RefCell<BTreeSet<VolumeId>>,
    id: VolumeId,
}

impl<'a> Going<'a> {
    fn begin(going: &'a RefCell<BTreeSet<VolumeId>>, id: VolumeId) -> Self {
        going.borrow_mut().insert(id);
        Self { going, id }
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.going.borrow_mut().remove(&self.id);
    }
}
