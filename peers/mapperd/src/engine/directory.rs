//! Names: entries that point at ids, and count only if the head agrees.
//!
//! # Invariants
//! * **DIR-1** A name stands for a volume iff its entry points at a head that has this name and is not nameless. Anything else is
//!   left over from a change that was cut off, and is cleared away when it is in somebody's way.

use archipelago_store::{ObjectName, Store, StoreError};

use super::error::MapError;
use super::load::Loaded;
use super::names;
use super::world::{Base, World};
use crate::map::{Head, NameKind, NameRecord, VolumeId};

/// Where a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directory {
    /// Volumes and snapshots.
    Names,
    /// Content, which is named by its hash: 64 hexadecimal digits may name a volume, too.
    Hashes,
}

impl Directory {
    /// The one in which this head's name stands.
    pub fn of(head: &Head) -> Self {
        if head.flags.content {
            Self::Hashes
        } else {
            Self::Names
        }
    }

    pub fn object(self, name: &str) -> ObjectName {
        match self {
            Self::Names => names::entry(name),
            Self::Hashes => names::hash(name),
        }
    }
}

impl<W: World> Base<W> {
    /// The volume or snapshot of this name.
    pub async fn find(&self, name: &str) -> Result<Option<Loaded>, MapError> {
        self.find_in(Directory::Names, name).await
    }

    pub async fn find_in(
        &self,
        directory: Directory,
        name: &str,
    ) -> Result<Option<Loaded>, MapError> {
        let Some(record) = self.entry(directory, name).await? else {
            return Ok(None);
        };
        let counts = |head: &Head| {
            head.name == name && !head.flags.nameless && Directory::of(head) == directory
        };
        let loaded = self.load(record.id).await?;
        Ok(loaded.filter(|loaded| counts(&loaded.head)))
    }

    /// The same, which must be there.
    pub async fn found(&self, name: &str) -> Result<Loaded, MapError> {
        self.find(name).await?.ok_or_else(|| MapError::NotFound {
            name: name.to_owned(),
        })
    }

    /// What the entry of a name points at, whether it counts or not.
    pub async fn entry_id(&self, name: &str) -> Result<Option<VolumeId>, MapError> {
        let entry = self.entry(Directory::Names, name).await?;
        Ok(entry.map(|entry| entry.id))
    }

    async fn entry(
        &self,
        directory: Directory,
        name: &str,
    ) -> Result<Option<NameRecord>, MapError> {
        let object = directory.object(name);
        let bytes = match self.read_whole(&object, "read").await {
            Err(MapError::Store {
                source: StoreError::NotFound,
                ..
            }) => return Ok(None),
            read => read?,
        };
        let record = decode(&object, &bytes)?;
        if record.name != name {
            return Err(MapError::Corrupt {
                object,
                why: format!("it is the entry of {}", record.name),
            });
        }
        Ok(Some(record))
    }

    /// Does the head's name stand for it (DIR-1)?
    pub async fn is_named(&self, head: &Head) -> Result<bool, MapError> {
        if head.flags.nameless {
            return Ok(false);
        }
        let entry = self.entry(Directory::of(head), &head.name).await?;
        Ok(entry.is_some_and(|entry| entry.id == head.id))
    }

    /// Gives the name to a head that says that it has it.
    pub async fn create_entry(
        &self,
        directory: Directory,
        name: &str,
        id: VolumeId,
        kind: NameKind,
    ) -> Result<(), MapError> {
        let object = directory.object(name);
        let record = NameRecord {
            name: name.to_owned(),
            id,
            kind,
        };
        let bytes = record.encode().map_err(|error| MapError::Invalid {
            what: "the name",
            why: error.to_string(),
        })?;
        loop {
            match self.maps().create_exclusive(&object, &bytes).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Exists) => self.clear_entry(directory, name, id).await?,
                Err(error) => return Err(MapError::store("make", &object)(error)),
            }
            let entry = self.entry(directory, name).await?;
            if entry.is_some_and(|entry| entry.id == id) {
                return Ok(());
            }
        }
    }

    /// Takes away an entry that stands for nothing (DIR-1).
    async fn clear_entry(
        &self,
        directory: Directory,
        name: &str,
        for_id: VolumeId,
    ) -> Result<(), MapError> {
        let Some(record) = self.entry(directory, name).await? else {
            return Ok(());
        };
        if record.id == for_id {
            return Ok(());
        }
        if self.find_in(directory, name).await?.is_some() {
            return Err(MapError::Exists {
                name: name.to_owned(),
            });
        }
        self.delete_quietly(&directory.object(name)).await
    }

    /// The name stands for nothing from now on, if it stood for `id`.
    pub async fn delete_entry(
        &self,
        directory: Directory,
        name: &str,
        id: VolumeId,
    ) -> Result<(), MapError> {
        match self.entry(directory, name).await? {
            Some(record) if record.id == id => self.delete_quietly(&directory.object(name)).await,
            _ => Ok(()),
        }
    }

    /// Is the name free?
    pub async fn check_free(&self, name: &str) -> Result<(), MapError> {
        match self.find(name).await? {
            None => Ok(()),
            Some(_) => Err(MapError::Exists {
                name: name.to_owned(),
            }),
        }
    }

    /// All entries of volumes and snapshots, by name.
    pub async fn entries(&self) -> Result<Vec<NameRecord>, MapError> {
        self.entries_in(Directory::Names).await
    }

    /// All entries, by name. One that cannot be read is reported and passed over: the others are there.
    pub async fn entries_in(&self, directory: Directory) -> Result<Vec<NameRecord>, MapError> {
        let group = match directory {
            Directory::Names => names::NAME_GROUP,
            Directory::Hashes => names::HASH_GROUP,
        };
        let mut records = Vec::new();
        for object in self.list_all(group, "list the names").await? {
            let bytes = match self.read_whole(&object, "read").await {
                Err(MapError::Store {
                    source: StoreError::NotFound,
                    ..
                }) => continue,
                read => read?,
            };
            match decode(&object, &bytes) {
                Ok(record) => records.push(record),
                Err(error) => tracing::error!(%error, "a directory entry is damaged"),
            }
        }
        records.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(records)
    }
}

fn decode(object: &ObjectName, bytes: &[u8]) -> Result<NameRecord, MapError> {
    let record = NameRecord::decode(bytes).map_err(|error| MapError::Corrupt {
        object: object.clone(),
        why: error.to_string(),
    })?;
    Ok(record.value)
}
