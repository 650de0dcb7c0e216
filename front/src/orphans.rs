//! Requests of clients that are gone.
//!
//! # Invariants
//! * **ORPHAN-1** While a request of a client that is gone is not done, its disk is opened for no other one, whatever attaches them: an
//!   unanswered write never lands on top of a newer, answered one (S7).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use archipelago_runtime::local::{Gate, GateGuard};

/// Clients that are gone while their requests go on, by the names of the disks. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Orphans {
    gates: Rc<RefCell<BTreeMap<String, Gate>>>,
}

impl Orphans {
    /// From now on, and until the guard is dropped, `name` is not opened.
    pub fn enter(&self, name: &str) -> GateGuard {
        let mut gates = self.gates.borrow_mut();
        // Those that are empty again are in nobody's way.
        gates.retain(|_, gate| gate.inside() > 0);
        gates.entry(name.to_owned()).or_default().enter()
    }

    /// Waits until `name` may be opened.
    pub async fn settled(&self, name: &str) {
        loop {
            let gate = self.gates.borrow().get(name).cloned();
            match gate {
                Some(gate) if gate.inside() > 0 => gate.empty().await,
                _ => return,
            }
        }
    }
}
