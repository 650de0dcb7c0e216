//! Judging what says what heads are: names, the trash, locks that are held.

use std::collections::BTreeSet;

use archipelago_store::{Store, StoreError};

use super::collect::{Judge, Mode};
use crate::engine::directory::Directory;
use crate::engine::error::MapError;
use crate::engine::manage::kind_of;
use crate::engine::names;
use crate::engine::world::World;
use crate::map::{Head, VolumeId};

/// What has a head stays in the trash for as long.
const NEVER: u64 = u64::MAX;

impl<W: World> Judge<'_, W> {
    pub(super) async fn sweep_directories(&self) -> Result<(), MapError> {
        self.sweep_names(Directory::Names).await?;
        self.sweep_names(Directory::Hashes).await?;
        self.sweep_trash().await?;
        self.sweep_unlisted().await?;
        self.sweep_held().await
    }

    /// Entries that stand for nothing (DIR-1).
    async fn sweep_names(&self, directory: Directory) -> Result<(), MapError> {
        let mapper = self.mapper;
        let _manage = mapper.manage.lock().await;
        for record in mapper.base.entries_in(directory).await? {
            self.report.look();
            let found = mapper.base.find_in(directory, &record.name).await?;
            if found.is_none_or(|found| found.head.id != record.id) {
                let object = directory.object(&record.name);
                self.delete_map_object(&object).await?;
            }
        }
        Ok(())
    }

    /// Lines of the trash that stand for nothing, and for nothing that another node is just making (MAKING-1).
    async fn sweep_trash(&self) -> Result<(), MapError> {
        let mapper = self.mapper;
        for id in mapper.base.trash().await? {
            self.report.look();
            if mapper.base.load_left(id).await?.is_some() || mapper.is_being_hashed(id) {
                continue;
            }
            let stands_for_nothing = match self.mode {
                Mode::Collect => match mapper.empty(id, NEVER).await {
                    Ok(_) => !self.is_in_trash(id).await?,
                    Err(MapError::Busy { .. } | MapError::Locked { .. }) => false,
                    Err(error) => return Err(error),
                },
                Mode::DryRun => {
                    let locked = mapper.base.lock_record(id).await?;
                    locked.is_none_or(|lock| lock.is_of(mapper.base.world.owner()))
                }
            };
            if stands_for_nothing {
                self.report.find(&names::trash(id), 0);
            }
        }
        Ok(())
    }

    /// Heads that no entry and no line of the trash tells of: those without a name are to go, the others lost their entry.
    async fn sweep_unlisted(&self) -> Result<(), MapError> {
        let mapper = self.mapper;
        let _manage = mapper.manage.lock().await;
        let base = &mapper.base;
        let listed: BTreeSet<VolumeId> = base.trash().await?.into_iter().collect();
        for id in base.head_ids().await? {
            if listed.contains(&id) {
                continue;
            }
            let Some(loaded) = base.load(id).await? else {
                continue;
            };
            let head = &loaded.head;
            if head.flags.nameless {
                let object = names::head(id, head.version.token, head.version.number);
                self.report.find(&object, 0);
                if self.mode == Mode::Collect {
                    base.put_in_trash(id).await?;
                }
            } else if !base.is_named(head).await?
                && !self.is_in_trash(id).await?
                // Made on another node since: what is being made loses its line when it has its entry.
                && !base.is_named(head).await?
            {
                self.restore_entry(head).await?;
            }
        }
        Ok(())
    }

    async fn is_in_trash(&self, id: VolumeId) -> Result<bool, MapError> {
        let line = names::trash(id);
        match self.mapper.base.maps().stat(&line).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound) => Ok(false),
            Err(error) => Err(MapError::store("look for", &line)(error)),
        }
    }

    /// GC-6
    async fn restore_entry(&self, head: &Head) -> Result<(), MapError> {
        let base = &self.mapper.base;
        let (id, name) = (head.id, &head.name);
        let directory = Directory::of(head);
        if let Some(other) = base.find_in(directory, name).await? {
            let other = other.head.id;
            self.report.note(format!(
                "{id} lost its directory entry, and its name {name} is that of {other} by now: nothing of it is given back; rename that one and collect again"
            ));
            return Ok(());
        }
        if self.mode == Mode::DryRun {
            self.report.note(format!(
                "{name} ({id}) lost its directory entry: it gets it again when this is no dry run"
            ));
            return Ok(());
        }
        base.create_entry(directory, name, id, kind_of(head))
            .await?;
        tracing::warn!(volume = %id, name, "it had lost its directory entry, and has it again");
        self.report.note(format!(
            "{name} ({id}) had lost its directory entry, and has it again"
        ));
        Ok(())
    }

    /// Locks that were held of what is gone.
    async fn sweep_held(&self) -> Result<(), MapError> {
        let base = &self.mapper.base;
        let held = base.list_all(names::HELD_GROUP, "list the locks that are held");
        for object in held.await? {
            self.report.look();
            if let Some(id) = names::last_id(&object)
                && base.load_left(id).await?.is_none()
            {
                self.delete_map_object(&object).await?;
            }
        }
        Ok(())
    }
}
