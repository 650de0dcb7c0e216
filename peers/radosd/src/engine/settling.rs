//! Writes whose time was over: when the cluster answers again, it is found out that nothing of them is still to come.
//!
//! # Invariants
//! * **ONETRY-1** Who waits while the cluster is asked is told what it says, if that is nothing: nobody waits for a time-out of his own
//!   behind somebody else's.

use std::cell::Cell;
use std::time::Duration;

use archipelago_runtime::local::Mutex;
use archipelago_store::StoreError;

use super::core::{Engine, Failure};

/// Between tries, each of which waits for an answer as long as any operation does.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Tries of what many want done, one at a time.
#[derive(Debug, Default)]
pub(super) struct Tries {
    turn: Mutex<()>,
    failed: Cell<u64>,
}

impl Tries {
    /// Tries, unless somebody's try fails while this waits for its turn (ONETRY-1).
    async fn one(
        &self,
        work: impl AsyncFnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let before = self.failed.get();
        let _turn = self.turn.lock().await;
        if self.failed.get() != before {
            return Err(StoreError::Late);
        }
        let done = work().await;
        self.failed.set(before + u64::from(done.is_err()));
        done
    }
}

impl Engine {
    /// Asks for each object to which a write was late, behind that write (LATE-1). `Late`: it cannot be told yet.
    pub async fn settle(&self) -> Result<(), StoreError> {
        if self.pool.late.is_empty() {
            return Ok(());
        }
        self.settling.one(async || self.settle_now().await).await
    }

    async fn settle_now(&self) -> Result<(), StoreError> {
        let late = &self.pool.late;
        if late.is_empty() {
            return Ok(()); // by who was before us
        }
        while let Some((object, count)) = late.first() {
            let asking = self.pool.asking().stat();
            let looked = self.pool.look_behind_writes(&object, asking).await;
            // Whatever else it says, it was answered.
            if looked.result == Err(rustix::io::Errno::TIMEDOUT) {
                return Err(StoreError::Late);
            }
            late.settle(&object, count);
        }
        let mut failed = self.failed.borrow_mut();
        let scopes = failed.len();
        failed.retain(|_, why| *why != Failure::Late);
        let healed = scopes - failed.len();
        tracing::info!(healed, "nothing that was late is still to come");
        Ok(())
    }

    /// Settles by itself what is late.
    pub async fn keep_settling(&self) {
        loop {
            self.pool.late.told().await;
            while self.settle().await.is_err() {
                self.handle.sleep(AGAIN_AFTER).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use archipelago_store::sim::{Interleave, block_on, yield_now};

    use super::*;

    /// ONETRY-1
    #[test]
    fn those_who_wait_while_a_try_fails_do_not_wait_for_another_one() {
        for seed in 0..50 {
            let (tries, begun, told) = (Tries::default(), Cell::new(0), Cell::new(0));
            let is_answered = Cell::new(false);
            let mut all = Interleave::new(seed);
            for _ in 0..5 {
                all.add(async {
                    let work = async || {
                        begun.set(begun.get() + 1);
                        while !is_answered.get() {
                            yield_now().await;
                        }
                        Err(StoreError::Late)
                    };
                    assert_eq!(tries.one(work).await, Err(StoreError::Late));
                    told.set(told.get() + 1);
                });
            }
            all.add(async {
                // All have asked by then: one of them asks the cluster.
                for _ in 0..200 {
                    yield_now().await;
                }
                is_answered.set(true);
            });
            all.run();
            assert_eq!((begun.get(), told.get()), (1, 5), "seed {seed}");
            // Who comes later tries himself.
            let done = block_on(tries.one(async || {
                begun.set(begun.get() + 1);
                Ok(())
            }));
            assert_eq!((done, begun.get()), (Ok(()), 2));
        }
    }

    #[test]
    fn a_try_that_succeeds_is_not_what_others_are_told() {
        let (tries, done) = (Tries::default(), Cell::new(0));
        let mut all = Interleave::new(1);
        for _ in 0..5 {
            all.add(async {
                let work = async || {
                    yield_now().await;
                    done.set(done.get() + 1);
                    Ok(())
                };
                assert_eq!(tries.one(work).await, Ok(()));
            });
        }
        all.run();
        assert_eq!(done.get(), 5, "something may have been late since");
    }
}
