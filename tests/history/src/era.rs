//! What lies between two losses of power.

use crate::operation::{Flush, Operation, Time, Work};

/// The operations on one block between two losses, and what was flushed of them.
#[derive(Clone, Debug)]
pub(crate) struct Era {
    pub operations: Vec<Operation>,
    /// The flush that began last, of those that were answered.
    flush: Option<Flush>,
}

impl Era {
    /// The operations of a block, by eras: one more than there are losses.
    pub fn all(operations: &[Operation], flushes: &[Flush], losses: &[Time]) -> Vec<Self> {
        let era_of = |at: Time| losses.partition_point(|loss| *loss < at);
        let mut eras = vec![
            Self {
                operations: Vec::new(),
                flush: None,
            };
            losses.len() + 1
        ];
        for operation in operations {
            eras[era_of(operation.invoked)].operations.push(*operation);
        }
        for flush in flushes {
            let era = &mut eras[era_of(flush.invoked)];
            if era.flush.is_none_or(|other| flush.invoked > other.invoked) {
                era.flush = Some(*flush);
            }
        }
        eras
    }

    /// What makes a write durable: a flush, if it does not do so by itself. `None`: it may be lost.
    pub fn is_durable(&self, write: &Operation) -> Option<Option<Flush>> {
        if matches!(write.work, Work::WriteDurably(_)) && write.over() != Time::NEVER {
            return Some(None);
        }
        let flush = self.flush.filter(|flush| write.over() < flush.invoked);
        flush.map(Some)
    }
}
