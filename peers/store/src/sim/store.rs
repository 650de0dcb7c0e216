//! The simulated store: the contract, with faults.
//!
//! Each call is one atomic step: it yields as often as the seed says, is counted, fails or finds the store dead if
//! that was planned, and is done. So a test that dies before every call in turn has died at every step there is.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::ops::Range;
use std::rc::Rc;
use std::task::Poll;

use super::calls::{CallKind, Calls};
use super::disk::Disk;
use super::executor::yield_now;
use super::faults::{DEAD, Faults};
use super::random::SimRandom;
use crate::conformance::Limited;
use crate::content::{Blob, LockTable};
use crate::contract::{Listing, LockOwner, LockRecord, ObjectStat, Scope, Store};
use crate::error::StoreError;
use crate::mem::page_of_names;
use crate::name::ObjectName;
use crate::range::range_end;

const CAPACITY_DEFAULT_BYTES: u64 = 4 << 30;
/// How often a call finds that some of what is dirty was written back meanwhile.
const WRITE_BACK_ONE_IN: u64 = 8;

/// A store in memory that loses what was not synced when the power fails. A clone is the same store.
#[derive(Clone, Debug)]
pub struct SimStore {
    state: Rc<RefCell<State>>,
}

#[derive(Debug)]
struct State {
    disk: Disk,
    locks: LockTable,
    faults: Faults,
}

impl SimStore {
    /// An empty store; the seed decides about delays and about what is written back early.
    pub fn new(seed: u64) -> Self {
        let disk = Disk::new(CAPACITY_DEFAULT_BYTES);
        Self::from_parts(disk, LockTable::default(), Faults::new(seed))
    }

    fn from_parts(disk: Disk, locks: LockTable, faults: Faults) -> Self {
        let state = State {
            disk,
            locks,
            faults,
        };
        Self {
            state: Rc::new(RefCell::new(state)),
        }
    }

    fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// What a power loss at this moment leaves: another store, without faults. Locks are durable (STORE-3).
    pub fn crash(&self, random: &mut SimRandom) -> Self {
        let mut state = self.state();
        let disk = state.disk.crash(random);
        let locks = state.locks.without_waiters();
        Self::from_parts(disk, locks, Faults::new(state.faults.random.number()))
    }

    /// The same store for whoever comes after processes died and the machine did not: nothing is lost (STORE-1),
    /// no fault is planned any more, and what is dirty is as dirty as before.
    pub fn survive(&self) -> Self {
        let mut state = self.state();
        let mut faults = Faults::new(state.faults.random.number());
        faults.failed = state.faults.failed.clone();
        Self::from_parts(state.disk.clone(), state.locks.without_waiters(), faults)
    }

    /// What it holds at the most.
    pub fn set_capacity_bytes(&self, bytes: u64) {
        self.state().disk.capacity_bytes = bytes;
    }

    /// The call with this number (the first ever is 0) fails, without having done anything.
    pub fn fail_call(&self, call: u64, error: StoreError) {
        self.state().faults.failing_calls.insert(call, error);
    }

    /// Nothing that was late is still to come (STORE-7).
    pub fn settle(&self) {
        let failed = &mut self.state().faults.failed;
        failed.retain(|_, why| *why != StoreError::Late);
    }

    /// From now on all calls of a kind fail; with `None` they do not any more.
    pub fn fail_all(&self, kind: CallKind, error: Option<StoreError>) {
        let kinds = &mut self.state().faults.failing_kinds;
        match error {
            Some(error) => kinds.insert(kind, error),
            None => kinds.remove(&kind),
        };
    }

    /// The call with this number, and all after it, are not done and fail with ESHUTDOWN.
    pub fn die_before_call(&self, call: u64) {
        self.state().faults.dies_at = Some(call);
    }

    pub fn is_dead(&self) -> bool {
        self.state().faults.is_dead()
    }

    /// Every call lets others go first, up to so many times.
    pub fn set_yields_max(&self, yields: u64) {
        self.state().faults.yields_max = yields;
    }

    /// Begins to break a lock whose owner may live: it is nobody's until somebody breaks it for good, when he has seen to it that its owner
    /// answers nothing any more.
    pub fn mark_lock(&self, name: &ObjectName, by: &LockOwner) -> Result<(), StoreError> {
        self.state().locks.mark(name, by)
    }

    /// The locks that were taken, and not forgotten.
    pub fn locks(&self) -> Vec<ObjectName> {
        self.state().locks.names().cloned().collect()
    }

    /// Cuts an object, as a broken file system does: reads of it are short from then on (F28).
    pub fn cut(&self, name: &ObjectName, size: u64) -> Result<(), StoreError> {
        self.state().disk.find_mut(name)?.cut(size);
        Ok(())
    }

    /// How often it was asked what.
    pub fn calls(&self) -> Calls {
        self.state().faults.calls
    }

    /// The call with this number is done, and its answer is lost: it fails all the same.
    pub fn lose_answer(&self, call: u64, error: StoreError) {
        self.state().faults.lost_answers.insert(call, error);
    }

    /// One call: waits as long as the seed says, and does its work in one step, or fails.
    async fn step<T>(
        &self,
        kind: CallKind,
        scope: Option<Scope>,
        work: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let yields = {
            let faults = &mut self.state().faults;
            faults.random.below(faults.yields_max.saturating_add(1))
        };
        for _ in 0..yields {
            yield_now().await;
        }
        let mut state = self.state();
        let done = state.attempt(kind, work);
        if let (Err(error), Some(scope)) = (&done, scope) {
            state.faults.latch(scope, error); // STORE-5
        }
        done
    }
}

impl State {
    fn attempt<T>(
        &mut self,
        kind: CallKind,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let lost = self.faults.next(kind)?;
        if self.faults.random.one_in(WRITE_BACK_ONE_IN) {
            self.disk.write_back_some(&mut self.faults.random);
        }
        let done = work(self);
        lost.map_or(done, Err)
    }
}

impl Limited for SimStore {
    fn limit_bytes(&self, bytes: u64) {
        self.set_capacity_bytes(bytes);
    }
}

/// What a filesystem takes, and counts, to find the parts of a file in pieces.
const MAP_BYTES: u64 = 4096;

impl Store for SimStore {
    async fn read(
        &self,
        name: &ObjectName,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, StoreError> {
        self.step(CallKind::Read, None, |state| {
            range_end(offset, into.len() as u64)?;
            Ok(state.disk.find(name)?.read(offset, into))
        })
        .await
    }

    async fn write(
        &self,
        scope: Scope,
        name: &ObjectName,
        offset: u64,
        data: &[u8],
    ) -> Result<(), StoreError> {
        self.step(CallKind::Write, Some(scope), |state| {
            let len = data.len() as u64;
            range_end(offset, len)?;
            let inode = state.disk.open_for(scope, name, offset, len)?;
            inode.write(scope, offset, data);
            Ok(())
        })
        .await
    }

    async fn write_full(&self, name: &ObjectName, data: &[u8]) -> Result<(), StoreError> {
        self.step(CallKind::WriteFull, None, |state| {
            state.disk.settle(name, Blob::of(data))
        })
        .await
    }

    async fn create_exclusive(&self, name: &ObjectName, data: &[u8]) -> Result<(), StoreError> {
        self.step(CallKind::CreateExclusive, None, |state| {
            if state.disk.has(name) {
                return Err(StoreError::Exists);
            }
            state.disk.settle(name, Blob::of(data))
        })
        .await
    }

    async fn extend(
        &self,
        scope: Scope,
        name: &ObjectName,
        size: u64,
        reserve: bool,
    ) -> Result<(), StoreError> {
        self.step(CallKind::Extend, Some(scope), |state| {
            range_end(0, size)?;
            let needs = if reserve { size } else { 0 };
            let inode = state.disk.open_for(scope, name, 0, needs)?;
            inode.extend(scope, size, reserve);
            Ok(())
        })
        .await
    }

    async fn copy(
        &self,
        scope: Scope,
        from: &ObjectName,
        to: &ObjectName,
        len: u64,
    ) -> Result<u64, StoreError> {
        self.step(CallKind::Copy, Some(scope), |state| {
            if from == to {
                return Err(StoreError::Invalid);
            }
            let blob = state.disk.find(from)?.prefix(len);
            let copied = blob.size();
            state.disk.replace(scope, to, blob)?;
            Ok(copied)
        })
        .await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.step(CallKind::Delete, None, |state| state.disk.remove(name))
            .await
    }

    async fn punch(
        &self,
        scope: Scope,
        name: &ObjectName,
        offset: u64,
        len: u64,
    ) -> Result<(), StoreError> {
        self.step(CallKind::Punch, Some(scope), |state| {
            range_end(offset, len)?;
            state.disk.find_mut(name)?.punch(scope, offset, len);
            state.disk.touch(scope, name);
            Ok(())
        })
        .await
    }

    async fn stat(&self, name: &ObjectName) -> Result<ObjectStat, StoreError> {
        self.step(CallKind::Stat, None, |state| {
            let blob = state.disk.find(name)?;
            let has_holes = (1..blob.size()).contains(&blob.allocated());
            let to_find_it = if has_holes { MAP_BYTES } else { 0 };
            Ok(ObjectStat {
                size: blob.size(),
                allocated: blob.allocated() + to_find_it,
            })
        })
        .await
    }

    async fn data_in(&self, name: &ObjectName, part: Range<u64>) -> Result<u64, StoreError> {
        self.step(CallKind::Stat, None, |state| {
            Ok(state.disk.find(name)?.data_in(part))
        })
        .await
    }

    async fn list(
        &self,
        group: &[u8],
        after: Option<&ObjectName>,
        max: usize,
    ) -> Result<Listing, StoreError> {
        self.step(CallKind::List, None, |state| {
            Ok(page_of_names(state.disk.names(), group, after, max))
        })
        .await
    }

    async fn groups(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.step(CallKind::Groups, None, |state| {
            let groups: BTreeSet<&[u8]> = state.disk.names().map(ObjectName::group).collect();
            Ok(groups.into_iter().map(<[u8]>::to_vec).collect())
        })
        .await
    }

    async fn hash(&self, name: &ObjectName) -> Result<[u8; 32], StoreError> {
        self.step(CallKind::Hash, None, |state| {
            Ok(state.disk.find(name)?.hash())
        })
        .await
    }

    async fn sync(&self, scope: Scope) -> Result<(), StoreError> {
        self.step(CallKind::Sync, Some(scope), |state| {
            if let Some(error) = state.faults.failed.get(&scope) {
                return Err(error.clone());
            }
            state.disk.sync(scope);
            Ok(())
        })
        .await
    }

    async fn heal(&self, scope: Scope) -> Result<(), StoreError> {
        self.step(CallKind::Heal, None, |state| {
            state.faults.failed.remove(&scope);
            Ok(())
        })
        .await
    }

    async fn lock(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
        wait: bool,
    ) -> Result<LockRecord, StoreError> {
        // Not a clock: equal seeds do equal things.
        let tried = self.step(CallKind::Lock, None, |state| {
            let since = state.faults.calls.total();
            state.locks.take(name, owner, since)
        });
        match tried.await {
            Err(StoreError::Locked { .. }) if wait => {}
            taken => return taken,
        }
        poll_fn(|context| {
            let mut state = self.state();
            if state.faults.is_dead() {
                return Poll::Ready(Err(DEAD));
            }
            let since = state.faults.calls.total();
            match state.locks.take(name, owner, since) {
                Err(StoreError::Locked { .. }) => {
                    state.locks.wait(name, context.waker());
                    Poll::Pending
                }
                taken => Poll::Ready(taken),
            }
        })
        .await
    }

    async fn unlock(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
        force: bool,
    ) -> Result<(), StoreError> {
        self.step(CallKind::Unlock, None, |state| {
            state.locks.give_back(name, owner, force)
        })
        .await
    }

    async fn forget_lock(&self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError> {
        self.step(CallKind::Unlock, None, |state| {
            state.locks.forget(name, owner)
        })
        .await
    }

    async fn lock_owner(&self, name: &ObjectName) -> Result<Option<LockRecord>, StoreError> {
        self.step(CallKind::LockOwner, None, |state| {
            Ok(state.locks.holder(name))
        })
        .await
    }
}
