//! The mapper: all volumes of a store, by name.
//!
//! # Invariants
//! * **MAPPER-1** A volume is open at most once here: its lock does not tell two openers of one owner apart.
//! * **MAPPER-2** Management changes one thing at a time; I/O of volumes goes on meanwhile.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use archipelago_runtime::local::Mutex;

use super::error::MapError;
use super::load::{Loaded, View};
use super::names;
use super::remove::{Beside, Neighbour};
use super::volume::Volume;
use super::world::{Base, World};
use crate::map::journal::Record;
use crate::map::{Head, HeadFlags, NameKind, Shape, Stamp, VOLUME_BYTES_MAX, Version, VolumeId};

/// What a new volume is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateOptions {
    /// The origin's if there is one and this is missing.
    pub size: Option<u64>,
    pub origin: Option<Origin>,
    /// For a volume without an origin.
    pub shape: Shape,
}

/// What a clone begins as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A snapshot of this name.
    Snapshot(String),
    /// A snapshot, or what a volume of this name is now.
    Any(String),
}

#[derive(Debug)]
pub struct Mapper<W: World> {
    base: Rc<Base<W>>,
    open: RefCell<BTreeMap<VolumeId, Rc<Volume<W>>>>,
    opening: Mutex<()>,
    /// MAPPER-2
    manage: Mutex<()>,
    emptying: Mutex<()>,
}

impl<W: World> Mapper<W> {
    pub fn new(base: Rc<Base<W>>) -> Self {
        Self {
            base,
            open: RefCell::default(),
            opening: Mutex::new(()),
            manage: Mutex::new(()),
            emptying: Mutex::new(()),
        }
    }

    pub fn base(&self) -> &Rc<Base<W>> {
        &self.base
    }

    /// The open volumes.
    pub fn volumes(&self) -> Vec<Rc<Volume<W>>> {
        self.open.borrow().values().cloned().collect()
    }

    pub fn open_volume(&self, id: VolumeId) -> Option<Rc<Volume<W>>> {
        self.open
            .borrow()
            .get(&id)
            .filter(|volume| !volume.is_closed())
            .cloned()
    }

    /// The open volume of this id, opened if it is not.
    pub async fn open_id(&self, id: VolumeId, wait: bool) -> Result<Rc<Volume<W>>, MapError> {
        if let Some(volume) = self.open_volume(id) {
            return Ok(volume);
        }
        // Whoever waits for a foreign lock waits here, and not in anybody's way.
        if wait {
            self.base.lock(id, true).await?;
        }
        let _opening = self.opening.lock().await;
        if let Some(volume) = self.open_volume(id) {
            return Ok(volume);
        }
        let volume = Volume::open(self.base.clone(), id, false).await?;
        self.open.borrow_mut().insert(id, volume.clone());
        Ok(volume)
    }

    pub async fn open(&self, name: &str, wait: bool) -> Result<Rc<Volume<W>>, MapError> {
        let loaded = self.find(name).await?;
        self.open_id(loaded.head.id, wait).await
    }

    /// What stands under this name; an open volume tells it as of now.
    pub async fn find(&self, name: &str) -> Result<Loaded, MapError> {
        self.base.found(name).await
    }

    /// Opens the volumes whose locks are ours: they were open when the last mapper died, and their journals tell what is
    /// to be given back.
    pub async fn open_left(&self) -> Result<(), MapError> {
        for entry in self.base.entries().await? {
            let record = self.base.lock_record(entry.id).await?;
            if record.is_none_or(|record| record.owner != *self.base.world.owner()) {
                continue;
            }
            match self.open_id(entry.id, false).await {
                Ok(_) | Err(MapError::ReadOnly { .. } | MapError::NotFound { .. }) => {}
                Err(error) => tracing::warn!(volume = entry.name, %error, "not opened again"),
            }
        }
        Ok(())
    }

    pub async fn close(&self, name: &str) -> Result<(), MapError> {
        let loaded = self.find(name).await?;
        let volume = self
            .open_volume(loaded.head.id)
            .ok_or_else(|| MapError::NotOpen {
                name: name.to_owned(),
            })?;
        self.close_volume(&volume).await
    }

    pub async fn close_volume(&self, volume: &Volume<W>) -> Result<(), MapError> {
        let closed = volume.close().await;
        if volume.is_closed() {
            self.open.borrow_mut().remove(&volume.id);
        }
        closed
    }

    /// Closes all volumes, as far as that is possible.
    pub async fn close_all(&self) -> Result<(), MapError> {
        let mut outcome = Ok(());
        for volume in self.volumes() {
            let closed = self.close_volume(&volume).await;
            if outcome.is_ok() {
                outcome = closed;
            }
        }
        outcome
    }

    /// Makes a volume. `id` is the caller's choice: asked again with the same, it is made already.
    pub async fn create(
        &self,
        name: &str,
        id: VolumeId,
        options: &CreateOptions,
    ) -> Result<(), MapError> {
        let _manage = self.manage.lock().await;
        if let Some(found) = self.base.find(name).await? {
            return if found.head.id == id {
                Ok(())
            } else {
                Err(MapError::Exists {
                    name: name.to_owned(),
                })
            };
        }
        let head = match &options.origin {
            None => self.new_head(name, id, options)?,
            Some(origin) => self.head_of_clone(name, id, origin, options).await?,
        };
        if self.base.load(id).await?.is_none() {
            if let Some(parent) = head.parent {
                self.base.create_edge(parent, id).await?;
            }
            self.base.create_head(&head).await?;
        }
        self.base.create_entry(name, id, NameKind::Volume).await
    }

    fn new_head(
        &self,
        name: &str,
        id: VolumeId,
        options: &CreateOptions,
    ) -> Result<Head, MapError> {
        let size_bytes = options.size.ok_or_else(|| MapError::Invalid {
            what: "a new volume",
            why: "it has neither a size nor an origin".into(),
        })?;
        check_size(size_bytes)?;
        Ok(Head {
            id,
            version: Version {
                token: 0,
                number: 1,
            },
            shape: options.shape,
            size_bytes,
            floor: Stamp::ZERO,
            ceiling: Stamp::ZERO,
            parent: None,
            root: None,
            flags: HeadFlags::default(),
            name: name.to_owned(),
            segments: Vec::new(),
            next_page_number: 0,
            created_seconds: self.base.world.now_seconds(),
        })
    }

    async fn head_of_clone(
        &self,
        name: &str,
        id: VolumeId,
        origin: &Origin,
        options: &CreateOptions,
    ) -> Result<Head, MapError> {
        let (Origin::Snapshot(from) | Origin::Any(from)) = origin;
        let mut loaded = self.find(from).await?;
        if !loaded.head.flags.snapshot {
            if matches!(origin, Origin::Snapshot(_)) {
                return Err(MapError::Invalid {
                    what: "the origin",
                    why: format!(
                        "{from} is a volume: snapshot it first, or clone it with `vlmc clone`"
                    ),
                });
            }
            loaded = self.freeze_for_clone(loaded.head.id).await?;
        }
        let origin = loaded.head;
        let size_bytes = options.size.unwrap_or(origin.size_bytes);
        check_size(size_bytes)?;
        if size_bytes < origin.size_bytes {
            return Err(MapError::Invalid {
                what: "the size",
                why: format!(
                    "{size_bytes} bytes are less than the {} of {from}",
                    origin.size_bytes
                ),
            });
        }
        Ok(Head {
            id,
            version: Version {
                token: 0,
                number: 1,
            },
            size_bytes,
            floor: Stamp::ZERO,
            ceiling: Stamp::ZERO,
            parent: Some(origin.id),
            flags: HeadFlags::default(),
            name: name.to_owned(),
            next_page_number: 0,
            created_seconds: self.base.world.now_seconds(),
            ..origin
        })
    }

    /// A nameless snapshot of a volume, to hang a clone from.
    async fn freeze_for_clone(&self, id: VolumeId) -> Result<Loaded, MapError> {
        let volume = self.open_id(id, false).await?;
        let frozen = self.base.world.random_id();
        self.base.put_in_trash(frozen).await?;
        volume.snapshot(frozen, "").await?;
        self.base
            .load(frozen)
            .await?
            .ok_or_else(|| MapError::NotFound {
                name: frozen.to_string(),
            })
    }

    /// Makes a snapshot of a volume.
    pub async fn snapshot(&self, name: &str, snapshot: &str, id: VolumeId) -> Result<(), MapError> {
        let _manage = self.manage.lock().await;
        match self.base.find(snapshot).await? {
            Some(found) if found.head.id == id => return Ok(()),
            Some(_) => {
                return Err(MapError::Exists {
                    name: snapshot.to_owned(),
                });
            }
            None => {}
        }
        if self.base.load(id).await?.is_none() {
            let volume = self.open(name, false).await?;
            volume.snapshot(id, snapshot).await?;
        }
        self.base
            .create_entry(snapshot, id, NameKind::Snapshot)
            .await
    }

    pub async fn rename(&self, name: &str, to: &str) -> Result<(), MapError> {
        let _manage = self.manage.lock().await;
        let loaded = self.find(name).await?;
        let id = loaded.head.id;
        self.base.check_free(to).await?;
        let kind = kind_of(&loaded.head);
        self.base.create_entry(to, id, kind).await?;
        if loaded.head.flags.snapshot {
            let token = self.base.lock(id, false).await?;
            let changed = self
                .base
                .change_head(id, token, |head| head.name = to.to_owned())
                .await;
            self.unlock_quietly(id).await;
            changed?;
        } else {
            let volume = self.open_id(id, false).await?;
            volume
                .record(Record::Name {
                    name: to.to_owned(),
                })
                .await?;
        }
        self.base.delete_entry(name, id).await
    }

    pub async fn resize(&self, name: &str, bytes: u64, allow_shrink: bool) -> Result<(), MapError> {
        let _manage = self.manage.lock().await;
        let volume = self.open(name, false).await?;
        if bytes < volume.size_bytes() && !allow_shrink {
            return Err(MapError::Invalid {
                what: "the size",
                why: format!(
                    "{bytes} bytes are less than the {} that {name} has, and what is cut off is lost; say --allow-shrink if that is meant",
                    volume.size_bytes()
                ),
            });
        }
        volume.resize(bytes).await
    }

    /// Takes a volume's or snapshot's name. Its space is given back when the trash is emptied.
    pub async fn remove(&self, name: &str) -> Result<(), MapError> {
        let _manage = self.manage.lock().await;
        let loaded = self.find(name).await?;
        let id = loaded.head.id;
        let now = self.base.world.now_seconds();
        let mut flags = loaded.head.flags;
        flags.nameless = true;
        flags.trashed_at_seconds = std::num::NonZeroU64::new(now);
        if flags.snapshot {
            let token = self.base.lock(id, false).await?;
            self.base.put_in_trash(id).await?;
            let changed = self
                .base
                .change_head(id, token, |head| head.flags = flags)
                .await;
            self.unlock_quietly(id).await;
            changed?;
        } else {
            let volume = self.open_id(id, false).await?;
            if volume.with_state(|state| !state.composers.is_empty()) {
                return Err(MapError::Busy {
                    name: name.to_owned(),
                    by: "it is attached on this node; detach it first".into(),
                });
            }
            self.base.put_in_trash(id).await?;
            volume.record(Record::Flags(flags)).await?;
            self.close_volume(&volume).await?;
        }
        self.base.delete_entry(name, id).await
    }

    async fn unlock_quietly(&self, id: VolumeId) {
        if let Err(error) = self.base.unlock(id, false).await {
            tracing::warn!(volume = %id, %error, "the lock is kept");
        }
    }

    /// Gives back what was removed at least `ttl_seconds` ago, and ends what was begun.
    pub async fn empty_trash(&self, ttl_seconds: u64) -> Result<(), MapError> {
        let _emptying = self.emptying.lock().await;
        // One that goes may free its parent to go.
        loop {
            let mut went = false;
            for id in self.base.trash().await? {
                match self.empty(id, ttl_seconds).await {
                    Ok(gone) => went |= gone,
                    Err(MapError::Busy { name, by }) => {
                        tracing::debug!(volume = %id, name, by, "stays in the trash for now");
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

    async fn empty(&self, id: VolumeId, ttl_seconds: u64) -> Result<bool, MapError> {
        let manage = self.manage.lock().await;
        let Some(loaded) = self.base.load(id).await? else {
            // Of a snapshot that was never made, or of a head that is gone.
            self.base.delete_quietly(&names::trash(id)).await?;
            return Ok(false);
        };
        let flags = loaded.head.flags;
        if !flags.nameless {
            // The removal was cut off before it counted.
            self.base.delete_quietly(&names::trash(id)).await?;
            return Ok(false);
        }
        let since = flags.trashed_at_seconds.map_or(0, u64::from);
        if since.saturating_add(ttl_seconds) > self.base.world.now_seconds() {
            return Ok(false);
        }
        self.base.delete_entry(&loaded.head.name, id).await?;
        let children = self.base.children(id).await?;
        let child = match children.as_slice() {
            [] => None,
            [child] => Some(*child),
            _ => return Ok(false),
        };
        drop(manage);
        if let Some(volume) = self.open_volume(id) {
            // Its removal was cut off before it was closed.
            self.close_volume(&volume).await?;
            return Ok(true);
        }
        self.base.lock(id, false).await?;
        let outcome = self.fold_away(loaded, child).await;
        if outcome.is_err() {
            self.unlock_quietly(id).await;
        }
        outcome.map(|()| true)
    }

    /// Gives back what the head alone has, and hangs its child, if it has one, from its parent (GONE-3).
    async fn fold_away(&self, gone: Loaded, child: Option<VolumeId>) -> Result<(), MapError> {
        let id = gone.head.id;
        let parent = match gone.head.parent {
            None => None,
            Some(parent) => self
                .base
                .load(parent)
                .await?
                .map(|parent| Rc::new(View::of(parent))),
        };
        let gone = View::of(gone);
        let mut beside = Beside {
            parent: parent.map(Neighbour::Still),
            child: None,
        };
        let Some(child) = child else {
            self.base.give_back(&gone, &beside).await?;
            return self.base.delete_head(&gone, &beside).await;
        };
        let loaded = self
            .base
            .load(child)
            .await?
            .ok_or_else(|| MapError::NotFound {
                name: child.to_string(),
            })?;
        let parent_id = gone.head.parent;
        if let Some(parent) = parent_id {
            self.base.create_edge(parent, child).await?;
        }
        if loaded.head.flags.snapshot {
            let token = self.base.lock(child, false).await?;
            beside.child = Some(Neighbour::Still(Rc::new(View::of(loaded))));
            let folded = async {
                self.base.give_back(&gone, &beside).await?;
                self.base
                    .change_head(child, token, |head| head.parent = parent_id)
                    .await
            };
            let folded = folded.await;
            self.unlock_quietly(child).await;
            folded?;
        } else {
            let volume = self.open_id(child, false).await?;
            let _change = volume.begin_change().await;
            beside.child = Some(Neighbour::Open(volume.clone()));
            self.base.give_back(&gone, &beside).await?;
            volume.set_parent(parent_id).await?;
        }
        tracing::debug!(volume = %id, child = %child, "folded into its child");
        self.base.delete_head(&gone, &beside).await
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
                Err(error) => tracing::warn!(volume = %volume.id, %error, "not tidied up"),
            }
        }
    }
}

pub fn kind_of(head: &Head) -> NameKind {
    if head.flags.snapshot {
        NameKind::Snapshot
    } else {
        NameKind::Volume
    }
}

fn check_size(bytes: u64) -> Result<(), MapError> {
    if (1..=VOLUME_BYTES_MAX).contains(&bytes) {
        return Ok(());
    }
    Err(MapError::Invalid {
        what: "the size",
        why: format!("{bytes} bytes; 1 to 2^63 are possible"),
    })
}
