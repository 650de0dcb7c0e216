//! Volumes that nobody uses are given back after a while.

use std::rc::Rc;
use std::time::Duration;

use super::core::Composer;
use super::volume::Volume;

/// An idle volume cannot be given back while something is being attached; then it is looked at again.
const LATER: Duration = Duration::from_millis(50);

impl Composer {
    /// A request of the volume, or a user, is gone. The timer exists only while there is an idle volume (W5).
    pub fn look_whether_idle(&self, volume: &Volume) {
        if !volume.is_idle() {
            return;
        }
        volume.idle_since_ns.set(self.handle.now_ns());
        let Some(myself) = self.myself.upgrade().filter(|_| !self.has_timer.get()) else {
            return;
        };
        self.has_timer.set(true);
        let _goes_on = self.handle.spawn(async move {
            while let Some(at_ns) = myself.next_end_ns() {
                myself.handle.sleep_until_ns(at_ns).await;
                myself.detach_idle().await;
            }
            myself.has_timer.set(false);
        });
    }

    fn end_ns(&self, volume: &Volume) -> u64 {
        let after_ns = u64::try_from(self.options.idle_after.as_nanos()).unwrap_or(u64::MAX);
        volume.idle_since_ns.get().saturating_add(after_ns)
    }

    fn next_end_ns(&self) -> Option<u64> {
        let volumes = self.volumes.borrow();
        let idle = volumes.values().filter(|volume| volume.is_idle());
        idle.map(|volume| self.end_ns(volume)).min()
    }

    async fn detach_idle(&self) {
        let now_ns = self.handle.now_ns();
        let over: Vec<Rc<Volume>> = {
            let volumes = self.volumes.borrow();
            let idle = volumes.values().filter(|volume| volume.is_idle());
            idle.filter(|volume| self.end_ns(volume) <= now_ns)
                .cloned()
                .collect()
        };
        for volume in over {
            if self.attaching.get() > 0 {
                self.handle.sleep(LATER).await;
                return;
            }
            if volume.is_idle() {
                self.detach(&volume).await;
            }
        }
    }

    /// Tells the mapper that we have forgotten it (ATTACH-3).
    pub async fn detach(&self, volume: &Rc<Volume>) {
        let was_attached = volume.is_attached();
        volume.lose();
        if was_attached {
            self.is_detaching.set(true);
            if let Err(error) = self.ask_detach(&volume.id).await {
                tracing::debug!(%error, "the mapper did not let a volume be detached");
            }
            self.is_detaching.set(false);
        }
        let mut names = self.names.borrow_mut();
        names.retain(|_, entry| !entry.stands_for(volume));
        self.volumes.borrow_mut().remove(&volume.id);
        self.detached.notify_all();
    }
}
