//! Locks, and waiting for them.
//!
//! What happens to a lock through this peer happens one after the other. So who gives up waiting gets nothing that was
//! given back after it gave up: its last try was over by then.

use std::time::Duration;

use archipelago_runtime::local::either;
use archipelago_store::peer::Leave;
use archipelago_store::{LockOwner, LockRecord, ObjectName, OwnerLife, StoreError};
use xseg::Errno;

use super::core::Engine;
use crate::locks::{Break, Force, LockState};

/// Nodes on other machines give locks back without anybody telling us: so often we look (NEWS-2).
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A request for a lock.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub name: ObjectName,
    pub owner: LockOwner,
    /// When it was asked for, by the asker's clock.
    pub since: u64,
}

impl Engine {
    /// Takes the lock, if it is free.
    pub async fn lock(&self, wish: &Wish) -> Result<LockRecord, StoreError> {
        let _turn = self.lock_turns.at(&wish.name).await;
        self.lock_now(wish).await
    }

    async fn lock_now(&self, wish: &Wish) -> Result<LockRecord, StoreError> {
        let wish = wish.clone();
        self.blocking_with_descriptors(move |root| {
            root.locks.take(&wish.name, &wish.owner, wish.since)
        })
        .await
    }

    /// The same, as soon as it is free. What is given back on this machine is noticed at once.
    pub async fn wait_for_lock(
        &self,
        wish: &Wish,
        leave: &Leave,
    ) -> Result<Result<LockRecord, StoreError>, Errno> {
        let _waiting = self.watch_lock(&wish.name).await; // NEWS-1
        loop {
            let heard = self.lock_news.count();
            let turn = self.lock_turns.at(&wish.name).await;
            if let Some(why) = leave.why() {
                return Err(why);
            }
            match self.lock_now(wish).await {
                Err(StoreError::Locked { .. }) => {}
                taken => return Ok(taken),
            }
            drop(turn);
            if self.lock_news.count() == heard {
                let news = self.handle.timeout(LOOK_EVERY, self.lock_news.told());
                either(news, leave.told()).await;
            }
        }
    }

    pub async fn unlock(&self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError> {
        let _turn = self.lock_turns.at(name).await;
        let (name, owner) = (name.clone(), owner.clone());
        let given = self.blocking_with_descriptors(move |root| root.locks.give_back(&name, &owner));
        given.await?;
        self.lock_news.tell();
        Ok(())
    }

    /// Breaks it, which may take as long as a lease's term (FENCE-1). Called off it is marked, and not broken yet.
    pub async fn break_lock(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
        force: Force,
        leave: &Leave,
    ) -> Result<Result<(), StoreError>, Errno> {
        let turn = self.lock_turns.at(name).await;
        let (lock, by) = (name.clone(), owner.clone());
        let begun =
            self.blocking_with_descriptors(move |root| root.locks.begin_break(&lock, &by, force));
        let ended = match begun.await {
            Ok(Break::Done) => Ok(()),
            Ok(Break::Marked { number, wait }) => {
                tracing::warn!(lock = %name, ?wait, "its owner may live: its lease was taken away, and is waited for");
                drop(turn); // who wants the lock meanwhile is told that it is held
                if let Ok(why) = self.handle.timeout(wait, leave.told()).await {
                    return Err(why);
                }
                let _turn = self.lock_turns.at(name).await;
                let lock = name.clone();
                let freed =
                    self.blocking_with_descriptors(move |root| root.locks.end_break(&lock, number));
                freed.await
            }
            Err(error) => Err(error),
        };
        if ended.is_ok() {
            self.lock_news.tell();
        }
        Ok(ended)
    }

    pub async fn owner_life(&self, name: &ObjectName) -> Result<OwnerLife, StoreError> {
        let name = name.clone();
        self.blocking_with_descriptors(move |root| root.locks.owner_life(&name))
            .await
    }

    /// Gives the lock back, and leaves no trace of it: nobody uses its name again.
    pub async fn forget_lock(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
    ) -> Result<(), StoreError> {
        let _turn = self.lock_turns.at(name).await;
        let (name, owner) = (name.clone(), owner.clone());
        let forgotten =
            self.blocking_with_descriptors(move |root| root.locks.forget(&name, &owner));
        forgotten.await?;
        self.lock_news.tell();
        Ok(())
    }

    pub async fn lock_holder(&self, name: &ObjectName) -> Result<Option<LockRecord>, StoreError> {
        let name = name.clone();
        let state = self.blocking_with_descriptors(move |root| root.locks.state(&name));
        Ok(LockState::holder(&state.await?))
    }
}
