//! Looking how full the file system is, and saying so before it is full (D5).
//!
//! # Invariants
//! * **ROOM-1** Each level is told once when it is reached, and again only after there was clearly more space.

use std::time::Duration;

use rustix::fs::fstatvfs;

use super::core::Engine;

/// Between two looks.
const LOOK_AGAIN_NS: u64 = Duration::from_secs(10).as_nanos() as u64;
/// Less than that, in thousandths of all: volumes should be removed, or space be added.
const LOW: u64 = 100;
/// Less than that: writes to new places will soon be refused.
const CRITICAL: u64 = 30;
/// So much more it must be before a level is left.
const CLEARLY: u64 = 10;

/// How much space there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    #[default]
    Plenty,
    Low,
    Critical,
}

impl Level {
    /// After this one, when so many thousandths are free.
    fn next(self, free: u64) -> Self {
        let at = |free| match free {
            _ if free < CRITICAL => Self::Critical,
            _ if free < LOW => Self::Low,
            _ => Self::Plenty,
        };
        let now = at(free);
        if now < self {
            at(free.saturating_sub(CLEARLY)).min(self) // ROOM-1
        } else {
            now
        }
    }
}

impl Engine {
    /// To be called when something was synced: a store that rests is left alone.
    pub(super) fn watch_space(&self) {
        let now_ns = self.handle.now_ns();
        if now_ns < self.look_at_space_ns.get() {
            return;
        }
        self.look_at_space_ns.set(now_ns + LOOK_AGAIN_NS);
        let (root, level, handle) = (self.root.clone(), self.level.clone(), self.handle.clone());
        let path = self.options.archip_dir.clone();
        self.handle.spawn(async move {
            let system = handle.blocking(move || fstatvfs(root.objects.directory()));
            let Ok(system) = system.await else { return };
            let free = system.f_bavail.saturating_mul(1000) / system.f_blocks.max(1);
            let next = level.get().next(free);
            let free_mib = system.f_bavail.saturating_mul(system.f_frsize) >> 20;
            let path = path.display();
            match (level.replace(next), next) {
                (before, now) if before == now => {}
                (_, Level::Critical) => tracing::error!(
                    %path, free_mib,
                    "the store is almost full: writes to new places will be refused; remove volumes, or add space"
                ),
                (_, Level::Low) => {
                    tracing::warn!(%path, free_mib, "the store gets full: remove volumes, or add space");
                }
                (_, Level::Plenty) => tracing::info!(%path, free_mib, "the store has space again"),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ROOM-1
    #[test]
    fn a_level_is_reached_at_once_and_left_when_there_is_clearly_more() {
        let levels = |frees: &[u64]| {
            let mut level = Level::default();
            frees
                .iter()
                .map(|free| {
                    level = level.next(*free);
                    level
                })
                .collect::<Vec<_>>()
        };
        use Level::{Critical, Low, Plenty};
        assert_eq!(
            levels(&[500, 100, 99, 101, 109, 110, 99]),
            [Plenty, Plenty, Low, Low, Low, Plenty, Low]
        );
        assert_eq!(
            levels(&[5, 31, 39, 40, 29, 200, 0]),
            [
                Critical, Critical, Critical, Low, Critical, Plenty, Critical
            ]
        );
    }
}
