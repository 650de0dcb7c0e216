//! On whose behalf a reactor's thread works: several peers share one, and what is logged should say which it was.
//!
//! # Invariants
//! * **TENANT-1** A task works for whoever it was spawned by, from its first poll to its drop, and a handler for whoever
//!   began its service.
//! * **TENANT-2** What was entered is left again, in the reverse order: after a poll the thread works for nobody.

use std::cell::Cell;

thread_local! {
    static PRESENT: Cell<Tenant> = const { Cell::new(Tenant::NOBODY) };
}

/// One of those who share a reactor: a number that its host knows a name for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(pub u16);

impl Tenant {
    /// The host itself.
    pub const NOBODY: Self = Self(0);

    /// For whom the present thread works.
    pub fn present() -> Self {
        // A thread that ends has no such value any more, and still may log.
        PRESENT.try_with(Cell::get).unwrap_or_default()
    }

    /// Works for this tenant. What `work` spawns and serves belongs to it.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        let _entered = self.enter();
        work()
    }

    pub(crate) fn enter(self) -> Entered {
        Entered {
            before: PRESENT.try_with(|present| present.replace(self)).ok(),
        }
    }
}

/// Until it is dropped.
pub(crate) struct Entered {
    before: Option<Tenant>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            let _ = PRESENT.try_with(|present| present.set(before)); // gone with its thread otherwise
        }
    }
}
