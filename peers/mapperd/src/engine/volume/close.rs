//! Closing a volume: nothing of it is left to be replayed, and its lock is given back unless somebody holds it (HELD-1).
//!
//! # Invariants
//! * **CLOSE-1** Once a head says that the journal is ended, nothing is appended to it, whatever fails after that: no later
//!   head would name it.
//! * **CLOSE-2** The lock is given back before anybody here may open the volume again: the lock does not tell two
//!   openers of one owner apart (MAPPER-1).
//! * **CLOSE-3** The lock is given back, and a volume that failed is read anew, only when all composers have forgotten the volume, also one that failed: they would go
//!   on writing in place, under whoever has it next, and into snapshots.
//! * **CLOSE-5** The lock of a volume that failed is given back only when nothing is being written to its journal any more: what is may
//!   count, and be answered, and the next owner would not know it. Who has lost the lock answers nothing by it (UNDER-1), and need not wait.
//! * **CLOSE-4** Composers are told that a volume was closed in good order only when all that was answered is durable: they do not
//!   remember that they had it (LOST-3).

use archipelago_protocol::RecallKind;
use archipelago_runtime::local::MutexGuard;
use archipelago_store::LockRecord;

use super::checkpoint::After;
use super::volume::{Life, Volume};
use crate::engine::error::MapError;
use crate::engine::failure::Failure;
use crate::engine::world::World;

impl<W: World> Volume<W> {
    /// Composers forget the volume, the journal is folded, the lock given back.
    pub async fn close(&self) -> Result<(), MapError> {
        let _change = self.change.lock().await;
        self.check_open()?;
        let _closing = Closing(self);
        let held = self.take_back().await?;
        self.commits_ended().await;
        self.flush().await?; // CLOSE-4
        self.recall_all(RecallKind::Close).await?; // CLOSE-3
        if self.state.borrow().head.flags.nameless {
            // Its journal goes with it: there may be no room for pages where room is to be made (D5). What that
            // displaced goes now: the map does not tell it.
            self.reclaim_in_change().await?;
            self.end();
        } else {
            // What cannot be given back now is tried once more by the checkpoint, and then left to `gc` (SPACE-3).
            self.reclaim_in_change().await?;
            if self.state.borrow().layers.frozen.is_some() {
                // A checkpoint that failed left it: it is folded alone, and what came after it is not folded yet.
                self.checkpoint_in_change(After::GoesOn).await?;
            }
            self.checkpoint_in_change(After::Ends).await?;
        }
        drop(held);
        self.give_lock_back().await
    }

    async fn give_lock_back(&self) -> Result<(), MapError> {
        if self.state.borrow().head.flags.nameless {
            self.base.let_go(self.id).await?;
        }
        self.base.release(self.id).await
    }

    /// CLOSE-1
    pub(super) fn end(&self) {
        self.life.set(self.life.get().max(Life::Ended));
        self.log.latch(Failure::of("the volume is closed"));
        self.state.borrow_mut().composers.clear();
        self.moved.notify_all();
    }

    /// Waits until what was being committed counts.
    pub(super) async fn commits_ended(&self) {
        loop {
            let moved = self.moved.notified();
            if !self.state.borrow().is_committing() {
                return;
            }
            moved.await;
        }
    }

    /// Waits until somebody may open it again.
    pub async fn closed(&self) {
        loop {
            let moved = self.moved.notified();
            if self.is_closed() {
                return;
            }
            moved.await;
        }
    }

    /// A volume that failed is dropped as it is: what was answered is in the journal. Its store is believed again, and the
    /// lock given back: whoever opens it the next time reads its map anew (D3, F27).
    pub async fn abandon(&self) -> Result<(), MapError> {
        let _change = self.change.lock().await;
        if self.has_ended() {
            return Ok(());
        }
        let held = self.take_back().await?;
        let is_late = || self.failure().is_some_and(|failure| failure.is_late);
        // What a store has answered that is late otherwise is durable (STORE-7).
        let kind = match self.taken() {
            None if is_late() => RecallKind::Close,
            _ => RecallKind::Drop, // CLOSE-4
        };
        self.recall_all(kind).await?; // CLOSE-3
        if self.taken().is_none() {
            self.log.written().await; // CLOSE-5
        }
        let _closing = Closing(self);
        self.end();
        drop(held);
        self.base.believe(self.id).await?;
        if self.taken().is_some() {
            return self.end_break().await;
        }
        self.give_lock_back().await
    }

    /// A volume that was late is dropped, to be opened anew by us: the lock stays ours. `None` if it is not ours to go on with. As long as
    /// the guard is kept nobody else closes it.
    pub async fn leave(&self) -> Result<Option<MutexGuard<'_, ()>>, MapError> {
        let change = self.change.lock().await;
        let is_late = || self.failure().is_some_and(|failure| failure.is_late);
        if self.has_ended() || !is_late() {
            return Ok(None);
        }
        let held = self.take_back().await?;
        self.recall_all(RecallKind::Close).await?; // CLOSE-3
        self.log.written().await;
        self.sync_stores().await?; // REOPEN-2
        // Heads have no scope. Nothing is written that could fail meanwhile.
        self.base.believe(self.id).await?;
        if !is_late() {
            return Ok(None);
        }
        let _closing = Closing(self);
        self.was_left.set(true);
        self.end();
        drop(held);
        Ok(Some(change))
    }

    /// Was it left, to be opened anew?
    pub fn was_left(&self) -> bool {
        self.was_left.get()
    }

    /// Of a lock that is not ours any more there is nothing to give back, but that it is being broken is over when nobody here goes on:
    /// whoever does it may have died.
    async fn end_break(&self) -> Result<(), MapError> {
        let record = self.base.lock_record(self.id).await?;
        let is_being_broken = |record: &LockRecord| {
            record.is_being_broken() && record.owner == *self.base.world.owner()
        };
        if record.as_ref().is_some_and(is_being_broken)
            && let Err(error) = self.base.unlock(self.id, false).await
        {
            tracing::debug!(volume = %self.id, %error, "whoever breaks its lock ends that");
        }
        Ok(())
    }
}

/// A volume that has ended is closed when it is dropped, whatever became of its lock.
struct Closing<'a, W: World>(&'a Volume<W>);

impl<W: World> Drop for Closing<'_, W> {
    fn drop(&mut self) {
        if self.0.has_ended() {
            self.0.life.set(Life::Closed);
            self.0.moved.notify_all();
        }
    }
}
