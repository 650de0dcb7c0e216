//! How long to look before sleeping: a few microseconds while that pays, nothing while it does not.

use std::time::{Duration, Instant};

/// The adaptive budget. Pure but for the clock that its caller reads.
#[derive(Debug)]
pub(super) struct Spin {
    max: Duration,
    budget: Duration,
}

/// A long look lets others run so often.
const YIELD_EVERY: Duration = Duration::from_micros(10);
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

    /// Calls `is_there` until it says yes, the budget is spent or `until` has come (`None`: never).
    pub fn look(&mut self, until: Option<Instant>, mut is_there: impl FnMut() -> bool) -> bool {
        if self.budget.is_zero() {
            return false;
        }
        let begun = Instant::now();
        let spent = begun.checked_add(self.budget); // none: endless
        let end = [spent, until].into_iter().flatten().min();
        let mut yield_at = begun + YIELD_EVERY;
        loop {
            for _ in 0..16 {
                if is_there() {
                    self.paid();
                    return true;
                }
                std::hint::spin_loop();
            }
            let now = Instant::now();
            if end.is_some_and(|end| now >= end) {
                return false;
            }
            if now >= yield_at {
                std::thread::yield_now(); // whom we wait for may need this very processor
                yield_at = now + YIELD_EVERY;
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
        assert!(!spin.look(None, || unreachable!("no budget, no look")));
        spin.slept(MAX / 2);
        assert_eq!(spin.budget, MAX);
    }

    #[test]
    fn a_look_takes_its_whole_budget_and_no_longer_than_it_may() {
        let budget = YIELD_EVERY * 20;
        let mut spin = Spin::new(budget);
        let begun = Instant::now();
        assert!(!spin.look(None, || false));
        assert!(begun.elapsed() >= budget);
        let mut endless = Spin::new(Duration::MAX);
        let until = Instant::now() + YIELD_EVERY;
        assert!(!endless.look(Some(until), || false));
        assert!(Instant::now() >= until);
    }

    #[test]
    fn what_comes_while_looking_keeps_the_budget_up() {
        let mut spin = Spin::new(MAX);
        spin.slept(Duration::from_millis(1));
        let before = spin.budget;
        assert!(spin.look(None, || true));
        assert!(spin.budget > before);
    }
}
