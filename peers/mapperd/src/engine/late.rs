//! Volumes that failed because their store did not answer in time: when it answers again they go on by themselves (D3).
//!
//! What such a store has answered is durable, and whoever asked for what was late was told (STORE-7). All that is not known is what
//! lies in the journal and which head is in force; reading them anew tells, as soon as nothing of it is still to come.
//!
//! # Invariants
//! * **REOPEN-1** A volume that was late is read anew only when its stores have said that nothing of it is still to happen, and its
//!   composers have forgotten it. Its lock is ours all the time.
//! * **REOPEN-2** Nothing that failed otherwise is believed on the way: that takes somebody's word (D3).
//! * **REOPEN-3** Whoever closes it meanwhile closes what was opened anew, and it is opened anew only by who has left it.

use super::error::MapError;
use super::mapper::Mapper;
use super::volume::{Volume, Whom};
use super::world::World;
use crate::map::VolumeId;

impl<W: World> Mapper<W> {
    /// Is there a volume that waits for its store?
    pub fn has_late(&self) -> bool {
        !self.left.borrow().is_empty() || self.volumes().iter().any(|volume| is_late(volume))
    }

    /// Opens those anew whose stores answer again: to be called now and then as long as there are some.
    pub async fn look_after_late(&self) {
        let left: Vec<VolumeId> = self.left.borrow().keys().copied().collect();
        for id in left {
            let _reopening = self.reopening.lock().await;
            if self.is_stopping.get() {
                return;
            }
            if let Err(error) = self.open_left_late(id).await {
                tracing::debug!(volume = %id, %error, "it is not opened anew yet");
            }
        }
        for volume in self.volumes() {
            let _reopening = self.reopening.lock().await;
            if self.is_stopping.get() {
                return;
            }
            if !is_late(&volume) {
                continue;
            }
            match self.open_anew(&volume).await {
                Ok(()) => {
                    tracing::info!(volume = %volume.id, "its store answers again: it goes on");
                }
                Err(error) => {
                    tracing::debug!(volume = %volume.id, %error, "it waits for its store");
                }
            }
        }
    }

    /// REOPEN-1
    async fn open_anew(&self, volume: &Volume<W>) -> Result<(), MapError> {
        volume.sync_stores().await?; // REOPEN-2
        // Nobody changes or closes it before it is open again.
        let Some(_change) = volume.leave().await? else {
            return Ok(()); // somebody has closed it meanwhile, or more has failed
        };
        let is_asked_for = volume.with_state(|state| state.is_asked_for);
        self.left.borrow_mut().insert(volume.id, is_asked_for);
        self.forget_closed(volume.id);
        self.open_still_left(volume.id).await
    }

    /// Unless somebody has opened it before us, and closed it (REOPEN-3).
    async fn open_still_left(&self, id: VolumeId) -> Result<(), MapError> {
        let is_left = || self.left.borrow().contains_key(&id);
        match self.open_if(id, Whom::Named, is_left).await {
            Err(MapError::NotOpen { .. }) => Ok(()),
            opened => opened.map(drop),
        }
    }

    /// What was left, and could not be opened then.
    async fn open_left_late(&self, id: VolumeId) -> Result<(), MapError> {
        if self.open_volume(id).is_some() || !self.holds_lock(id).await? {
            self.left.borrow_mut().remove(&id);
            return Ok(());
        }
        self.base.sync_data(id).await?; // REOPEN-2
        self.base.sync_maps(id).await?;
        let opened = self.open_still_left(id).await;
        if let Err(MapError::NotFound { .. } | MapError::ReadOnly { .. }) = &opened {
            self.left.borrow_mut().remove(&id);
        }
        opened
    }

    /// Closes what was opened anew while it was to be closed (REOPEN-3).
    pub(super) async fn close_reopened(&self, id: VolumeId) -> Result<(), MapError> {
        {
            let _opening = self.opening.lock().await;
            if self.known(id).is_none() {
                self.left.borrow_mut().remove(&id);
                if !self.holds_lock(id).await? {
                    return Ok(());
                }
                self.base.believe(id).await?;
                return self.base.release(id).await; // composers have forgotten it
            }
        }
        match self.open_volume(id) {
            Some(volume) => Box::pin(self.close_volume(&volume)).await,
            None => Ok(()), // somebody else closes it
        }
    }
}

fn is_late<W: World>(volume: &Volume<W>) -> bool {
    let failure = volume.failure();
    failure.is_some_and(|failure| failure.is_late) && !volume.has_ended()
}
