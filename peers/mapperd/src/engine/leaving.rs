//! A head that goes is folded into what hangs from it (GONE-2, GONE-3).

use std::rc::Rc;

use super::beside::{Beside, Kin, Neighbour};
use super::error::MapError;
use super::load::Loaded;
use super::manage::goes_on_without_space;
use super::mapper::Mapper;
use super::names;
use super::remove::Topmost;
use super::trash::Going;
use super::view::View;
use super::volume::Whom;
use super::world::World;
use crate::map::{Head, Version, VolumeId};

/// What became of a head that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// What it alone had is given back, and it is gone.
    Wholly,
    /// Its volume never took it, or nobody ever had it: it is gone, and nothing of what it named was its own (DRAFT-1).
    WasDraft,
    /// Others have changed what lies beside it: the next time.
    NotNow,
}

/// A head that goes, and what lies beside it.
struct Leaving<W: World> {
    gone: View,
    older: Vec<Version>,
    beside: Beside<W>,
    /// Of its lock, which is held.
    token: u64,
}

impl<W: World> Mapper<W> {
    /// Gives back what the head alone has, and hangs its child, if it has one, from its parent (GONE-3). Its lock is held.
    pub(super) async fn fold_away(&self, id: VolumeId, token: u64) -> Result<Folded, MapError> {
        // What failed of it before does not matter any more.
        self.base.believe(id).await?;
        let Some(loaded) = self.load_to_go(id, token).await? else {
            return Ok(Folded::NotNow);
        };
        if is_unused(&loaded.head) {
            self.base.delete_draft(id).await?;
            return Ok(Folded::WasDraft);
        }
        let Kin {
            children,
            strays,
            has_lost,
        } = self.base.kin(id).await?;
        if !children.is_empty() {
            loaded.check_whole()?; // GONE-7
        }
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
        self.base.check_token(id, token).await?; // TAKEN-1
        if self.base.versions(id).await?.last() != Some(&gone.head.version) {
            return Ok(Folded::NotNow); // GONE-9
        }
        let beside = Beside {
            parent,
            child: None,
            strays,
        };
        let leaving = Leaving {
            gone,
            older,
            beside,
            token,
        };
        match (children.as_slice(), leaving.beside.strays.as_slice()) {
            ([child], _) => {
                let loaded = self.loaded(*child).await?;
                self.fold_into(leaving, loaded).await
            }
            ([], []) if !has_lost => {
                self.base
                    .give_back_objects(&leaving.gone, &leaving.beside)
                    .await?;
                self.leave(&leaving).await
            }
            ([], [stray]) if !has_lost => {
                let above = leaving.gone.head.parent;
                match self.base.topmost(stray.id, id, above).await? {
                    Topmost::Is(topmost) => self.fold_into(leaving, *topmost).await,
                    Topmost::HangsFromIt => Ok(Folded::NotNow),
                    Topmost::Nobody => self.leave_to_gc(&leaving).await,
                }
            }
            ([], _) => self.leave_to_gc(&leaving).await,
            _ => Ok(Folded::NotNow),
        }
    }

    /// What is to go. A snapshot that was to be named is not to be named any more (GONE-10).
    async fn load_to_go(&self, id: VolumeId, token: u64) -> Result<Option<Loaded>, MapError> {
        let loaded = self.base.load_left(id).await?;
        let is_to_be_named = |loaded: &Loaded| {
            let flags = &loaded.head.flags;
            flags.snapshot && !flags.nameless && loaded.missing.is_none()
        };
        if !loaded.as_ref().is_some_and(is_to_be_named) {
            return Ok(loaded);
        }
        let change = |head: &mut Head| head.flags.nameless = true;
        goes_on_without_space(self.base.change_head(id, token, change).await)?;
        self.base.load_left(id).await
    }

    async fn loaded(&self, id: VolumeId) -> Result<Loaded, MapError> {
        let loaded = self.base.load(id).await?;
        loaded.ok_or_else(|| MapError::NotFound {
            name: id.to_string(),
        })
    }

    /// Its objects are given back, and nothing hangs from it: its pages, and the last of it.
    async fn leave(&self, leaving: &Leaving<W>) -> Result<Folded, MapError> {
        let Leaving {
            gone,
            older,
            beside,
            token,
        } = leaving;
        self.base.give_back_pages(gone, beside).await?;
        self.base
            .delete_head(gone, older, Some(beside), *token)
            .await?;
        Ok(Folded::Wholly)
    }

    /// What it has may be somebody's who cannot be found from here (GONE-4). Nobody comes here who died once only.
    async fn leave_to_gc(&self, leaving: &Leaving<W>) -> Result<Folded, MapError> {
        let Leaving {
            gone, older, token, ..
        } = leaving;
        tracing::info!(volume = %gone.head.id, "what it had is left to gc: who else has it cannot be told");
        self.base.delete_head(gone, older, None, *token).await?;
        Ok(Folded::Wholly)
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
    async fn fold_into(&self, leaving: Leaving<W>, below: Loaded) -> Result<Folded, MapError> {
        let (gone, id) = (leaving.gone.head.id, below.head.id);
        let folded = if below.head.flags.snapshot {
            // Whoever changes its name has the lock from us, or we have it from him: it is given back once (GONE-9).
            let manage = self.manage.lock().await;
            if self.in_making.borrow().contains(&id) {
                return Ok(Folded::NotNow); // MAKING-2
            }
            let folding = Going::begin(&self.folded_into, id);
            let token = self.base.lock(id, false).await?.token;
            drop(manage);
            let folded = self.fold_into_snapshot(leaving, id, token).await;
            let manage = self.manage.lock().await;
            self.unlock_quietly(id).await;
            drop(folding);
            drop(manage);
            folded?
        } else {
            let was_open = self.open_volume(id).is_some();
            let folded = self.fold_into_volume(leaving, id).await;
            if !was_open {
                self.close_unused(id).await;
            }
            folded?
        };
        tracing::debug!(volume = %gone, into = %id, ?folded, "folded, or not");
        Ok(folded)
    }

    async fn fold_into_snapshot(
        &self,
        mut leaving: Leaving<W>,
        id: VolumeId,
        token: u64,
    ) -> Result<Folded, MapError> {
        let (gone, parent) = (leaving.gone.head.id, leaving.gone.head.parent);
        let below = self.loaded(id).await?;
        let hangs = below.head.parent == Some(gone);
        if !hangs && below.head.parent != parent {
            return Ok(Folded::NotNow);
        }
        self.base.check_token(id, token).await?; // TAKEN-1
        leaving.beside.child = Some(Neighbour::Still(Rc::new(View::of(below))));
        self.base
            .give_back_objects(&leaving.gone, &leaving.beside)
            .await?;
        if hangs {
            if let Some(parent) = parent {
                self.base.create_edge(parent, id).await?;
            }
            // Not while it gets another name, or loses it.
            let _manage = self.manage.lock().await;
            if self.loaded(id).await?.head.parent != Some(gone) {
                return Ok(Folded::NotNow);
            }
            self.base.check_token(id, token).await?; // TAKEN-1
            let change = |head: &mut Head| head.parent = parent;
            self.base.change_head(id, token, change).await?;
        }
        self.leave(&leaving).await
    }

    async fn fold_into_volume(
        &self,
        mut leaving: Leaving<W>,
        id: VolumeId,
    ) -> Result<Folded, MapError> {
        let (gone, parent) = (leaving.gone.head.id, leaving.gone.head.parent);
        let volume = self.open_now(id, Whom::Any).await?;
        let _change = volume.begin_change().await; // GONE-8
        let hangs = volume.parent() == Some(gone);
        if volume.has_ended() || !(hangs || volume.parent() == parent) {
            return Ok(Folded::NotNow);
        }
        volume.settle_drafts_in_change().await?;
        volume.check_lock().await?; // TAKEN-1
        if self.base.versions(gone).await?.is_empty() {
            return Ok(Folded::WasDraft);
        }
        leaving.beside.child = Some(Neighbour::Open(volume.clone()));
        self.base
            .give_back_objects(&leaving.gone, &leaving.beside)
            .await?;
        if hangs {
            if let Some(parent) = parent {
                self.base.create_edge(parent, id).await?;
            }
            volume.set_parent(parent).await?;
        }
        self.leave(&leaving).await
    }
}

/// A volume that nobody has opened, for it never had its name.
fn is_unused(head: &Head) -> bool {
    !head.flags.snapshot && !head.flags.nameless && head.version.token == 0
}
