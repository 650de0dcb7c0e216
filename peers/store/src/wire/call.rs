//! What a store can be asked, after all checks.

use crate::contract::{OwnerLife, Scope};
use crate::name::ObjectName;

/// What [`Call::OwnerLife`] is answered with.
pub fn life_number(life: OwnerLife) -> u64 {
    match life {
        OwnerLife::Unknown => 0,
        OwnerLife::Lives => 1,
        OwnerLife::Gone => 2,
    }
}

/// And back. What is not known is not known.
pub fn life_of(number: u64) -> OwnerLife {
    match number {
        1 => OwnerLife::Lives,
        2 => OwnerLife::Gone,
        _ => OwnerLife::Unknown,
    }
}

/// A request to a store. Lengths were checked against the payload, ranges against what an object can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Read {
        name: ObjectName,
        offset: u64,
        len: u64,
    },
    Write {
        scope: Scope,
        name: ObjectName,
        offset: u64,
        len: u64,
        /// The answer means durable (FUA).
        durable: bool,
    },
    WriteFull {
        name: ObjectName,
        len: u64,
    },
    CreateExclusive {
        name: ObjectName,
        len: u64,
    },
    Extend {
        scope: Scope,
        name: ObjectName,
        size: u64,
        reserve: bool,
    },
    Copy {
        scope: Scope,
        from: ObjectName,
        to: ObjectName,
        len: u64,
    },
    Delete {
        name: ObjectName,
    },
    /// As a write of zeros: creates and extends the object.
    Zero {
        scope: Scope,
        name: ObjectName,
        offset: u64,
        len: u64,
    },
    Punch {
        scope: Scope,
        name: ObjectName,
        offset: u64,
        len: u64,
    },
    Stat {
        name: ObjectName,
    },
    DataIn {
        name: ObjectName,
        offset: u64,
        len: u64,
    },
    List {
        group: Vec<u8>,
        after: Option<ObjectName>,
        max: u64,
    },
    Groups {
        after: Option<Vec<u8>>,
    },
    Hash {
        name: ObjectName,
    },
    Sync {
        scope: Scope,
    },
    Heal {
        scope: Scope,
    },
    /// The owner is in the payload.
    Lock {
        name: ObjectName,
        since: u64,
        wait: bool,
    },
    Unlock {
        name: ObjectName,
        force: bool,
    },
    ForgetLock {
        name: ObjectName,
    },
    LockOwner {
        name: ObjectName,
    },
    /// By force, also if its owner lives.
    BreakLock {
        name: ObjectName,
    },
    /// The same, when its owner answers nothing any more.
    FenceLock {
        name: ObjectName,
    },
    /// Answered with [`life_number`].
    OwnerLife {
        name: ObjectName,
    },
}
