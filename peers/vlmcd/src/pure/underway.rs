//! Which I/O was begun before a recall.
//!
//! # Invariants
//! * **UNDERWAY-1** A recall's wait ends when all that was begun before it has ended, and not before; what is begun later
//!   does not prolong it.

use std::collections::BTreeMap;

/// I/O that was begun and has not ended, counted by the time between two recalls in which it was begun.
#[derive(Debug, Default)]
pub struct Underway {
    present: u64,
    begun: BTreeMap<u64, u32>,
}

impl Underway {
    /// I/O begins. What this gives is given to `end`.
    pub fn begin(&mut self) -> u64 {
        *self.begun.entry(self.present).or_default() += 1;
        self.present
    }

    /// Tells whether that was the last of its time.
    pub fn end(&mut self, time: u64) -> bool {
        let Some(count) = self.begun.get_mut(&time) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            self.begun.remove(&time);
            return true;
        }
        false
    }

    /// A recall: gives what to ask `is_over` about.
    pub fn recall(&mut self) -> u64 {
        self.present += 1;
        self.present
    }

    /// Has all ended that was begun before that recall?
    pub fn is_over(&self, recall: u64) -> bool {
        self.begun
            .first_key_value()
            .is_none_or(|(oldest, _)| *oldest >= recall)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// UNDERWAY-1
        #[test]
        fn a_recall_waits_for_what_was_begun_before_it(steps in proptest::collection::vec((0..4_u8, any::<usize>()), 0..60)) {
            let mut underway = Underway::default();
            let mut running: Vec<(usize, u64)> = Vec::new();
            let mut recalls: Vec<(u64, Vec<usize>)> = Vec::new();
            for (number, (kind, choice)) in steps.into_iter().enumerate() {
                match kind {
                    0 | 1 => running.push((number, underway.begin())),
                    2 if !running.is_empty() => {
                        let (ended, time) = running.swap_remove(choice % running.len());
                        underway.end(time);
                        recalls.iter_mut().for_each(|(_, waits)| waits.retain(|other| *other != ended));
                    }
                    _ => recalls.push((underway.recall(), running.iter().map(|(number, _)| *number).collect())),
                }
                for (recall, waits) in &recalls {
                    prop_assert_eq!(underway.is_over(*recall), waits.is_empty());
                }
            }
        }
    }
}
