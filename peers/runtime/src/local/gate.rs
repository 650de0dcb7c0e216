//! Waiting until all who entered have left.

use std::cell::Cell;
use std::rc::Rc;

use super::notify::Notify;

/// Counts who is inside. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    shared: Rc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    inside: Cell<usize>,
    emptied: Notify,
}

impl Gate {
    pub fn new() -> Self {
        Self::default()
    }

    /// One more inside, until the guard is dropped.
    pub fn enter(&self) -> GateGuard {
        self.shared.inside.set(self.shared.inside.get() + 1);
        GateGuard {
            shared: self.shared.clone(),
        }
    }

    /// How many are inside.
    pub fn inside(&self) -> usize {
        self.shared.inside.get()
    }

    /// Waits until nobody is inside. Others may enter meanwhile: to wait for an end, close the way in first.
    pub async fn empty(&self) {
        while self.inside() > 0 {
            self.shared.emptied.notified().await;
        }
    }
}

/// One who is inside a [`Gate`].
#[derive(Debug)]
#[must_use = "dropping it leaves"]
pub struct GateGuard {
    shared: Rc<Shared>,
}

impl Drop for GateGuard {
    fn drop(&mut self) {
        let inside = self.shared.inside.get() - 1;
        self.shared.inside.set(inside);
        if inside == 0 {
            self.shared.emptied.notify_all();
        }
    }
}
