//! Volumes that failed because their store did not answer in time: when it answers again they go on by themselves (D3).
//!
//! What such a store has answered is durable, and whoever asked for what was late was told (STORE-7). All that is not known is what
//! lies in the journal and which head is in force; reading them anew tells, as soon as nothing of it is still to come.
//!
//! # Invariants
//! * **REOPEN-1** A volume that was late is read anew only when its stores have said that nothing of it is still to happen, and its
//!   composers have forgotten it. Its lock is ours all the time.

use super::error::MapError;
use super::mapper::Mapper;
use super::volume::{Volume, Whom};
use super::world::World;

impl<W: World> Mapper<W> {
    /// Is there a volume that waits for its store?
    pub fn has_late(&self) -> bool {
        self.volumes().iter().any(|volume| is_late(volume))
    }

    /// Opens those anew whose stores answer again: to be called now and then as long as there are some.
    pub async fn look_after_late(&self) {
        for volume in self.volumes() {
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
        self.base.believe(volume.id).await?;
        if !is_late(volume) {
            return Ok(()); // somebody has closed it meanwhile, or more has failed
        }
        let is_asked_for = volume.with_state(|state| state.is_asked_for);
        let left = volume.leave().await;
        self.forget_closed(volume.id);
        left?;
        let opened = self.open_now(volume.id, Whom::Named).await?;
        if is_asked_for {
            opened.ask_for(); // HELD-2
        }
        Ok(())
    }
}

fn is_late<W: World>(volume: &Volume<W>) -> bool {
    let failure = volume.failure();
    failure.is_some_and(|failure| failure.is_late) && !volume.has_ended()
}
