//! Who may be at a file at the same time.
//!
//! Reads and writes that go past the page cache and those that go through it do not see each other's bytes while both
//! are under way: a cached page is written back over a sector that another one has written directly. So at any time all
//! who are at a file go the same way, or one is there alone (who changes the length, or punches).
//!
//! # Invariants
//! * **MODE-1** Those inside all have the same mode, and who is alone is alone.
//! * **MODE-2** Nobody waits for ever: who comes later than one who waits waits behind it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// How a file is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Through the page cache.
    Buffered,
    /// Past it.
    Direct,
    Alone,
}

impl Mode {
    fn goes_with(self, other: Self) -> bool {
        self == other && self != Self::Alone
    }
}

#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    inside: usize,
    /// Of those inside.
    mode: Option<Mode>,
    waiting: VecDeque<Waiting>,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    mode: Mode,
    waker: Waker,
}

impl State {
    fn admits(&self, mode: Mode) -> bool {
        self.inside == 0 || self.mode.is_some_and(|inside| inside.goes_with(mode))
    }

    fn enter(&mut self, mode: Mode) {
        self.inside += 1;
        self.mode = Some(mode);
    }

    /// Tells the first one who waits to look again; it tells the next one in turn.
    fn wake_first(&self) {
        if let Some(first) = self.waiting.front() {
            first.waker.wake_by_ref();
        }
    }
}

/// Being inside.
#[derive(Debug)]
#[must_use = "dropping it is leaving"]
pub(crate) struct Inside<'a> {
    gate: &'a Gate,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state.borrow_mut();
        state.inside -= 1;
        if state.inside == 0 {
            state.wake_first();
        }
    }
}

/// A place in the queue, given up when it is dropped.
struct Place<'a> {
    gate: &'a Gate,
    number: Option<u64>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state.borrow_mut();
        if let Some(number) = self.number {
            state.waiting.retain(|waiting| waiting.number != number);
            state.wake_first(); // it may have been this one that held the others up
        }
    }
}

impl Gate {
    /// Enters when that is possible (MODE-1), in the order of asking (MODE-2).
    pub async fn enter(&self, mode: Mode) -> Inside<'_> {
        let mut place = Place {
            gate: self,
            number: None,
        };
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            let first = state.waiting.front().map(|waiting| waiting.number);
            if first == place.number && state.admits(mode) {
                state.enter(mode);
                if place.number.take().is_some() {
                    state.waiting.pop_front();
                    state.wake_first();
                }
                return Poll::Ready(());
            }
            match place.number {
                None => {
                    let number = state.next;
                    state.next += 1;
                    state.waiting.push_back(Waiting {
                        number,
                        mode,
                        waker: context.waker().clone(),
                    });
                    place.number = Some(number);
                }
                Some(number) => {
                    let ours = state.waiting.iter_mut().find(|one| one.number == number);
                    if let Some(ours) = ours {
                        debug_assert_eq!(ours.mode, mode);
                        ours.waker.clone_from(context.waker());
                    }
                }
            }
            Poll::Pending
        })
        .await;
        Inside { gate: self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archipelago_store::sim::{Interleave, SimRandom, yield_now};
    use std::cell::Cell;

    /// How many of each mode are inside.
    #[derive(Default)]
    struct Counts([Cell<usize>; 3]);

    impl Counts {
        fn check(&self) {
            let counts: Vec<usize> = self.0.iter().map(Cell::get).collect();
            let modes = counts.iter().filter(|count| **count > 0).count();
            assert!(modes <= 1, "{counts:?}"); // MODE-1
            assert!(counts[Mode::Alone as usize] <= 1, "{counts:?}");
        }

        async fn visit(&self, gate: &Gate, mode: Mode, turns: u64) {
            let inside = gate.enter(mode).await;
            let count = &self.0[mode as usize];
            count.set(count.get() + 1);
            for _ in 0..turns {
                self.check();
                yield_now().await;
            }
            count.set(count.get() - 1);
            drop(inside);
        }
    }

    #[test]
    fn mode_1_modes_exclude_each_other_and_gate_2_all_get_through() {
        for seed in 0..50 {
            let (gate, counts) = (Gate::default(), Counts::default());
            let mut tasks = Interleave::new(seed);
            let mut random = SimRandom::new(seed);
            for _ in 0..12 {
                let mode = [Mode::Buffered, Mode::Direct, Mode::Alone][random.below(3) as usize];
                let (gate, counts, turns) = (&gate, &counts, random.below(5));
                tasks.add(async move {
                    for _ in 0..3 {
                        counts.visit(gate, mode, turns).await;
                    }
                });
            }
            assert_eq!(tasks.run_at_most(1_000_000), Ok(()), "seed {seed}"); // MODE-2
            assert_eq!(gate.state.borrow().inside, 0);
        }
    }

    #[test]
    fn mode_2_who_gives_up_waiting_holds_nobody_up() {
        use archipelago_store::sim::{block_on, join};
        use std::future::Future;
        use std::pin::pin;
        let gate = Gate::default();
        block_on(async {
            let first = gate.enter(Mode::Direct).await;
            {
                let mut waiting = pin!(gate.enter(Mode::Alone));
                poll_fn(|context| {
                    assert!(waiting.as_mut().poll(context).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
            let second = gate.enter(Mode::Direct).await; // MODE-2: it does not wait behind nobody
            drop((first, second));
            let visit = async |mode| {
                let _inside = gate.enter(mode).await;
                yield_now().await;
            };
            join(visit(Mode::Alone), visit(Mode::Buffered)).await;
            assert_eq!(gate.state.borrow().inside, 0);
        });
    }
}
