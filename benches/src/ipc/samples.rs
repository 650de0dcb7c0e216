//! Latencies of single round trips, kept whole so that the tail can be read as well.

use std::time::Instant;

use anyhow::Result;

/// Round trips made before the first one is timed: they fault pages in and wake the caches.
const WARM_UP_ROUND_TRIPS: u64 = 1000;

/// How many round trips a peer sees for `iterations` measured ones.
pub const fn total_round_trips(iterations: u64) -> u64 {
    WARM_UP_ROUND_TRIPS + iterations
}

/// Nanoseconds of each round trip, shortest first.
#[derive(Debug)]
pub struct Samples {
    sorted: Vec<u64>,
}

impl Samples {
    /// Times `iterations` calls of `round_trip`, after some that are not timed.
    ///
    /// The clock is read once for each: the end of one round trip is the start of the next.
    pub fn collect(iterations: u64, mut round_trip: impl FnMut() -> Result<()>) -> Result<Self> {
        for _ in 0..WARM_UP_ROUND_TRIPS {
            round_trip()?;
        }
        // Written once here, so that no page of it is first touched while the clock runs.
        let mut nanos = vec![u64::MAX; usize::try_from(iterations)?];
        let mut last = Instant::now();
        for slot in &mut nanos {
            round_trip()?;
            let now = Instant::now();
            *slot = u64::try_from(now.duration_since(last).as_nanos())?;
            last = now;
        }
        Ok(Self::from_nanos(nanos))
    }

    fn from_nanos(mut nanos: Vec<u64>) -> Self {
        nanos.sort_unstable();
        Self { sorted: nanos }
    }

    /// The smallest sample that at least `percent` of all samples do not exceed (0 if none).
    pub fn percentile(&self, percent: usize) -> u64 {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let samples = Samples::from_nanos((1..=200).rev().collect());
        assert_eq!(samples.percentile(50), 100);
        assert_eq!(samples.percentile(99), 198);
        assert_eq!(samples.percentile(100), 200);
        assert_eq!(samples.percentile(0), 1);
    }

    #[test]
    fn percentiles_of_few_samples_are_samples() {
        assert_eq!(Samples::from_nanos(vec![7]).percentile(99), 7);
        assert_eq!(Samples::from_nanos(Vec::new()).percentile(50), 0);
    }

    #[test]
    fn warm_up_is_not_sampled_but_is_seen_by_the_peer() {
        let mut calls = 0;
        let samples = Samples::collect(10, || {
            calls += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(samples.sorted.len(), 10);
        assert_eq!(calls, total_round_trips(10));
    }
}
