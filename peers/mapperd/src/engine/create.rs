//! Making volumes, clones and snapshots.
//!
//! What is being made is listed in the trash until it has its name: whoever finds it there without one gives it back.

use std::cell::Cell;

use super::directory::Directory;
use super::error::MapError;
use super::load::Loaded;
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
                Ok(())
            } else {
                Err(MapError::Exists {
                    name: name.to_owned(),
                })
            };
        }
        let is_made = self.is_made(name, id).await?;
        self.base.begin_making(id).await?; // MAKING-1
        let made = self.make(name, id, options, is_made).await;
        self.base.end_making(id).await;
        made
    }

    async fn make(
        &self,
        name: &str,
        id: VolumeId,
        options: &CreateOptions,
        is_made: bool,
    ) -> Result<(), MapError> {
        if !is_made {
            let head = match &options.origin {
                None => self.new_head(name, id, options)?,
                Some(origin) => self.head_of_clone(name, id, origin, options).await?,
            };
            if let Some(parent) = head.parent {
                self.base.create_edge(parent, id).await?;
            }
            self.base.create_head(&head).await?;
        }
        self.name_it(name, id, NameKind::Volume).await
    }

    /// Does a head of this id wait for its name? It cannot, if it had it once and lost it.
    async fn is_made(&self, name: &str, id: VolumeId) -> Result<bool, MapError> {
        if self.going.borrow().contains(&id) {
            return Err(already_used(id));
        }
        match self.base.load(id).await? {
            None => Ok(false),
            Some(loaded) if loaded.head.name == name && !loaded.head.flags.nameless => Ok(true),
            Some(_) => Err(already_used(id)),
        }
    }

    async fn name_it(&self, name: &str, id: VolumeId, kind: NameKind) -> Result<(), MapError> {
        self.base
            .create_entry(Directory::Names, name, id, kind)
            .await?;
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

    async fn head_of_clone(
        &self,
        name: &str,
        id: VolumeId,
        origin: &Origin,
        options: &CreateOptions,
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
            loaded = self.freeze_for_clone(loaded.head.id).await?;
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
    async fn freeze_for_clone(&self, id: VolumeId) -> Result<Loaded, MapError> {
        let frozen = self.base.world.random_id();
        self.base.put_in_trash(frozen).await?;
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
            Some(found) if found.head.id == id => return Ok(()),
            Some(_) => {
                return Err(MapError::Exists {
                    name: snapshot.to_owned(),
                });
            }
            None => {}
        }
        let of = self.find(name).await?.head.id;
        let has_begun = Cell::new(false);
        let made = self.make_snapshot(of, snapshot, id, &has_begun).await;
        if has_begun.get() {
            self.base.end_making(id).await;
        }
        made
    }

    async fn make_snapshot(
        &self,
        of: VolumeId,
        snapshot: &str,
        id: VolumeId,
        has_begun: &Cell<bool>,
    ) -> Result<(), MapError> {
        self.with_open(of, async |volume| {
            // A head that the volume never took is no snapshot (DRAFT-1).
            volume.settle_drafts().await?;
            let is_made = self.is_made(snapshot, id).await?;
            self.base.begin_making(id).await?; // MAKING-1
            has_begun.set(true);
            match is_made {
                true => Ok(()),
                false => volume.snapshot(id, snapshot).await,
            }
        })
        .await?;
        self.name_it(snapshot, id, NameKind::Snapshot).await
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

fn already_used(id: VolumeId) -> MapError {
    MapError::Invalid {
        what: "the id of what is to be made",
        why: format!("{id} is that of something that was made, and renamed or removed since"),
    }
}
