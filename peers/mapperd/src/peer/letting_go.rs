//! Before a volume loses its name, or its end: nobody uses it, and no composer knows it.
//!
//! # Invariants
//! * **LETGO-1** From the moment when the first composer is asked until the change is done, no composer attaches the volume or
//!   is told anything of it: who comes meanwhile waits, and finds it changed.
//! * **LETGO-2** A composer is asked that was told of the volume, and one with whom somebody uses it (USE-1), even if that
//!   composer has left or died: its successor answers.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use archipelago_protocol::{Recall, RecallKind};
use archipelago_runtime::local::Notify;

use super::mapperd::Mapperd;
use crate::engine::{MapError, State, World};
use crate::map::{Head, VolumeId};

/// Volumes that are being let go.
#[derive(Debug, Default)]
pub struct LettingGo {
    /// By how many changes.
    ids: RefCell<BTreeMap<VolumeId, u32>>,
    ended: Notify,
}

/// No composer knows the volume while it lives (LETGO-1).
#[derive(Debug)]
#[must_use = "dropped, the volume may be attached again"]
pub struct LetGo<'a> {
    all: &'a LettingGo,
    id: VolumeId,
}

impl LettingGo {
    fn begin(&self, id: VolumeId) -> LetGo<'_> {
        *self.ids.borrow_mut().entry(id).or_default() += 1;
        LetGo { all: self, id }
    }

    /// Waits until it may be told of the volume. Tells whether it had to wait.
    pub async fn over(&self, id: VolumeId) -> bool {
        let mut waited = false;
        loop {
            let ended = self.ended.notified();
            if !self.ids.borrow().contains_key(&id) {
                return waited;
            }
            waited = true;
            ended.await;
        }
    }
}

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        let mut ids = self.all.ids.borrow_mut();
        if let Some(count) = ids.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                ids.remove(&self.id);
            }
        }
        drop(ids);
        self.all.ended.notify_all();
    }
}

impl Mapperd {
    /// No composer has it attached, or has anything of it; who uses it keeps it from being let go.
    pub(super) async fn let_go(&self, head: &Head) -> Result<LetGo<'_>, MapError> {
        let id = head.id;
        let held = self.letting_go.begin(id);
        let world = &self.mapper.base().world;
        let open = if head.flags.snapshot {
            None
        } else {
            Some(self.mapper.open_id(id, false).await?)
        };
        let mut composers: BTreeSet<_> = self.still.composers(id).into_iter().collect();
        if let Some(volume) = &open {
            composers.extend(volume.with_state(State::composers));
        }
        let others = world.composers().into_iter();
        composers.extend(others.filter(|composer| world.is_used(*composer, &head.name)));
        for composer in composers {
            let recall = Recall {
                epoch: open.as_ref().map_or(u64::MAX, |volume| volume.epoch()),
                kind: RecallKind::Detach,
                first_block: 0,
                blocks: u64::MAX,
            };
            let detached = world.recall(composer, id, recall).await;
            detached.map_err(|_| MapError::InUse {
                name: head.name.clone(),
            })?;
            self.still.detach(id, composer);
            if let Some(volume) = &open {
                volume.remove_composer(composer);
            }
        }
        Ok(held)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// LETGO-1
    #[test]
    fn who_comes_while_a_volume_is_let_go_waits_for_the_end_of_all_that_change_it() {
        let (one, other) = (VolumeId::new([1; 16]), VolumeId::new([2; 16]));
        let (one, other) = (one.expect("it is not zero"), other.expect("it is not zero"));
        let all = LettingGo::default();
        let (first, second) = (all.begin(one), all.begin(one));
        let mut context = Context::from_waker(Waker::noop());
        let mut free = pin!(all.over(other));
        assert_eq!(free.as_mut().poll(&mut context), Poll::Ready(false));
        let mut waits = pin!(all.over(one));
        assert_eq!(waits.as_mut().poll(&mut context), Poll::Pending);
        drop(first);
        assert_eq!(waits.as_mut().poll(&mut context), Poll::Pending);
        drop(second);
        assert_eq!(waits.as_mut().poll(&mut context), Poll::Ready(true));
        let mut free = pin!(all.over(one));
        assert_eq!(free.as_mut().poll(&mut context), Poll::Ready(false));
    }
}
