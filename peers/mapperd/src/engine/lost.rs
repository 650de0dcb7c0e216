//! Volumes that were taken from this node though it lives: their locks were broken (F49).
//!
//! Clients that used one know a content that is not the volume's any more: what they write, and what they had written and
//! not flushed, would land in what somebody else wrote. So they are refused, for as long as they stay.
//!
//! # Invariants
//! * **LOST-1** As long as one of those who used a volume when it was lost uses it still, nobody here writes to it or is told that
//!   something is durable, unless it is opened by name: whoever says that knows.
//! * **LOST-2** A lost volume is read as it is, without the lock, which is not taken for the sake of those who may not write.
//! * **LOST-3** What a mapper could not see because it was dead its successor learns from the composers: each says by which token it had
//!   the volume, unless it was told since that it was closed in good order. If the volume is not ours by that token, and nobody here
//!   has closed it, it was lost. Each token is heard of once.

use std::collections::BTreeSet;

use super::error::MapError;
use super::mapper::Mapper;
use super::volume::Volume;
use super::world::{UserId, World};
use crate::map::VolumeId;

/// A volume that was lost.
#[derive(Clone, Debug)]
pub struct Lost {
    /// Under which name.
    pub name: String,
    pub error: MapError,
    /// Who used it then, and does so still.
    pub users: BTreeSet<UserId>,
}

impl<W: World> Mapper<W> {
    /// Looks whether the locks of the open volumes are still ours, and drops the volumes of which they are not: to be
    /// called every few seconds.
    pub async fn look_after_locks(&self) {
        for volume in self.volumes() {
            match volume.check_lock().await {
                Ok(()) | Err(MapError::NotOpen { .. }) => {}
                Err(MapError::Taken { .. }) => self.drop_taken(&volume).await,
                // The store's own trouble: it is looked again.
                Err(error) => {
                    tracing::debug!(volume = %volume.id, %error, "its lock cannot be seen");
                }
            }
        }
    }

    pub(super) async fn drop_taken(&self, volume: &Volume<W>) {
        match self.close_volume(volume).await {
            Ok(()) | Err(MapError::Taken { .. }) => {}
            // Nothing is appended to it or granted meanwhile (TAKEN-2); it is tried again.
            Err(error) => tracing::warn!(volume = %volume.id, %error, "it is not dropped yet"),
        }
    }

    /// A composer had the volume by this token (LOST-3). 0: it had not.
    pub async fn hear_had(&self, id: VolumeId, token: u64) -> Result<(), MapError> {
        let is_ours = |volume: &Volume<W>| volume.token() == token;
        if self.is_over(id, token) || self.known(id).is_some_and(|volume| is_ours(&volume)) {
            return Ok(());
        }
        let record = self.base.lock_record(id).await?;
        let own = self.base.world.owner();
        if record
            .as_ref()
            .is_some_and(|record| record.is_of(own) && record.token == token)
        {
            return Ok(()); // it was left to us (MAPPER-3)
        }
        // If that cannot be told now, nobody can tell who uses it.
        let loaded = self.base.load(id).await?;
        let name = loaded.map_or_else(|| id.to_string(), |loaded| loaded.head.name);
        if self.is_over(id, token) {
            return Ok(()); // somebody else was quicker to say so
        }
        self.note_over(id, token);
        let others = record.filter(|record| record.owner != *own && !record.is_being_broken());
        let by = others.map(|record| record.owner.to_string());
        let error = MapError::Taken {
            name: name.clone(),
            by,
        };
        tracing::error!(volume = %id, token, %error, "it was lost while there was no mapper");
        self.begin_loss(id, name, error);
        Ok(())
    }

    /// Is it known what became of what was written by this token?
    fn is_over(&self, id: VolumeId, token: u64) -> bool {
        token <= self.over.borrow().get(&id).copied().unwrap_or(0)
    }

    pub(super) fn note_over(&self, id: VolumeId, token: u64) {
        let mut over = self.over.borrow_mut();
        let newest = over.entry(id).or_default();
        *newest = token.max(*newest);
    }

    /// Before composers forget it: what they ask next is refused.
    pub(super) fn begin_loss(&self, id: VolumeId, name: String, error: MapError) {
        let users = self.base.world.users(&name);
        if users.is_empty() {
            return; // nobody is deceived
        }
        tracing::error!(
            volume = name,
            clients = users.len(),
            "its clients here are refused"
        );
        let lost = Lost { name, error, users };
        self.lost.borrow_mut().entry(id).or_insert(lost);
    }

    pub(super) fn end_loss(&self, id: VolumeId) {
        if let Some(lost) = self.lost.borrow_mut().remove(&id) {
            tracing::warn!(
                volume = lost.name,
                "it was opened by name: its clients may write again"
            );
        }
    }

    /// LOST-1
    pub fn check_not_lost(&self, id: VolumeId) -> Result<(), MapError> {
        self.forget_who_left();
        self.lost
            .borrow()
            .get(&id)
            .map_or(Ok(()), |lost| Err(lost.error.clone()))
    }

    /// The volumes that were lost, and whose clients have not left yet.
    pub fn lost(&self) -> Vec<Lost> {
        self.forget_who_left();
        self.lost.borrow().values().cloned().collect()
    }

    fn forget_who_left(&self) {
        self.lost.borrow_mut().retain(|_, lost| {
            let users = self.base.world.users(&lost.name);
            lost.users.retain(|user| users.contains(user));
            !lost.users.is_empty()
        });
    }
}
