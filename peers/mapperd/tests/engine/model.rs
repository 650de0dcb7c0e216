//! What a volume has to say: an array of sub-blocks, and what they may say again after power loss.

use std::collections::BTreeMap;

use crate::client::{GRAIN_BYTES, SECTORS, Sub};

/// What a volume or a snapshot has to say.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub is_snapshot: bool,
    pub bytes: u64,
    pub subs: BTreeMap<u64, Sub>,
    /// What sub-blocks said since the last flush: after power loss they may say it again.
    pub before: BTreeMap<u64, Vec<Sub>>,
}

impl Model {
    pub fn sub(&self, sub: u64) -> Sub {
        self.subs.get(&sub).copied().unwrap_or([0; SECTORS])
    }

    pub fn set(&mut self, sub: u64, value: Sub) {
        let old = self.sub(sub);
        self.before.entry(sub).or_default().push(old);
        if value == [0; SECTORS] {
            self.subs.remove(&sub);
        } else {
            self.subs.insert(sub, value);
        }
    }

    pub fn count(&self) -> u64 {
        self.bytes.div_ceil(GRAIN_BYTES as u64)
    }

    /// After power loss each sector says what it said last, or something since the last flush.
    pub fn check_after_crash(&mut self, sub: u64, found: Sub) {
        let mut may = self.before.get(&sub).cloned().unwrap_or_default();
        may.push(self.sub(sub));
        for (sector, number) in found.iter().enumerate() {
            let allowed = may.iter().any(|value| value[sector] == *number);
            assert!(
                allowed,
                "sub-block {sub}, sector {sector}: {number}, one of {may:?} expected"
            );
        }
        if found == [0; SECTORS] {
            self.subs.remove(&sub);
        } else {
            self.subs.insert(sub, found);
        }
    }
}
