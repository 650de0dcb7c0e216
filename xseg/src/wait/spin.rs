//! How long to look before sleeping: a few microseconds while that mostly pays, hardly ever while it does not.
//!
//! What comes within a look is worth more than the look: it costs no sleep, no call that wakes us, and nobody else gets the
//! processor meanwhile. What does not come costs all of it. So looks are taken while more than half of them find something. While they
//! do not, one wait in [`PROBE_EVERY`] looks all the same: how long we slept says nothing of when it came, where the machine
//! is busy and it takes a while until we run again.
//!
//! Whom we wait for may have been put behind us, on this very processor, and then waits for us until the next tick of the clock: so a look
//! lets others run every now and then. If one does, the machine is busy, and the look was worth nothing: who sleeps is let run as soon
//! as he is woken, who only made room waits for his turn.

use std::time::{Duration, Instant};

/// The adaptive look. Pure but for the clock that its caller reads.
#[derive(Debug)]
pub(super) struct Spin {
    max: Duration,
    /// How many looks find something, of [`ALL`]; recent ones count more.
    found: u32,
    /// Waits without a look since the last one.
    passed: u32,
    /// The last look ended because others ran: the sleep after it says nothing.
    was_displaced: bool,
}

const ALL: u32 = 1 << 16;
/// More finds than that, and a look pays.
const ENOUGH: u32 = ALL / 2;
/// How much of what was before a look makes forgotten: one part in so many.
const FORGET: u32 = 8;
/// While looks do not pay.
const PROBE_EVERY: u32 = 32;
/// A look lets others run so often.
const YIELD_EVERY: Duration = Duration::from_micros(5);
/// Who makes room, and comes back later than this, was not alone.
const SOMEBODY_RAN: Duration = Duration::from_micros(15);

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    Found,
    Nothing,
    /// Others ran instead.
    Displaced,
}

impl Spin {
    pub fn new(max: Duration) -> Self {
        Self {
            max,
            found: ALL,
            passed: 0,
            was_displaced: false,
        }
    }

    /// Never look before sleeping?
    pub fn is_off(&self) -> bool {
        self.max.is_zero()
    }

    /// We slept so long. A sleep shorter than a look says that a look finds something.
    pub fn slept(&mut self, slept: Duration) {
        let was_displaced = std::mem::take(&mut self.was_displaced);
        if slept <= self.max && !was_displaced {
            self.found_something();
        }
    }

    fn found_something(&mut self) {
        self.found += (ALL - self.found) / FORGET;
        // One find is enough to look again.
        self.found = self.found.max(ENOUGH);
    }

    fn found_nothing(&mut self) {
        self.found -= self.found / FORGET;
    }

    /// Is it worth a look now?
    fn may_look(&mut self) -> bool {
        let is_probe = self.passed + 1 >= PROBE_EVERY;
        let may_look = !self.is_off() && (self.found >= ENOUGH || is_probe);
        self.passed = if may_look { 0 } else { self.passed + 1 };
        may_look
    }

    /// Calls `is_there` until it says yes, the longest look is over or `until` has come (`None`: never).
    pub fn look(&mut self, until: Option<Instant>, is_there: impl FnMut() -> bool) -> bool {
        if !self.may_look() {
            return false;
        }
        let looked = self.look_now(until, is_there);
        self.was_displaced = looked == Looked::Displaced;
        if looked == Looked::Found {
            self.found_something();
        } else {
            self.found_nothing();
        }
        looked == Looked::Found
    }

    fn look_now(&self, until: Option<Instant>, mut is_there: impl FnMut() -> bool) -> Looked {
        let begun = Instant::now();
        let spent = begun.checked_add(self.max); // none: endless
        let end = [spent, until].into_iter().flatten().min();
        let mut yield_at = begun + YIELD_EVERY;
        loop {
            for _ in 0..16 {
                if is_there() {
                    return Looked::Found;
                }
                std::hint::spin_loop();
            }
            let now = Instant::now();
            if end.is_some_and(|end| now >= end) {
                return Looked::Nothing;
            }
            if now >= yield_at {
                std::thread::yield_now();
                let back = Instant::now();
                if back - now > SOMEBODY_RAN && spent.is_some() {
                    return Looked::Displaced;
                }
                yield_at = back + YIELD_EVERY;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_micros(10);

    /// How many of so many waits, which are all like that, look.
    fn looks(spin: &mut Spin, waits: usize, finds: bool) -> usize {
        let mut looks = 0;
        for _ in 0..waits {
            let mut asked = false;
            let found = spin.look(None, || {
                asked = true;
                finds
            });
            if !found {
                spin.slept(Duration::from_millis(1));
            }
            looks += usize::from(asked);
        }
        looks
    }

    #[test]
    fn looks_that_find_nothing_become_rare_and_never_end() {
        let mut spin = Spin::new(MAX);
        assert!(looks(&mut spin, 20, false) < 20);
        let waits = 100 * PROBE_EVERY as usize;
        assert_eq!(looks(&mut spin, waits, false), 100);
    }

    #[test]
    fn one_find_brings_the_looks_back() {
        let mut spin = Spin::new(MAX);
        looks(&mut spin, 1000, false);
        let until_a_probe = looks(&mut spin, PROBE_EVERY as usize, true);
        assert!(until_a_probe > 0);
        assert_eq!(looks(&mut spin, 100, true), 100);
    }

    #[test]
    fn a_sleep_shorter_than_a_look_brings_the_looks_back() {
        let mut spin = Spin::new(MAX);
        looks(&mut spin, 1000, false);
        spin.slept(MAX / 2);
        assert_eq!(looks(&mut spin, 1, true), 1);
    }

    #[test]
    fn what_comes_while_others_ran_is_no_find() {
        let mut spin = Spin::new(MAX);
        looks(&mut spin, 1000, false);
        spin.was_displaced = true;
        spin.slept(MAX / 2);
        assert_eq!(looks(&mut spin, 1, true), 0);
    }

    #[test]
    fn who_finds_something_mostly_looks_each_time() {
        let mut spin = Spin::new(MAX);
        for _ in 0..1000 {
            assert_eq!(looks(&mut spin, 3, true), 3);
            assert_eq!(looks(&mut spin, 1, false), 1);
        }
    }

    #[test]
    fn without_a_longest_look_there_is_none() {
        let mut spin = Spin::new(Duration::ZERO);
        assert_eq!(looks(&mut spin, 1000, true), 0);
    }

    #[test]
    fn a_look_takes_its_whole_time_and_no_longer_than_it_may() {
        let max = YIELD_EVERY * 10;
        let mut spin = Spin::new(max);
        let begun = Instant::now();
        assert!(!spin.look(None, || false));
        assert!(begun.elapsed() >= max || spin.was_displaced);
        let mut endless = Spin::new(Duration::MAX);
        let until = Instant::now() + YIELD_EVERY;
        assert!(!endless.look(Some(until), || false));
        assert!(Instant::now() >= until);
    }
}
