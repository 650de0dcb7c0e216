//! How often a store was asked what.

/// The operations of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    Read,
    Write,
    WriteFull,
    CreateExclusive,
    Extend,
    Copy,
    Delete,
    Punch,
    Stat,
    List,
    Groups,
    Hash,
    Sync,
    Heal,
    Lock,
    Unlock,
    LockOwner,
}

/// How many kinds there are.
const KINDS: usize = CallKind::LockOwner as usize + 1;

/// Counters, one for each kind of call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    counts: [u64; KINDS],
}

impl Calls {
    pub fn of(&self, kind: CallKind) -> u64 {
        self.counts[kind as usize]
    }

    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) fn count(&mut self, kind: CallKind) {
        self.counts[kind as usize] += 1;
    }
}
