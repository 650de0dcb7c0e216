//! Extents: what lies in a range, in runs.

/// A run of bytes of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    pub len_bytes: u64,
    /// Nothing is allocated for it.
    pub hole: bool,
    /// It reads as zeroes.
    pub zero: bool,
}

impl Extent {
    /// Allocated, and who knows what.
    pub fn data(len_bytes: u64) -> Self {
        Self {
            len_bytes,
            hole: false,
            zero: false,
        }
    }

    /// Nothing is there, and it reads as zeroes.
    pub fn hole(len_bytes: u64) -> Self {
        Self {
            len_bytes,
            hole: true,
            zero: true,
        }
    }

    fn is_like(self, other: Self) -> bool {
        (self.hole, self.zero) == (other.hole, other.zero)
    }

    /// What may be answered: extents within `length`, none empty, neighbours of one kind joined, `count_max` at most.
    pub fn fitted(extents: &[Self], length: u64, count_max: usize) -> Vec<Self> {
        let mut fitted: Vec<Self> = Vec::new();
        let mut left = length;
        for extent in extents {
            let len_bytes = extent.len_bytes.min(left);
            left -= len_bytes;
            let full = fitted.len() == count_max;
            match fitted.last_mut() {
                _ if len_bytes == 0 => {}
                Some(last) if last.is_like(*extent) => last.len_bytes += len_bytes,
                _ if full => break,
                _ => fitted.push(Self {
                    len_bytes,
                    ..*extent
                }),
            }
        }
        fitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_to_the_range_and_joins_neighbours_of_one_kind() {
        let all = [
            Extent::data(4),
            Extent::data(0),
            Extent::data(4),
            Extent::hole(100),
        ];
        let fitted = Extent::fitted(&all, 20, 8);
        assert_eq!(fitted, [Extent::data(8), Extent::hole(12)]);
    }

    #[test]
    fn one_extent_is_one_even_where_the_disk_sent_it_in_pieces() {
        let all = [Extent::hole(4), Extent::hole(4), Extent::data(4)];
        assert_eq!(Extent::fitted(&all, 64, 1), [Extent::hole(8)]);
    }

    #[test]
    fn lengths_that_overflow_together_are_cut() {
        let all = [Extent::data(u64::MAX), Extent::data(u64::MAX)];
        assert_eq!(Extent::fitted(&all, 512, 8), [Extent::data(512)]);
    }
}
