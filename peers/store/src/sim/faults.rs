//! What goes wrong in a simulated store, and when.

use std::collections::BTreeMap;

use rustix::io::Errno;

use super::calls::{CallKind, Calls};
use super::random::SimRandom;
use crate::contract::Scope;
use crate::error::StoreError;

/// What is said by whoever is dead.
pub(super) const DEAD: StoreError = StoreError::Io(Errno::SHUTDOWN);

/// The plan of faults, and the state that they left.
#[derive(Debug)]
pub(super) struct Faults {
    pub random: SimRandom,
    pub calls: Calls,
    pub failing_calls: BTreeMap<u64, StoreError>,
    /// Calls that are done and fail all the same.
    pub lost_answers: BTreeMap<u64, StoreError>,
    pub failing_kinds: BTreeMap<CallKind, StoreError>,
    /// This call and all after it find nobody.
    pub dies_at: Option<u64>,
    pub yields_max: u64,
    /// Scopes that are not believed any more (STORE-5), and what their syncs are refused with.
    pub failed: BTreeMap<Scope, StoreError>,
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        Self {
            random: SimRandom::new(seed),
            calls: Calls::default(),
            failing_calls: BTreeMap::new(),
            lost_answers: BTreeMap::new(),
            failing_kinds: BTreeMap::new(),
            dies_at: None,
            yields_max: 0,
            failed: BTreeMap::new(),
        }
    }

    pub fn is_dead(&self) -> bool {
        self.dies_at.is_some_and(|at| self.calls.total() >= at)
    }

    /// Counts a call and says what becomes of it: an error instead of it, or one after it.
    pub fn next(&mut self, kind: CallKind) -> Result<Option<StoreError>, StoreError> {
        if self.is_dead() {
            return Err(DEAD);
        }
        let number = self.calls.total();
        self.calls.count(kind);
        let by_number = self.failing_calls.remove(&number);
        match by_number.or_else(|| self.failing_kinds.get(&kind).cloned()) {
            Some(error) => Err(error),
            None => Ok(self.lost_answers.remove(&number)),
        }
    }

    /// After a failure that leaves nothing to believe. A full store, or a missing object, is none.
    pub fn latch(&mut self, scope: Scope, error: &StoreError) {
        match error {
            StoreError::Late => {
                self.failed.entry(scope).or_insert(StoreError::Late); // STORE-7
            }
            StoreError::Io(_) if *error != DEAD => {
                self.failed.insert(scope, StoreError::Failed);
            }
            _ => {}
        }
    }
}
