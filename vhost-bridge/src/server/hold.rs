//! Whether the guest's memory is still ours to use.

use std::cell::Cell;

use archipelago_runtime::local::{Gate, GateGuard};

/// Of a device: it is cut once, for ever (VHOST-6).
#[derive(Debug, Default)]
pub struct Hold {
    is_cut: Cell<bool>,
    /// What is lent to the kernel.
    lent: Gate,
}

impl Hold {
    /// The connection was ended with requests in flight: their guest may use their memory for something else.
    pub fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// For an operation of the kernel's in the guest's memory, until the guard is dropped; `None`: not any more.
    pub fn enter(&self) -> Option<GateGuard> {
        (!self.is_cut()).then(|| self.lent.enter())
    }

    /// From now on nobody touches it; returns when nobody does.
    pub async fn cut(&self) {
        self.is_cut.set(true);
        self.lent.empty().await;
    }
}
