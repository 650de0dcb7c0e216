//! All heads that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use archipelago_store::Store;

use crate::engine::beside::Neighbour;
use crate::engine::error::MapError;
use crate::engine::load::Loaded;
use crate::engine::mapper::Mapper;
use crate::engine::view::View;
use crate::engine::volume::Whom;
use crate::engine::world::{Base, World};
use crate::map::{Head, VolumeId};

/// A head that may name something.
#[derive(Debug)]
pub struct Known<W: World> {
    pub is: Neighbour<W>,
    /// Without a name: some of it may be given back already.
    pub is_nameless: bool,
    pub has_content: bool,
}

/// The heads that were read, by id.
#[derive(Debug)]
pub struct Heads<W: World> {
    known: BTreeMap<VolumeId, Rc<Known<W>>>,
    new: BTreeSet<VolumeId>,
    opened: BTreeSet<VolumeId>,
    gone: BTreeSet<VolumeId>,
}

impl<W: World> Default for Heads<W> {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            new: BTreeSet::new(),
            opened: BTreeSet::new(),
            gone: BTreeSet::new(),
        }
    }
}

impl<W: World> Heads<W> {
    /// Those that came since this was asked the last time.
    pub fn take_new(&mut self) -> Vec<(VolumeId, Rc<Known<W>>)> {
        let new = std::mem::take(&mut self.new);
        let with_head = |id| self.known.get(&id).map(|known| (id, known.clone()));
        new.into_iter().filter_map(with_head).collect()
    }

    /// Forgets what was read: it is older than what is to be judged.
    pub fn read_anew(&mut self) {
        self.known.clear();
        self.new.clear();
        self.gone.clear();
    }

    /// Those that were opened to be read.
    pub fn take_opened(&mut self) -> BTreeSet<VolumeId> {
        std::mem::take(&mut self.opened)
    }

    pub fn get(&self, id: VolumeId) -> Option<&Rc<Known<W>>> {
        self.known.get(&id)
    }

    pub fn all(&self) -> impl Iterator<Item = (VolumeId, &Rc<Known<W>>)> {
        self.known.iter().map(|(id, known)| (*id, known))
    }

    /// What open volumes were marked by is known to whoever takes them from us later (TAKEN-1).
    pub async fn check_locks(&self) -> Result<(), MapError> {
        for known in self.known.values() {
            if let Neighbour::Open(volume) = &known.is {
                volume.check_lock().await?;
            }
        }
        Ok(())
    }

    /// Content that open volumes had displaced when they were marked does not come back, and nobody reads it, when this
    /// returns (GC-3).
    pub async fn forget_content(&self) -> Result<(), MapError> {
        for known in self.known.values().filter(|known| known.has_content) {
            if let Neighbour::Open(volume) = &known.is {
                volume.forget_displaced().await?;
            }
        }
        Ok(())
    }
}

impl<W: World> Mapper<W> {
    /// Reads the heads that were not read yet. Tells whether there were any (GC-2).
    pub(super) async fn read_heads(&self, heads: &mut Heads<W>) -> Result<bool, MapError> {
        let mut had_new = false;
        for id in self.base.head_ids().await? {
            if heads.known.contains_key(&id) || heads.gone.contains(&id) {
                continue;
            }
            had_new = true;
            let was_open = self.open_volume(id).is_some();
            match self.read_head(id).await? {
                Some(known) => {
                    if !was_open && matches!(known.is, Neighbour::Open(_)) {
                        heads.opened.insert(id);
                    }
                    heads.known.insert(id, Rc::new(known));
                    heads.new.insert(id);
                }
                // Removed meanwhile: what others had of it, they have.
                None => drop(heads.gone.insert(id)),
            }
        }
        Ok(had_new)
    }

    async fn read_head(&self, id: VolumeId) -> Result<Option<Known<W>>, MapError> {
        if let Some(volume) = self.open_volume(id) {
            let (is_nameless, has_content) =
                volume.with_state(|state| (state.head.flags.nameless, state.head.has_content));
            return Ok(Some(Known {
                is: Neighbour::Open(volume),
                is_nameless,
                has_content,
            }));
        }
        let Some(loaded) = self.base.load_left(id).await? else {
            return Ok(None);
        };
        let is_nameless = !self.base.is_named(&loaded.head).await?;
        if !is_nameless {
            loaded.check_whole()?; // GONE-7
        }
        let has_content = loaded.head.has_content;
        let is = if !loaded.head.flags.snapshot
            && !is_nameless
            && self.is_to_be_opened(&loaded).await?
        {
            Neighbour::Open(self.open_now(id, Whom::Named).await?)
        } else {
            Neighbour::Still(Rc::new(View::of(loaded)))
        };
        Ok(Some(Known {
            is,
            is_nameless,
            has_content,
        }))
    }

    /// One that a death left is cleaned up by opening it. What somebody else has open cannot be judged: what he displaced
    /// may come back (GC-3).
    async fn is_to_be_opened(&self, loaded: &Loaded) -> Result<bool, MapError> {
        let Head { id, name, .. } = &loaded.head;
        match self.base.lock_record(*id).await? {
            // What it still needs cannot be told.
            Some(record) if !record.is_of(self.base.world.owner()) => Err(MapError::Locked {
                name: name.clone(),
                owner: record.owner.to_string(),
                since: Some(record.since),
            }),
            Some(_) => Ok(true),
            // Whoever closes a volume ends its journal. What it says else may be lost with the power.
            None => Ok(!loaded.older.is_empty() || !loaded.records.is_empty()),
        }
    }
}

impl<W: World> Base<W> {
    /// The ids of all heads.
    pub(super) async fn head_ids(&self) -> Result<BTreeSet<VolumeId>, MapError> {
        let groups = self.groups_of(self.maps()).await?;
        let id = |group: &Vec<u8>| {
            let text = std::str::from_utf8(group.strip_prefix(b"head/")?).ok()?;
            text.parse().ok()
        };
        Ok(groups.iter().filter_map(id).collect())
    }

    pub(super) async fn groups_of(&self, store: &W::Store) -> Result<Vec<Vec<u8>>, MapError> {
        let groups = store.groups().await;
        groups.map_err(|source| MapError::Store {
            action: "list",
            object: "all that it has".into(),
            source,
        })
    }
}
