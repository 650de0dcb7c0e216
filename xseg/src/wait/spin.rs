//! How long to look before sleeping: a few microseconds while that pays, nothing while it does not.

use std::time::{Duration, Instant};

/// The adaptive budget. Pure but for the clock that its caller reads.
#[derive(Debug)]
pub(super) struct Spin {
    max: Duration,
    budget: Duration,
}

/// One look takes no longer, so that an endless spin comes to look at its time-out and to yield.
const LOOK_MAX: Duration = Duration::from_micros(10);
/// Below this a spin is shorter than looking at the clock.
const WORTH: Duration = Duration::from_nanos(200);

impl Spin {
    pub fn new(max: Duration) -> Self {
        Self { max, budget: max }
    }

    /// Never look before sleeping?
    pub fn is_off(&self) -> bool {
        self.max.is_zero()
    }

    /// Never sleep?
    pub fn is_endless(&self) -> bool {
        self.max == Duration::MAX
    }

    /// Something came while we looked.
    pub fn paid(&mut self) {
        self.budget = (self.budget.saturating_mul(2)).min(self.max);
    }

    /// Nothing came, and we slept so long. A sleep shorter than the longest spin says that spinning would have paid.
    pub fn slept(&mut self, slept: Duration) {
        if slept <= self.max {
            self.budget = self.max;
        } else {
            self.budget /= 2;
            if self.budget < WORTH {
                self.budget = Duration::ZERO;
            }
        }
    }

    /// Calls `is_there` until it says yes or the budget is spent.
    pub fn look(&mut self, mut is_there: impl FnMut() -> bool) -> bool {
        if self.budget.is_zero() {
            return false;
        }
        let budget = self.budget.min(LOOK_MAX);
        let begun = Instant::now();
        loop {
            for _ in 0..16 {
                if is_there() {
                    self.paid();
                    return true;
                }
                std::hint::spin_loop();
            }
            if begun.elapsed() >= budget {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_micros(10);

    #[test]
    fn long_sleeps_end_the_spinning_and_a_short_one_brings_it_back() {
        let mut spin = Spin::new(MAX);
        for _ in 0..10 {
            spin.slept(Duration::from_millis(1));
        }
        assert_eq!(spin.budget, Duration::ZERO);
        assert!(!spin.look(|| unreachable!("no budget, no look")));
        spin.slept(MAX / 2);
        assert_eq!(spin.budget, MAX);
    }

    #[test]
    fn what_comes_while_looking_keeps_the_budget_up() {
        let mut spin = Spin::new(MAX);
        spin.slept(Duration::from_millis(1));
        let before = spin.budget;
        assert!(spin.look(|| true));
        assert!(spin.budget > before);
    }
}
