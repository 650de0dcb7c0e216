//! Latencies, counted in buckets whose width is at most a sixteenth of their value.

/// Buckets for each power of two.
const PARTS: u64 = 16;
const PARTS_BITS: u32 = PARTS.trailing_zeros();
const BUCKETS: usize = (65 - PARTS_BITS as usize) * PARTS as usize;

/// How many values fell where.
#[derive(Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }

    pub fn add(&mut self, value: u64) {
        self.counts[bucket_of(value)] += 1;
        self.total += 1;
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    /// An upper bound of the given quantile (0 to 1); 0 if there are no values.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let rank = ((self.total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_bound(bucket);
            }
        }
        0
    }
}

/// Values below [`PARTS`] have a bucket each; above, the highest bits decide.
fn bucket_of(value: u64) -> usize {
    let power = value.max(1).ilog2();
    if power < PARTS_BITS {
        return value as usize;
    }
    let shift = power - PARTS_BITS;
    let part = (value >> shift) - PARTS;
    (u64::from(shift + 1) * PARTS + part) as usize
}

fn upper_bound(bucket: usize) -> u64 {
    let (group, part) = (bucket as u64 / PARTS, bucket as u64 % PARTS);
    match group {
        0 => part,
        _ => {
            let first = (PARTS + part) << (group - 1);
            first + ((1 << (group - 1)) - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_whose_bound_is_close_above_it() {
        let powers = (0..64).map(|power| 1_u64 << power);
        for value in powers.flat_map(|power| [power - 1, power, power + power / 3]) {
            let bucket = bucket_of(value);
            assert!(bucket < BUCKETS, "{value}");
            let bound = upper_bound(bucket);
            assert!(
                bound >= value && bound - value <= value / PARTS,
                "{value} {bound}"
            );
        }
        assert_eq!(upper_bound(bucket_of(u64::MAX)), u64::MAX);
    }

    #[test]
    fn quantiles_count_from_below() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.99), 0);
        (1..=10).for_each(|value| histogram.add(value));
        assert_eq!(histogram.quantile(0.5), 5);
        assert_eq!(histogram.quantile(0.99), 10);
        assert_eq!(histogram.total(), 10);
    }
}
