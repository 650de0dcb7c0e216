//! Whose turn it is with content: many make it at once, or one collects it (GC-5).
//!
//! Each first says what it does, in the store, and then looks whether others say the opposite: of two who do both at once at
//! least one sees the other, whatever node it is on.
//!
//! # Invariants
//! * **CTURN-1** No content is judged while somebody makes content, and none is made while some is judged.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use archipelago_runtime::local::Notify;
use archipelago_store::{ObjectName, Store, StoreError};

use super::error::MapError;
use super::mapper::Mapper;
use super::names;
use super::world::{Base, World};
use crate::map::VolumeId;

/// What this mapper does with content.
#[derive(Debug)]
pub struct Turns {
    making: RefCell<BTreeSet<VolumeId>>,
    is_collecting: Cell<bool>,
    moved: Notify,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            making: RefCell::default(),
            is_collecting: Cell::new(false),
            moved: Notify::new(),
        }
    }
}

/// The head of this id is being made, until it is dropped.
#[derive(Debug)]
pub struct Making<'a> {
    turns: &'a Turns,
    id: VolumeId,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.turns.making.borrow_mut().remove(&self.id);
        self.turns.moved.notify_all();
    }
}

/// Content is being judged, until it is dropped.
#[derive(Debug)]
pub struct Collecting<'a> {
    turns: &'a Turns,
}

impl Drop for Collecting<'_> {
    fn drop(&mut self) {
        self.turns.is_collecting.set(false);
        self.turns.moved.notify_all();
    }
}

impl<W: World> Mapper<W> {
    /// Is the head of this id being made from content here?
    pub(super) fn is_being_hashed(&self, id: VolumeId) -> bool {
        self.turns.making.borrow().contains(&id)
    }

    /// Waits until content may be made here.
    pub(super) async fn begin_making(&self, id: VolumeId) -> Result<Making<'_>, MapError> {
        let turns = &self.turns;
        loop {
            let moved = turns.moved.notified();
            if !turns.is_collecting.get() {
                break;
            }
            moved.await;
        }
        turns.making.borrow_mut().insert(id);
        let making = Making { turns, id };
        self.base.say(&names::making(id)).await?;
        let others = self.base.others(names::COLLECTING_GROUP, |_| false).await?;
        match others.first() {
            None => Ok(making),
            Some(other) => {
                self.base.delete_quietly(&names::making(id)).await?;
                Err(MapError::Busy {
                    name: "content".into(),
                    by: format!(
                        "{other} collects what nobody names; ask again when that has ended"
                    ),
                })
            }
        }
    }

    pub(super) async fn end_making(&self, making: Making<'_>) -> Result<(), MapError> {
        self.base.delete_quietly(&names::making(making.id)).await
    }

    /// `Err` tells who makes content, so that it cannot be judged.
    pub(super) async fn begin_collecting(
        &self,
        id: VolumeId,
    ) -> Result<Result<Collecting<'_>, String>, MapError> {
        let turns = &self.turns;
        if !turns.making.borrow().is_empty() {
            return Ok(Err("this mapper".into()));
        }
        turns.is_collecting.set(true);
        let collecting = Collecting { turns };
        self.base.say(&names::collecting(id)).await?;
        let is_here = |id: VolumeId| turns.making.borrow().contains(&id);
        let others = self.base.others(names::MAKING_GROUP, is_here).await?;
        match others.into_iter().next() {
            None => Ok(Ok(collecting)),
            Some(other) => {
                self.end_collecting(id).await?;
                Ok(Err(other))
            }
        }
    }

    pub(super) async fn end_collecting(&self, id: VolumeId) -> Result<(), MapError> {
        self.base.delete_quietly(&names::collecting(id)).await
    }
}

impl<W: World> Base<W> {
    /// Who we are, in a line for others.
    fn own_line(&self) -> String {
        format!("{}, mapper {}", self.world.owner(), self.world.instance())
    }

    async fn say(&self, object: &ObjectName) -> Result<(), MapError> {
        let line = self.own_line();
        let said = self.maps().create_exclusive(object, line.as_bytes()).await;
        match said {
            Ok(()) | Err(StoreError::Exists) => Ok(()),
            Err(error) => Err(MapError::store("make", object)(error)),
        }
    }

    /// Who else says so. What an earlier life of ours said is over.
    async fn others(
        &self,
        group: &[u8],
        is_here: impl Fn(VolumeId) -> bool,
    ) -> Result<Vec<String>, MapError> {
        let mut others = Vec::new();
        for object in self
            .list_all(group, "list who is busy with content")
            .await?
        {
            let line = match self.read_whole(&object, "read").await {
                Err(MapError::Store {
                    source: StoreError::NotFound,
                    ..
                }) => continue,
                line => String::from_utf8_lossy(&line?).into_owned(),
            };
            let is_ours = line == self.own_line();
            if !is_ours || names::last_id(&object).is_some_and(&is_here) {
                others.push(line);
            } else {
                self.delete_quietly(&object).await?;
            }
        }
        Ok(others)
    }
}
