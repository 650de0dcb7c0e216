//! What a dead mapper had asked of the blockers.
//!
//! # Invariants
//! * **PREDECESSOR-1** Nothing is done before the blockers have ended all that a dead mapper had asked of them: its writes,
//!   punches and deletions would land on what was answered since, and what it publishes would be in the way (S7). Only a
//!   lock that it waited for is not waited for: that may take for ever, and is ours when it comes.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::{Handle, Orphan, Station};
use xseg::{OpCode, PortId};

const PAUSE_FIRST: Duration = Duration::from_micros(200);
const PAUSE_LONGEST: Duration = Duration::from_millis(20);

/// The dead incarnations of our port.
#[derive(Debug)]
pub(super) struct Predecessor {
    handle: Handle,
    station: Rc<Station>,
    blockers: Vec<PortId>,
    has_ended: Cell<bool>,
}

impl Predecessor {
    pub fn of(handle: &Handle, station: &Rc<Station>, blockers: &[PortId]) -> Self {
        Self {
            handle: handle.clone(),
            station: station.clone(),
            blockers: blockers.to_vec(),
            has_ended: Cell::new(false),
        }
    }

    fn is_in_the_way(&self, orphan: &Orphan) -> bool {
        let mut blockers = self.blockers.iter();
        orphan.report.op != OpCode::ACQUIRE
            && blockers.any(|blocker| orphan.holder == Some(blocker.get()))
    }

    /// Waits until nothing of theirs is under way.
    pub async fn ended(&self) {
        let mut pause = PAUSE_FIRST;
        while !self.has_ended.get() {
            let orphans = self.station.orphan_reports();
            if !orphans.iter().any(|orphan| self.is_in_the_way(orphan)) {
                self.has_ended.set(true);
                return;
            }
            self.handle.sleep(pause).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }
}
