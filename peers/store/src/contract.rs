//! What every store can do.
//!
//! # Invariants
//! * **STORE-1** What a write was answered for is read by every later read through this store, whoever dies (D1).
//! * **STORE-2** After `sync(scope)` all that was answered before under that scope survives power loss, names included.
//! * **STORE-3** `create_exclusive`, `write_full`, `lock`, `unlock` and `forget_lock` happen wholly or not at all, whoever dies, and
//!   are durable when they are answered. Of two exclusive creators one wins.
//! * **STORE-4** Only an object that is not there is answered with `NotFound`: a failure is a failure (M6).
//! * **STORE-5** A scope in which a write or a sync failed stays failed: its syncs are refused until `heal` (D3).
//! * **STORE-6** Space of deleted objects and punched ranges is given back; what is read from a punched range is zero.
//! * **STORE-7** What ended with `Late` fails its scope as well, and may still happen. When it cannot any more the store says so: by syncs
//!   that it does not refuse any more, and by `heal`, which fails until then. A store of which something can be late
//!   has on disk what it has answered.

use std::ops::Range;

use crate::error::StoreError;
use crate::name::ObjectName;

/// For whom something was written: `sync` makes durable what was written under its scope. A volume's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectStat {
    /// Its length.
    pub size: u64,
    /// What it takes of the store's space, in bytes, to the store's grain.
    pub allocated: u64,
}

/// Who holds locks: survives restarts of peers and of the node's software (L1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LockOwner {
    pub node: String,
    pub deployment: String,
}

impl std::fmt::Display for LockOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", self.deployment, self.node)
    }
}

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockRecord {
    pub owner: LockOwner,
    /// Grows at every change of owner, until the lock is forgotten; kept over unlocking (L3).
    pub token: u64,
    /// Seconds since 1970, by the owner's clock: for people, nothing is decided by it.
    pub since: u64,
    /// The greatest token that was ever taken from its owner by force: whoever had it may not know, and may still be writing what
    /// it names (L3). 0 if there is none, or if the store refuses what such an owner writes. Its own token: it is being taken now.
    pub broken: u64,
}

impl LockRecord {
    /// It is being taken from its holder: nobody has it, and nobody gets it yet.
    pub fn is_being_broken(&self) -> bool {
        self.broken > 0 && self.broken >= self.token
    }

    /// Does this owner have it?
    pub fn is_of(&self, owner: &LockOwner) -> bool {
        self.owner == *owner && !self.is_being_broken()
    }
}

/// Whether the owner of a lock lives: then what it does under the lock may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerLife {
    /// The store cannot tell.
    Unknown,
    Lives,
    /// No process of it is left.
    Gone,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Sorted.
    pub names: Vec<ObjectName>,
    /// There are more, after the last one.
    pub more: bool,
}

/// An object store: a blocker as its users see it. One thread uses it; its futures are not `Send`.
#[allow(async_fn_in_trait)]
pub trait Store {
    /// Reads from `offset`; the count is less than asked for only where the object ends. A range whose end no file
    /// offset can say is `Invalid`, here and everywhere.
    async fn read(
        &self,
        name: &ObjectName,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, StoreError>;

    /// Writes in place, creating or extending the object; a gap reads as zeros. No bytes create it and extend nothing. A store may
    /// have no space beyond [`crate::OBJECT_BYTES_LEAST`].
    async fn write(
        &self,
        scope: Scope,
        name: &ObjectName,
        offset: u64,
        data: &[u8],
    ) -> Result<(), StoreError>;

    /// Replaces the whole object, or creates it. Durable when answered.
    async fn write_full(&self, name: &ObjectName, data: &[u8]) -> Result<(), StoreError>;

    /// Creates the object with this content; `Exists` if it is there. Durable when answered.
    async fn create_exclusive(&self, name: &ObjectName, data: &[u8]) -> Result<(), StoreError>;

    /// Makes the object `size` long, creating it; with `reserve` its space is allocated, so that writing within it
    /// cannot run out of space (D5). Never shortens.
    async fn extend(
        &self,
        scope: Scope,
        name: &ObjectName,
        size: u64,
        reserve: bool,
    ) -> Result<(), StoreError>;

    /// Copies the first `len` bytes of one object (less, where it ends) to another, which becomes exactly these bytes,
    /// whatever it was. Shares the space where the store can. Answers with the number of bytes. `NotFound` if the
    /// first is missing, and then nothing is made; `Invalid` if both are one.
    async fn copy(
        &self,
        scope: Scope,
        from: &ObjectName,
        to: &ObjectName,
        len: u64,
    ) -> Result<u64, StoreError>;

    /// Durable after the next sync of whatever scope.
    async fn delete(&self, name: &ObjectName) -> Result<(), StoreError>;

    /// A range becomes zero and gives its space back. The object keeps its length; what lies beyond it is left alone.
    async fn punch(
        &self,
        scope: Scope,
        name: &ObjectName,
        offset: u64,
        len: u64,
    ) -> Result<(), StoreError>;

    async fn stat(&self, name: &ObjectName) -> Result<ObjectStat, StoreError>;

    /// How much of a part of the object is no hole, as far as the store can tell. What `stat` says that it takes may be more:
    /// a filesystem counts what it needs to find the data.
    async fn data_in(&self, name: &ObjectName, part: Range<u64>) -> Result<u64, StoreError>;

    /// The names of a group, after `after`, at most `max`. A group that nobody writes is listed exactly.
    async fn list(
        &self,
        group: &[u8],
        after: Option<&ObjectName>,
        max: usize,
    ) -> Result<Listing, StoreError>;

    /// All groups that have objects, sorted; for whoever looks for what nobody refers to any more.
    async fn groups(&self) -> Result<Vec<Vec<u8>>, StoreError>;

    /// BLAKE3 of the content without its trailing zeros.
    async fn hash(&self, name: &ObjectName) -> Result<[u8; 32], StoreError>;

    /// STORE-2.
    async fn sync(&self, scope: Scope) -> Result<(), StoreError>;

    /// Believes the scope again: its user has verified it (STORE-5). `Late` as long as something of it may still happen (STORE-7).
    async fn heal(&self, scope: Scope) -> Result<(), StoreError>;

    /// Takes the lock, or finds that `owner` has it already. `wait`: not answered until it is free.
    async fn lock(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
        wait: bool,
    ) -> Result<LockRecord, StoreError>;

    /// Gives it back. `force` breaks another's lock: the next owner's token is greater all the same, and it is told (`broken`). A
    /// store that can tell that the other one lives refuses that with `Locked`. `NotLocked` if nobody holds it.
    async fn unlock(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
        force: bool,
    ) -> Result<(), StoreError>;

    /// The same by force, also if the other one lives, where the store can be talked into that: that one may go on writing.
    async fn break_lock(&self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError> {
        self.unlock(name, owner, true).await
    }

    /// The same, and it is answered only when nothing that the other one does under the lock is answered any more, where the store
    /// can see to that; `Locked` where it could and the other one does not know of it.
    async fn fence_lock(&self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError> {
        self.break_lock(name, owner).await
    }

    /// Whether who has the lock lives; `NotLocked` if nobody has it.
    async fn owner_life(&self, name: &ObjectName) -> Result<OwnerLife, StoreError> {
        match self.lock_owner(name).await? {
            Some(_) => Ok(OwnerLife::Unknown),
            None => Err(StoreError::NotLocked),
        }
    }

    /// Gives it back if `owner` has it, and removes every trace of it: the name is never used again, so its tokens need not
    /// be remembered. `Locked` if another one has it. Whoever takes it at the same moment has it before that, or anew.
    async fn forget_lock(&self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError>;

    async fn lock_owner(&self, name: &ObjectName) -> Result<Option<LockRecord>, StoreError>;
}
