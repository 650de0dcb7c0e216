//! Counters and latency histograms: written by a port's owner alone, read by anybody at any time, so they tell
//! about a peer that hangs or is dead without asking it.

use crate::layout::{COUNTERS, LATENCY_BUCKETS, LATENCY_GROUPS, StatsRecord};
use crate::op::{Group, OpCode};
use crate::sync::{AtomicU64, Ordering};

/// What is counted, in the order of the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Requests and notices sent.
    Sent = 0,
    /// Answers that came back to a request of this port.
    Replies,
    /// Requests accepted.
    Accepted,
    /// Requests answered without error.
    Answered,
    /// Requests answered with an error.
    Failed,
    /// Requests forwarded or handed on, and answers passed on.
    PassedOn,
    /// Bytes that answered requests say were done.
    BytesDone,
    /// Times that this port woke another.
    Rings,
    /// Times that it went to sleep.
    Sleeps,
    /// Requests of a dead predecessor that it took over.
    Redelivered,
    /// Records that dead senders had not pushed, or had left in transit.
    Rescued,
    /// Answers that had nobody to go to: their requester was dead.
    Orphans,
    /// Answers for an earlier incarnation, or not asked for.
    Strays,
    /// Words of the segment that made no sense.
    Corruptions,
    /// Requests that were given up before their answer came.
    Abandoned,
    /// Pings answered.
    Pings,
    /// Requests refused for want of records or buffers.
    Exhausted,
}

/// All counters with their names, in order.
pub const COUNTER_NAMES: [(Counter, &str); 17] = [
    (Counter::Sent, "sent"),
    (Counter::Replies, "replies"),
    (Counter::Accepted, "accepted"),
    (Counter::Answered, "answered"),
    (Counter::Failed, "failed"),
    (Counter::PassedOn, "passed_on"),
    (Counter::BytesDone, "bytes_done"),
    (Counter::Rings, "rings"),
    (Counter::Sleeps, "sleeps"),
    (Counter::Redelivered, "redelivered"),
    (Counter::Rescued, "rescued"),
    (Counter::Orphans, "orphans"),
    (Counter::Strays, "strays"),
    (Counter::Corruptions, "corruptions"),
    (Counter::Abandoned, "abandoned"),
    (Counter::Pings, "pings"),
    (Counter::Exhausted, "exhausted"),
];

const _: () = assert!(COUNTER_NAMES.len() <= COUNTERS);

impl StatsRecord {
    #[inline]
    pub(crate) fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    #[inline]
    pub(crate) fn add(&self, counter: Counter, amount: u64) {
        bump(&self.counters[counter as usize], amount);
    }

    #[inline]
    pub(crate) fn took(&self, op: OpCode, ns: u64) {
        bump(&self.latency[op.group() as usize][bucket_of(ns)], 1);
    }

    pub(crate) fn read(&self) -> PortStats {
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let mut stats = PortStats::default();
        for (value, word) in stats.counters.iter_mut().zip(&self.counters) {
            *value = load(word);
        }
        for (row, words) in stats.latency.iter_mut().zip(&self.latency) {
            for (value, word) in row.iter_mut().zip(words) {
                *value = load(word);
            }
        }
        stats
    }
}

/// One writer: no read-modify-write is needed. Whatever a corrupt word holds, it wraps.
#[inline]
fn bump(word: &AtomicU64, amount: u64) {
    word.store(
        word.load(Ordering::Relaxed).wrapping_add(amount),
        Ordering::Relaxed,
    );
}

/// Bucket n holds latencies of 2^(n-1)+1 to 2^n nanoseconds; the last one all that are longer.
fn bucket_of(ns: u64) -> usize {
    (64 - ns.saturating_sub(1).leading_zeros() as usize).min(LATENCY_BUCKETS - 1)
}

/// A copy of a port's counters and histograms.
#[derive(Clone, Copy, Debug, Default)]
pub struct PortStats {
    counters: [u64; COUNTERS],
    latency: [[u64; LATENCY_BUCKETS]; LATENCY_GROUPS],
}

impl PortStats {
    pub fn get(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }

    /// The histogram of a group of operations, by powers of two of nanoseconds.
    pub fn histogram(&self, group: Group) -> &[u64; LATENCY_BUCKETS] {
        &self.latency[group as usize]
    }

    /// An upper bound of the given quantile (0 to 1) over all operations, in nanoseconds; 0 if there were none.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        let sum = |bucket: usize| -> u64 {
            self.latency
                .iter()
                .fold(0_u64, |sum, row| sum.saturating_add(row[bucket]))
        };
        let total =
            (0..LATENCY_BUCKETS).fold(0_u64, |total, bucket| total.saturating_add(sum(bucket)));
        let rank = (total as f64 * quantile).ceil() as u64;
        let mut seen = 0_u64;
        for bucket in 0..LATENCY_BUCKETS {
            seen = seen.saturating_add(sum(bucket));
            if total > 0 && seen >= rank.max(1) {
                return 1 << bucket;
            }
        }
        0
    }

    /// The growth since an earlier copy.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut growth = *self;
        for (value, before) in growth.counters.iter_mut().zip(&earlier.counters) {
            *value = value.wrapping_sub(*before);
        }
        for (row, before) in growth.latency.iter_mut().zip(&earlier.latency) {
            for (value, before) in row.iter_mut().zip(before) {
                *value = value.wrapping_sub(*before);
            }
        }
        growth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two() {
        for (ns, bucket) in [
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (4, 2),
            (5, 3),
            (1024, 10),
            (1025, 11),
        ] {
            assert_eq!(bucket_of(ns), bucket, "{ns} ns");
        }
        assert_eq!(bucket_of(u64::MAX), LATENCY_BUCKETS - 1);
    }

    #[test]
    fn a_quantile_is_the_bound_of_the_bucket_that_holds_it() {
        let mut stats = PortStats::default();
        assert_eq!(stats.quantile_ns(0.5), 0);
        stats.latency[Group::Read as usize][3] = 98;
        stats.latency[Group::Write as usize][10] = 2;
        assert_eq!(stats.quantile_ns(0.5), 8);
        assert_eq!(stats.quantile_ns(0.99), 1024);
    }

    #[test]
    fn counters_stand_where_their_names_say() {
        for (index, (counter, _)) in COUNTER_NAMES.iter().enumerate() {
            assert_eq!(*counter as usize, index);
        }
    }
}
