//! Changing volumes as wholes: names, sizes, removal.

use std::rc::Rc;

use archipelago_store::StoreError;

use super::directory::Directory;
use super::error::MapError;
use super::load::Loaded;
use super::mapper::Mapper;
use super::volume::Volume;
use super::world::World;
use crate::map::journal::Record;
use crate::map::{Head, HeadFlags, NameKind, VolumeId};

impl<W: World> Mapper<W> {
    pub async fn rename(&self, name: &str, to: &str) -> Result<(), MapError> {
        let _manage = self.manage.lock().await;
        let Some(loaded) = self.base.find(name).await? else {
            return self.end_rename(name, to).await;
        };
        let id = loaded.head.id;
        self.base.check_free(to).await?;
        let kind = kind_of(&loaded.head);
        self.base
            .create_entry(Directory::Names, to, id, kind)
            .await?;
        if loaded.head.flags.snapshot {
            let token = self.base.lock(id, false).await?.token;
            let changed = self
                .base
                .change_head(id, token, |head| head.name = to.to_owned())
                .await;
            self.unlock_changed(id).await;
            changed?;
        } else {
            let named = || Record::Name {
                name: to.to_owned(),
            };
            self.with_open(id, async |volume| volume.record(named()).await)
                .await?;
        }
        self.base.delete_entry(Directory::Names, name, id).await
    }

    /// A rename that was cut off after it counted left its old entry.
    async fn end_rename(&self, name: &str, to: &str) -> Result<(), MapError> {
        if let Some(renamed) = self.base.find(to).await?
            && self.base.entry_id(name).await? == Some(renamed.head.id)
        {
            return self
                .base
                .delete_entry(Directory::Names, name, renamed.head.id)
                .await;
        }
        Err(MapError::NotFound {
            name: name.to_owned(),
        })
    }

    pub async fn resize(&self, name: &str, bytes: u64, allow_shrink: bool) -> Result<(), MapError> {
        let _manage = self.manage.lock().await;
        let id = self.find(name).await?.head.id;
        self.with_open(id, async |volume| {
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
        })
        .await
    }

    /// Takes a volume's or snapshot's name. Its space is given back when the trash is emptied.
    pub async fn remove(&self, name: &str) -> Result<(), MapError> {
        let _manage = self.manage.lock().await;
        let loaded = self.find(name).await?;
        self.remove_loaded(loaded).await
    }

    /// Takes the name of content, which stays for what hangs from it.
    pub async fn remove_hash(&self, hash: &str) -> Result<(), MapError> {
        let _manage = self.manage.lock().await;
        let loaded = self.find_hash(hash).await?;
        self.remove_loaded(loaded).await
    }

    /// A snapshot's head was changed. If something is folded into it meanwhile, whoever does that needs the lock on (GONE-9).
    async fn unlock_changed(&self, id: VolumeId) {
        if !self.folded_into.borrow().contains(&id) {
            self.unlock_quietly(id).await;
        }
    }

    async fn remove_loaded(&self, loaded: Loaded) -> Result<(), MapError> {
        self.check_not_held(&loaded.head)?;
        let name = loaded.head.name.as_str();
        let id = loaded.head.id;
        let now = self.base.world.now_seconds();
        let mut flags = loaded.head.flags;
        flags.nameless = true;
        flags.trashed_at_seconds = std::num::NonZeroU64::new(now);
        if flags.snapshot {
            let token = self.base.lock(id, false).await?.token;
            self.base.put_in_trash(id).await?;
            let changed = self
                .base
                .change_head(id, token, |head| head.flags = flags)
                .await;
            if changed.is_ok() {
                self.base.let_go(id).await?;
            }
            self.unlock_changed(id).await;
            goes_on_without_space(changed)?;
        } else {
            self.remove_volume(name, id, flags).await?;
        }
        let directory = Directory::of(&loaded.head);
        self.base.delete_entry(directory, name, id).await?;
        // What was removed does not come back.
        self.base.sync_maps(id).await
    }
}

impl<W: World> Mapper<W> {
    async fn remove_volume(
        &self,
        name: &str,
        id: VolumeId,
        flags: HeadFlags,
    ) -> Result<(), MapError> {
        let mark = async |volume: &Rc<Volume<W>>| {
            if volume.with_state(|state| !state.composers.is_empty()) {
                return Err(MapError::Busy {
                    name: name.to_owned(),
                    by: "it is attached on this node; detach it first".into(),
                });
            }
            self.base.put_in_trash(id).await?;
            let is_marked = goes_on_without_space(volume.record(Record::Flags(flags)).await)?;
            Ok((volume.clone(), is_marked))
        };
        let (volume, is_marked) = self.with_open(id, mark).await?;
        let closed = if is_marked {
            self.close_volume(&volume).await
        } else {
            volume.abandon().await
        };
        match closed {
            // Somebody else closes it as what it is: removed.
            Err(MapError::NotOpen { .. }) => {
                volume.closed().await;
                Ok(())
            }
            closed => closed,
        }
    }
}

pub fn kind_of(head: &Head) -> NameKind {
    if head.flags.content {
        NameKind::Content
    } else if head.flags.snapshot {
        NameKind::Snapshot
    } else {
        NameKind::Volume
    }
}

/// Is it done? Where there is no space to write down that something is removed, its name goes all the same: who is in the
/// trash without one is removed (D5).
pub(super) fn goes_on_without_space(outcome: Result<(), MapError>) -> Result<bool, MapError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(MapError::Store {
            source: StoreError::NoSpace,
            ..
        }) => Ok(false),
        Err(error) => Err(error),
    }
}
