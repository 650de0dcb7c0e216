//! Locks.
//!
//! # Invariants
//! * **POOLLOCK-1** A lock's record changes only from the version that was read, so of two who want it one gets it, and its token
//!   grows with each owner (L3).
//! * **POOLLOCK-2** Before a lock passes from an instance that did not give it back to another one, the cluster refuses whatever that instance
//!   still sends (L1, L3). Before it passes from one deployment to another by force, the cluster refuses what all instances of the former
//!   send, here and to the companions, and no instance of it begins in its tenure (INSTANCE-2).

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use archipelago_runtime::Memory;
use archipelago_runtime::local::either;
use archipelago_store::peer::Leave;
use archipelago_store::{LockOwner, LockRecord, ObjectName, StoreError};
use xseg::Errno;

use super::core::{Engine, store_error};
use super::instance::{FENCE_TIME, end_tenure};
use super::lock_record::{Holder, LockState};
use super::names;
use super::turns::Turns;
use super::vigils::Watcher;
use crate::librados::Cluster;

const RECORD_BYTES_MAX: usize = 4096;

/// A request for a lock.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub name: ObjectName,
    pub owner: LockOwner,
    /// When it was asked for, by the asker's clock.
    pub since: u64,
}

/// Who changes locks here, and whom we have had refused.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    turns: Turns,
    fenced: RefCell<HashSet<String>>,
}

/// A lock as it is, and the version of that; no version if there is no object.
type Found = (LockState, Option<u64>);

impl Engine {
    async fn find_lock(&self, name: &ObjectName) -> Result<Found, StoreError> {
        let memory = Memory::from(vec![0; RECORD_BYTES_MAX]);
        let read = self.pool.read(&names::lock(name), 0, memory).await;
        let count = match read.result {
            Ok(count) => count,
            Err(Errno::NOENT) => return Ok((LockState::NEW, None)),
            Err(errno) => return Err(store_error(errno)),
        };
        let bytes = read.kept.into_bytes().expect("made from bytes above");
        let state = LockState::decode(&bytes[..count]).ok_or_else(|| {
            tracing::error!(lock = %name, "the record of the lock is damaged, or of a newer program");
            StoreError::Io(Errno::UCLEAN)
        })?;
        Ok((state, Some(read.version)))
    }

    /// Changes a lock if it is as it was found (POOLLOCK-1). Tells whether it was.
    async fn change_lock(
        &self,
        name: &ObjectName,
        version: Option<u64>,
        state: &LockState,
    ) -> Result<bool, StoreError> {
        let changing = match version {
            None => self.pool.writing().create_exclusive(),
            Some(version) => self.pool.writing().assert_version(version),
        };
        let changing = changing.write_full(&state.encode());
        let changed = self.pool.change(&names::lock(name), changing).await;
        is_done(changed.result.map(drop))
    }

    /// Has an instance of our deployment refused that is not ours, once (POOLLOCK-2).
    async fn fence(&self, address: &str) -> Result<(), StoreError> {
        let is_done = address == self.instance.address
            || self
                .instance
                .refused
                .iter()
                .any(|refused| refused == address);
        match is_done {
            true => Ok(()),
            false => self.fence_in(self.pool.cluster(), address).await,
        }
    }

    async fn fence_in(&self, cluster: &Arc<Cluster>, address: &str) -> Result<(), StoreError> {
        if self.locks.fenced.borrow().contains(address) {
            return Ok(());
        }
        tracing::warn!(address, "an instance is fenced: a lock of its passes on");
        let (cluster, theirs) = (cluster.clone(), address.to_owned());
        let fenced = self
            .handle
            .blocking(move || cluster.fence(&theirs, FENCE_TIME));
        fenced.await.map_err(|errno| {
            tracing::error!(address, %errno, "it cannot be fenced: allow us to, with `mon 'profile rbd'`");
            StoreError::Io(errno)
        })?;
        self.locks.fenced.borrow_mut().insert(address.to_owned());
        Ok(())
    }

    /// Nothing of another deployment gets in any more, wherever it writes by what this store's locks allow (POOLLOCK-2).
    async fn fence_all_of(&self, holder: &Holder) -> Result<(), StoreError> {
        for pool in std::iter::once(&self.pool).chain(&self.companions) {
            for address in end_tenure(pool, &holder.owner).await? {
                self.fence_in(pool.cluster(), &address).await?;
            }
        }
        self.fence(&holder.address).await
    }

    /// Takes the lock, if it is free.
    pub async fn lock(&self, wish: &Wish) -> Result<LockRecord, StoreError> {
        let _turn = self.locks.turns.at(wish.name.as_bytes()).await;
        self.lock_now(wish).await
    }

    async fn lock_now(&self, wish: &Wish) -> Result<LockRecord, StoreError> {
        self.settle().await?; // ENGINE-2
        loop {
            let (mut state, version) = self.find_lock(&wish.name).await?;
            match &state.holder {
                Some(holder) if holder.owner != wish.owner => {
                    return Err(StoreError::Locked {
                        owner: holder.owner.to_string(),
                    });
                }
                // An earlier instance of the same deployment is a stranger (L1).
                Some(holder) => {
                    if holder.address == self.instance.address {
                        break state.record();
                    }
                    let address = holder.address.clone();
                    self.fence(&address).await?;
                }
                None => {
                    state.token += 1;
                    state.since = wish.since;
                }
            }
            state.holder = Some(Holder {
                owner: wish.owner.clone(),
                address: self.instance.address.clone(),
            });
            if self.change_lock(&wish.name, version, &state).await? {
                break state.record();
            }
        }
        .ok_or(StoreError::NotLocked) // it has a holder, both ways
    }

    /// The same, as soon as it is free: whoever gives it back tells those who watch it.
    pub async fn wait_for_lock(
        &self,
        wish: &Wish,
        leave: &Leave,
    ) -> Result<Result<LockRecord, StoreError>, Errno> {
        let mut watcher = None;
        loop {
            let news = watcher.as_ref().map(Watcher::news);
            let turn = self.locks.turns.at(wish.name.as_bytes()).await;
            if let Some(why) = leave.why() {
                return Err(why);
            }
            match self.lock_now(wish).await {
                Err(StoreError::Locked { .. }) => {}
                taken => return Ok(taken),
            }
            drop(turn);
            let watcher = watcher.get_or_insert_with(|| {
                let object = names::lock(&wish.name);
                self.vigils.begin(&self.handle, &self.pool, object)
            });
            // VIGIL-1: the first time there is none yet, and what was missed is told when there is.
            if news.is_none_or(|news| news == watcher.news()) {
                either(watcher.wait(&self.handle), leave.told()).await;
            }
        }
    }

    pub async fn unlock(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
        force: bool,
    ) -> Result<(), StoreError> {
        self.settle().await?; // ENGINE-2
        let _turn = self.locks.turns.at(name.as_bytes()).await;
        loop {
            let (mut state, version) = self.find_lock(name).await?;
            let holder = state.holder.take().ok_or(StoreError::NotLocked)?;
            if holder.owner != *owner {
                if !force {
                    return Err(StoreError::Locked {
                        owner: holder.owner.to_string(),
                    });
                }
                self.fence_all_of(&holder).await?;
                state.broken = state.token;
            }
            if self.change_lock(name, version, &state).await? {
                self.pool.tell_watchers(&names::lock(name));
                return Ok(());
            }
        }
    }

    /// Gives the lock back, and leaves no trace of it: nobody uses its name again.
    pub async fn forget_lock(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
    ) -> Result<(), StoreError> {
        self.settle().await?; // ENGINE-2
        let _turn = self.locks.turns.at(name.as_bytes()).await;
        loop {
            let (state, version) = self.find_lock(name).await?;
            let Some(version) = version else {
                return Ok(());
            };
            if let Some(holder) = state.holder.filter(|holder| holder.owner != *owner) {
                return Err(StoreError::Locked {
                    owner: holder.owner.to_string(),
                });
            }
            let removing = self.pool.writing().assert_version(version).remove();
            let removed = self.pool.change(&names::lock(name), removing).await;
            // Whoever watches it is told that it is gone.
            if is_done(removed.result.map(drop))? {
                return Ok(());
            }
        }
    }

    pub async fn lock_holder(&self, name: &ObjectName) -> Result<Option<LockRecord>, StoreError> {
        Ok(self.find_lock(name).await?.0.record())
    }
}

/// Whether the lock was as it was found.
fn is_done(changed: Result<(), Errno>) -> Result<bool, StoreError> {
    match changed {
        Ok(()) => Ok(true),
        Err(Errno::EXIST | Errno::RANGE | Errno::OVERFLOW | Errno::NOENT) => Ok(false),
        Err(errno) => Err(store_error(errno)),
    }
}
