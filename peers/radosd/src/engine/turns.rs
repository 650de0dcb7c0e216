//! Turns at names.
//!
//! # Invariants
//! * **NAMETURN-1** In an instance, making an object, with its name in the index, and removing it, with its name out of there, take
//!   turns: else the name of an object that is there could be missing. Instances do not make and remove one object at the same
//!   time: new names have the token of whoever makes them in them (L3), and only what no head names is removed by others (M7).

use archipelago_runtime::local::{Permit, Semaphore};

/// Names that share one wait for each other now and then, and nothing worse: nobody has two turns at a time.
const TURNS: usize = 256;

#[derive(Debug)]
pub(super) struct Turns {
    turns: Vec<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            turns: (0..TURNS).map(|_| Semaphore::new(1)).collect(),
        }
    }
}

impl Turns {
    /// One's turn, until it is dropped.
    pub async fn at(&self, name: &[u8]) -> Permit<'_> {
        let at = crc32c::crc32c(name) as usize % TURNS;
        self.turns[at].acquire(1).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archipelago_store::sim::{Interleave, yield_now};
    use std::cell::Cell;

    #[test]
    fn turns_at_a_name_are_taken_one_after_the_other() {
        // NAMETURN-1
        for seed in 0..30 {
            let (turns, busy) = (Turns::default(), [Cell::new(false), Cell::new(false)]);
            let mut tasks = Interleave::new(seed);
            for task in 0..8 {
                let (turns, busy) = (&turns, &busy[task % 2]);
                tasks.add(async move {
                    for _ in 0..3 {
                        let turn = turns.at(&[b'a' + (task % 2) as u8]).await;
                        assert!(!busy.replace(true));
                        yield_now().await;
                        busy.set(false);
                        drop(turn);
                    }
                });
            }
            assert_eq!(tasks.run_at_most(1_000_000), Ok(()));
        }
    }
}
