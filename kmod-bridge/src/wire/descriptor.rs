//! Descriptors: what a block status says of a range, in runs.
//!
//! # Invariants
//! * **DESCRIPTOR-1** What is answered lies within the range that was asked about, has no empty run, joins neighbours of one
//!   state, and is no longer than was allowed.

use archipelago_front::{Change, Extent};

use super::constants::{block_state, change_state};

/// A run of bytes of one state, whatever the context means by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Descriptor {
    pub len_bytes: u64,
    pub state: u32,
}

impl From<&Extent> for Descriptor {
    fn from(extent: &Extent) -> Self {
        let hole = if extent.hole { block_state::HOLE } else { 0 };
        let zero = if extent.zero { block_state::ZERO } else { 0 };
        Self {
            len_bytes: extent.len_bytes,
            state: hole | zero,
        }
    }
}

impl From<&Change> for Descriptor {
    fn from(change: &Change) -> Self {
        let changed = if change.is_changed {
            change_state::CHANGED
        } else {
            0
        };
        Self {
            len_bytes: change.len_bytes,
            state: changed,
        }
    }
}

impl Descriptor {
    /// What may be answered (DESCRIPTOR-1).
    pub fn fitted(
        told: impl IntoIterator<Item = Self>,
        length: u64,
        count_max: usize,
    ) -> Vec<Self> {
        let mut fitted: Vec<Self> = Vec::new();
        let mut left = length;
        for Self { len_bytes, state } in told {
            let len_bytes = len_bytes.min(left);
            left -= len_bytes;
            let full = fitted.len() == count_max;
            match fitted.last_mut() {
                _ if len_bytes == 0 => {}
                Some(last) if last.state == state => last.len_bytes += len_bytes,
                _ if full => break,
                _ => fitted.push(Self { len_bytes, state }),
            }
        }
        fitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(len_bytes: u64, state: u32) -> Descriptor {
        Descriptor { len_bytes, state }
    }

    #[test]
    fn an_answer_is_cut_to_the_range_and_joins_neighbours_of_one_kind() {
        // DESCRIPTOR-1
        let all = [run(4, 0), run(0, 3), run(4, 0), run(100, 3)];
        assert_eq!(Descriptor::fitted(all, 20, 8), [run(8, 0), run(12, 3)]);
    }

    #[test]
    fn one_run_is_one_even_where_the_disk_sent_it_in_pieces() {
        let all = [run(4, 3), run(4, 3), run(4, 0)];
        assert_eq!(Descriptor::fitted(all, 64, 1), [run(8, 3)]);
    }

    #[test]
    fn lengths_that_overflow_together_are_cut() {
        let all = [run(u64::MAX, 0), run(u64::MAX, 0)];
        assert_eq!(Descriptor::fitted(all, 512, 8), [run(512, 0)]);
    }

    #[test]
    fn states_are_those_of_the_protocol() {
        assert_eq!(Descriptor::from(&Extent::hole(7)), run(7, 3));
        assert_eq!(Descriptor::from(&Extent::data(7)), run(7, 0));
        let changed = |is_changed| Change {
            len_bytes: 7,
            is_changed,
        };
        assert_eq!(Descriptor::from(&changed(true)), run(7, 1));
        assert_eq!(Descriptor::from(&changed(false)), run(7, 0));
    }
}
