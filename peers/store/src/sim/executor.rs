//! Executors for tests: one future to its end, or several in an order that a seed decides.
//!
//! Both poll again and again without waiting for a wake-up: what they run is in memory and has nothing to wait for
//! but its neighbours. A run that makes no end is given up after a number of polls, so that a deadlock is a failed
//! test and not one that hangs.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::random::SimRandom;

/// Far more than any test needs.
const POLLS_MAX: u64 = 50_000_000;

/// Futures that do not end: they wait for each other, or for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{unfinished} futures have not ended after {polls} polls")]
pub struct Stuck {
    pub unfinished: usize,
    pub polls: u64,
}

/// Polls until it is done.
///
/// # Panics
/// If it is not done after 50 million polls.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("the future has not ended after {POLLS_MAX} polls");
}

/// Lets others go first, once.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Several futures, polled one at a time in an order that the seed decides.
pub struct Interleave<'a> {
    random: SimRandom,
    tasks: Vec<Pin<Box<dyn Future<Output = ()> + 'a>>>,
}

impl std::fmt::Debug for Interleave<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tasks = self.tasks.len();
        f.debug_struct("Interleave").field("tasks", &tasks).finish()
    }
}

impl<'a> Interleave<'a> {
    pub fn new(seed: u64) -> Self {
        Self {
            random: SimRandom::new(seed),
            tasks: Vec::new(),
        }
    }

    pub fn add(&mut self, task: impl Future<Output = ()> + 'a) {
        self.tasks.push(Box::pin(task));
    }

    /// Runs all to their ends, or gives up after `polls_max` polls.
    pub fn run_at_most(mut self, polls_max: u64) -> Result<(), Stuck> {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..polls_max {
            if self.tasks.is_empty() {
                return Ok(());
            }
            let next = self.random.below(self.tasks.len() as u64) as usize;
            if self.tasks[next].as_mut().poll(&mut context).is_ready() {
                drop(self.tasks.swap_remove(next));
            }
        }
        match self.tasks.len() {
            0 => Ok(()),
            unfinished => Err(Stuck {
                unfinished,
                polls: polls_max,
            }),
        }
    }

    /// Runs all to their ends.
    ///
    /// # Panics
    /// If they do not end.
    pub fn run(self) {
        if let Err(stuck) = self.run_at_most(POLLS_MAX) {
            panic!("{stuck}");
        }
    }
}
