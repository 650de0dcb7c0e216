//! Case after case, by a seed.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::{handshake, transmission};
use crate::rng::{Rng, mix};

/// Bytes of the longest case.
const CASE_BYTES_MAX: u64 = 600;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub seed: u64,
    /// So many cases of each machine.
    pub cases: u64,
    /// No longer than this.
    pub seconds: u64,
    /// Only this case of the seed.
    pub case: Option<u64>,
}

/// What was run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub cases: u64,
    pub bytes: u64,
    /// Handshakes that came to an export.
    pub chosen: u64,
    /// Requests that were admitted.
    pub admitted: u64,
}

thread_local! {
    /// The case that is being gone through, for the message of a panic.
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

/// Runs until a bound is reached. A case that breaks a promise panics; what to type to see it again is told.
pub fn run(options: &Options) -> Tally {
    let (seed, former) = (options.seed, std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        let case = CURRENT.get();
        eprintln!("broken by: cargo xtask fuzz nbd --seed {seed} --case {case}");
        former(info);
    }));
    let begun = Instant::now();
    let mut tally = Tally::default();
    let (first, last) = match options.case {
        Some(case) => (case, case + 1),
        None => (0, options.cases),
    };
    for number in first..last {
        CURRENT.set(number);
        let case = case(seed, number);
        tally.chosen += u64::from(handshake(&case));
        tally.admitted += transmission(&case) as u64;
        tally.cases += 1;
        tally.bytes += case.len() as u64;
        let is_time = number % 1024 == 0;
        if is_time && begun.elapsed() >= Duration::from_secs(options.seconds) {
            break;
        }
    }
    tally
}

fn case(seed: u64, number: u64) -> Vec<u8> {
    let mut rng = Rng::new(mix(seed ^ mix(number)));
    let len = rng.below(CASE_BYTES_MAX);
    (0..len).map(|_| rng.next_u64() as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_clients_break_no_promise() {
        let options = Options {
            seed: 1,
            cases: 3000,
            seconds: 60,
            case: None,
        };
        let tally = run(&options);
        // They are not so odd that nothing is ever done.
        assert!(tally.chosen > tally.cases / 20, "{tally:?}");
        assert!(tally.admitted > tally.cases / 2, "{tally:?}");
        // One of them alone is the same one.
        let alone = Options {
            case: Some(7),
            ..options
        };
        assert_eq!(run(&alone).bytes, case(1, 7).len() as u64);
    }
}
