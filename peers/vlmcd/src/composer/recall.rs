//! RECALL: the mapper takes back what it told.
//!
//! # Invariants
//! * **RECALL-1** What is recalled is forgotten before anything else happens, and answered when the blocker's I/O that was
//!   begun before has ended; a recall never waits for the mapper (P1).
//! * **RECALL-2** While an earlier incarnation's writes are at work no recall is answered (S7, CORPHAN-1).

use std::rc::Rc;

use archipelago_protocol::{Recall, RecallKind, VolumeIdBytes};
use xseg::{Errno, Incoming};

use super::core::Composer;
use super::volume::Volume;

impl Composer {
    pub fn recall(&self, notice: Incoming) {
        let target = notice.target();
        let id = VolumeIdBytes::try_from(target.as_bytes());
        let recall = Recall::from_args(notice.args());
        let (Ok(id), Ok(recall)) = (id, recall) else {
            tracing::warn!(?target, "a recall makes no sense");
            return notice.fail(Errno::INVAL);
        };
        match recall.kind {
            RecallKind::Detach => self.give_up(notice, id, recall),
            _ => self.heed(notice, &id, &recall),
        }
    }

    /// Forgets, and answers when that is so (RECALL-1).
    pub fn heed(&self, notice: Incoming, id: &VolumeIdBytes, recall: &Recall) {
        let volume = self.volumes.borrow().get(id).cloned();
        if let Some(volume) = &volume {
            forget(volume, recall);
            self.note_had(volume);
        }
        let waits_for = volume.map(|volume| (volume.mark(), volume));
        let is_over = waits_for
            .as_ref()
            .is_none_or(|(mark, volume)| volume.is_over(*mark));
        if is_over && !self.has_orphans() {
            return notice.answer(0);
        }
        self.answer_later(notice, waits_for);
    }

    fn answer_later(&self, notice: Incoming, waits_for: Option<(u64, Rc<Volume>)>) {
        let Some(myself) = self.myself.upgrade() else {
            return notice.fail(Errno::SHUTDOWN);
        };
        let inside = self.recalls.enter();
        let _goes_on = self.handle.spawn(async move {
            if let Some((mark, volume)) = waits_for {
                volume.over(mark).await;
            }
            myself.orphans_ended().await; // RECALL-2
            notice.answer(0);
            drop(inside);
        });
    }
}

fn forget(volume: &Volume, recall: &Recall) {
    match recall.kind {
        RecallKind::Forget => {
            let end = recall.first_block.saturating_add(recall.blocks);
            volume.recall(recall.epoch, &(recall.first_block..end));
        }
        RecallKind::Quiesce => {}
        RecallKind::Close => volume.close(),
        RecallKind::Drop | RecallKind::Detach => volume.lose(),
    }
}
