//! Locks, as the stores in memory keep them.

use std::collections::BTreeMap;
use std::task::Waker;

use crate::contract::{LockOwner, LockRecord};
use crate::error::StoreError;
use crate::name::ObjectName;

#[derive(Debug, Default)]
struct Lock {
    holder: Option<LockRecord>,
    /// The last token that anyone got: the next one gets a greater one.
    token: u64,
    broken: u64,
    waiting: Vec<Waker>,
}

#[derive(Debug, Default)]
pub(crate) struct LockTable {
    locks: BTreeMap<ObjectName, Lock>,
}

impl LockTable {
    /// Takes the lock if it is free or the owner's already.
    pub fn take(
        &mut self,
        name: &ObjectName,
        owner: &LockOwner,
        since: u64,
    ) -> Result<LockRecord, StoreError> {
        let lock = self.locks.entry(name.clone()).or_default();
        match &lock.holder {
            Some(held) if held.is_of(owner) => Ok(held.clone()),
            Some(held) => Err(StoreError::Locked {
                owner: held.owner.to_string(),
            }),
            None => {
                lock.token += 1;
                let record = LockRecord {
                    owner: owner.clone(),
                    token: lock.token,
                    since,
                    broken: lock.broken,
                };
                lock.holder = Some(record.clone());
                Ok(record)
            }
        }
    }

    /// Wakes `waker` when the lock may have become free.
    pub fn wait(&mut self, name: &ObjectName, waker: &Waker) {
        let waiting = &mut self.locks.entry(name.clone()).or_default().waiting;
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    pub fn give_back(
        &mut self,
        name: &ObjectName,
        owner: &LockOwner,
        force: bool,
    ) -> Result<(), StoreError> {
        let lock = self.locks.get_mut(name).ok_or(StoreError::NotLocked)?;
        match &lock.holder {
            None => Err(StoreError::NotLocked),
            Some(held) if held.owner != *owner && !force => Err(StoreError::Locked {
                owner: held.owner.to_string(),
            }),
            Some(held) => {
                if held.owner != *owner {
                    lock.broken = held.token;
                }
                lock.holder = None;
                lock.waiting.drain(..).for_each(Waker::wake);
                Ok(())
            }
        }
    }

    /// The first half of a fence: from then on nobody has it, and nobody gets it yet.
    pub fn mark(&mut self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError> {
        let lock = self.locks.get_mut(name).ok_or(StoreError::NotLocked)?;
        let held = lock.holder.as_mut().ok_or(StoreError::NotLocked)?;
        if held.owner != *owner && !held.is_being_broken() {
            lock.token += 1;
            (held.token, held.broken, lock.broken) = (lock.token, lock.token, lock.token);
        }
        Ok(())
    }

    /// Whoever waits for it makes it anew.
    pub fn forget(&mut self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError> {
        match self.give_back(name, owner, false) {
            Ok(()) | Err(StoreError::NotLocked) => {}
            refused => return refused,
        }
        if let Some(mut lock) = self.locks.remove(name) {
            lock.waiting.drain(..).for_each(Waker::wake);
        }
        Ok(())
    }

    /// Those that are remembered.
    pub fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.locks.keys()
    }

    pub fn holder(&self, name: &ObjectName) -> Option<LockRecord> {
        self.locks.get(name)?.holder.clone()
    }

    /// The same locks without those who wait for them: what is left after they died.
    pub fn without_waiters(&self) -> Self {
        let kept = |lock: &Lock| Lock {
            holder: lock.holder.clone(),
            token: lock.token,
            broken: lock.broken,
            waiting: Vec::new(),
        };
        let locks = self.locks.iter();
        Self {
            locks: locks
                .map(|(name, lock)| (name.clone(), kept(lock)))
                .collect(),
        }
    }
}
