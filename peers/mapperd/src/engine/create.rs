//! Making volumes, clones and snapshots.
//!
//! What is being made is listed in the trash until it has its name: whoever finds it there without one gives it back.

use std::cell::OnceCell;

use super::directory::Directory;
use super::error::MapError;
use super::load::Loaded;
use super::making::InMaking;
use super::mapper::Mapper;
use super::names;
use super::world::World;
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
    /// Content, by its hash.
    Hash(String),
}

impl<W: World> Mapper<W> {
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
                self.end_making_left(id).await
            } else {
                Err(MapError::Exists {
                    name: name.to_owned(),
                })
            };
        }
        let begun = self.begun(name, id).await?;
        let making = self.lock_to_make(id).await?; // MAKING-1
        let made = self.make(name, &making, options, begun).await;
        self.end_making_volume(making).await;
        made
    }

    async fn make(
        &self,
        name: &str,
        making: &InMaking<'_, W>,
        options: &CreateOptions,
        begun: Option<Head>,
    ) -> Result<(), MapError> {
        let id = making.id();
        let head = match begun {
            Some(head) => head,
            None => {
                let mut frozen = None;
                let made = self.make_head(name, id, options, &mut frozen).await;
                if let Some(frozen) = frozen {
                    self.end_making_snapshot(frozen).await;
                }
                made?
            }
        };
        // MAKING-4
        if let Some(parent) = head.parent
            && let Err(error) = self.check_parent(parent).await
        {
            if matches!(error, MapError::NotFound { .. }) {
                self.base.delete_draft(id).await?;
            }
            return Err(error.about(options.origin.as_ref()));
        }
        self.name_it(name, making, NameKind::Volume).await
    }

    async fn make_head<'a>(
        &'a self,
        name: &str,
        id: VolumeId,
        options: &CreateOptions,
        frozen: &mut Option<InMaking<'a, W>>,
    ) -> Result<Head, MapError> {
        let head = match &options.origin {
            None => self.new_head(name, id, options)?,
            Some(origin) => {
                self.head_of_clone(name, id, origin, options, frozen)
                    .await?
            }
        };
        if let Some(parent) = head.parent {
            self.base.write_parent_in_trash(id, parent).await?; // MAKING-5
            self.base.create_edge(parent, id).await?;
        }
        self.base.create_head(&head).await?;
        // Then what it hangs from is still there (MAKING-1).
        if let Some(frozen) = frozen {
            let checked = frozen.check_lock().await;
            if checked.is_err() {
                self.base.delete_draft(id).await?;
            }
            checked?;
        }
        Ok(head)
    }

    /// The head of this id that waits for its name. None does, if it had it once and lost it.
    async fn begun(&self, name: &str, id: VolumeId) -> Result<Option<Head>, MapError> {
        if self.going.borrow().contains(&id) {
            return Err(already_used(id));
        }
        match self.base.load(id).await? {
            None => Ok(None),
            Some(loaded) if loaded.head.name == name && !loaded.head.flags.nameless => {
                Ok(Some(loaded.head))
            }
            // GONE-10: it never had its name.
            Some(loaded) if loaded.head.flags.trashed_at_seconds.is_none() => Err(tidied_up(id)),
            Some(_) => Err(already_used(id)),
        }
    }

    async fn name_it(
        &self,
        name: &str,
        making: &InMaking<'_, W>,
        kind: NameKind,
    ) -> Result<(), MapError> {
        let id = making.id();
        self.base
            .create_entry(Directory::Names, name, id, kind)
            .await?;
        making.check_lock().await?;
        self.base.delete_quietly(&names::trash(id)).await
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
            has_content: false,
            name: name.to_owned(),
            segments: Vec::new(),
            next_page_number: 0,
            created_seconds: self.base.world.now_seconds(),
        })
    }

    async fn head_of_clone<'a>(
        &'a self,
        name: &str,
        id: VolumeId,
        origin: &Origin,
        options: &CreateOptions,
        frozen: &mut Option<InMaking<'a, W>>,
    ) -> Result<Head, MapError> {
        let (Origin::Snapshot(from) | Origin::Any(from) | Origin::Hash(from)) = origin;
        let mut loaded = match origin {
            Origin::Hash(hash) => self.find_hash(hash).await?,
            _ => self.find(from).await?,
        };
        if !loaded.head.flags.snapshot {
            if matches!(origin, Origin::Snapshot(_)) {
                return Err(MapError::NotASnapshot { name: from.clone() });
            }
            loaded = self.freeze_for_clone(loaded.head.id, frozen).await?;
        }
        let origin = loaded.head;
        let size_bytes = options.size.unwrap_or(origin.size_bytes);
        check_size(size_bytes)?;
        if size_bytes < origin.size_bytes {
            return Err(MapError::Smaller {
                name: from.clone(),
                bytes: size_bytes,
                least: origin.size_bytes,
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
    async fn freeze_for_clone<'a>(
        &'a self,
        id: VolumeId,
        making: &mut Option<InMaking<'a, W>>,
    ) -> Result<Loaded, MapError> {
        let frozen = self.base.world.random_id();
        *making = Some(self.lock_to_make(frozen).await?); // MAKING-1
        self.with_open(id, async |volume| volume.snapshot(frozen, "").await)
            .await?;
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
            Some(found) if found.head.id == id => return self.end_making_left(id).await,
            Some(_) => {
                return Err(MapError::Exists {
                    name: snapshot.to_owned(),
                });
            }
            None => {}
        }
        let of = self.find(name).await?.head.id;
        let making = OnceCell::new();
        let made = self.make_snapshot(of, snapshot, id, &making).await;
        if let Some(making) = making.into_inner() {
            self.end_making_snapshot(making).await;
        }
        made
    }

    async fn make_snapshot<'a>(
        &'a self,
        of: VolumeId,
        snapshot: &str,
        id: VolumeId,
        making: &OnceCell<InMaking<'a, W>>,
    ) -> Result<(), MapError> {
        self.with_open(of, async |volume| {
            // A head that the volume never took is no snapshot (DRAFT-1).
            volume.settle_drafts().await?;
            let begun = self.begun(snapshot, id).await?;
            if making.get().is_none() {
                let begun = self.lock_to_make(id).await?; // MAKING-1
                drop(making.set(begun));
            }
            match begun {
                Some(_) => Ok(()),
                None => volume.snapshot(id, snapshot).await,
            }
        })
        .await?;
        let making = making.get().ok_or_else(|| already_used(id))?;
        self.name_it(snapshot, making, NameKind::Snapshot).await
    }
}

impl MapError {
    /// What is not found is what was asked for.
    fn about(self, origin: Option<&Origin>) -> Self {
        match (self, origin) {
            (
                Self::NotFound { .. },
                Some(Origin::Snapshot(name) | Origin::Any(name) | Origin::Hash(name)),
            ) => Self::NotFound { name: name.clone() },
            (error, _) => error,
        }
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

/// What was begun of it by somebody who died is being given back.
pub(super) fn tidied_up(id: VolumeId) -> MapError {
    MapError::Busy {
        name: id.to_string(),
        by: "what was begun of it is being tidied up; ask again".into(),
    }
}

fn already_used(id: VolumeId) -> MapError {
    MapError::Invalid {
        what: "the id of what is to be made",
        why: format!("{id} is that of something that was made, and renamed or removed since"),
    }
}
