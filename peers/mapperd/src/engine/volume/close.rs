//! Closing a volume: nothing of it is left to be replayed, and its lock is given back.

use archipelago_protocol::{Recall, RecallKind};

use super::checkpoint::After;
use super::volume::Volume;
use crate::engine::error::MapError;
use crate::engine::names;
use crate::engine::world::World;

impl<W: World> Volume<W> {
    /// Composers forget the volume, the journal is folded, the lock given back.
    pub async fn close(&self) -> Result<(), MapError> {
        let _change = self.change.lock().await;
        self.check_open()?;
        let held = self.take_back().await?;
        let recall = Recall {
            epoch: self.epoch(),
            kind: RecallKind::Close,
            first_block: 0,
            blocks: u64::MAX,
        };
        self.recall(recall, None).await?;
        self.commits_ended().await;
        let spare = self.log.spare();
        self.checkpoint_in_change(After::Ends).await?;
        self.is_closed.set(true);
        self.state.borrow_mut().composers.clear();
        drop(held);
        let spares = [spare, self.log.spare()];
        for (token, number) in spares.into_iter().flatten() {
            self.base
                .delete_quietly(&names::log(self.id, token, number))
                .await?;
        }
        self.base.unlock(self.id, false).await
    }

    /// Waits until what was being committed counts.
    pub(super) async fn commits_ended(&self) {
        loop {
            let moved = self.moved.notified();
            if !self.state.borrow().is_committing() {
                return;
            }
            moved.await;
        }
    }

    /// A volume that failed, or whose lock is gone, is dropped as it is: what was answered is in the journal.
    pub async fn abandon(&self) {
        self.is_closed.set(true);
        self.log.latch("the volume was dropped".into());
        self.moved.notify_all();
    }
}
