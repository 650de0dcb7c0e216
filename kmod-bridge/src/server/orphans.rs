//! Requests of connections that are gone.
//!
//! # Invariants
//! * **ORPHAN-1** While a request of a dropped connection is not done, its export is opened for no new connection: an unanswered
//!   write never lands on top of a newer, answered one (S7).

use std::cell::RefCell;
use std::collections::BTreeMap;

use archipelago_front::DiskName;
use archipelago_runtime::local::{Gate, GateGuard};

/// Dropped connections whose requests go on, by export.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    gates: RefCell<BTreeMap<DiskName, Gate>>,
}

impl Orphans {
    /// From now on, and until the guard is dropped, `name` is not opened.
    pub fn enter(&self, name: &DiskName) -> GateGuard {
        let mut gates = self.gates.borrow_mut();
        // Those that are empty again are in nobody's way.
        gates.retain(|_, gate| gate.inside() > 0);
        gates.entry(name.clone()).or_default().enter()
    }

    /// Waits until `name` may be opened.
    pub async fn settled(&self, name: &DiskName) {
        loop {
            let gate = self.gates.borrow().get(name).cloned();
            match gate {
                Some(gate) if gate.inside() > 0 => gate.empty().await,
                _ => return,
            }
        }
    }
}
