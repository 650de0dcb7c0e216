//! All that clients did.

use std::collections::BTreeMap;

use crate::check::check_block;
use crate::operation::{Event, Flush, Operation, Time};
use crate::violation::Violation;

/// What was checked, for those who want to know that it was not nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub blocks: usize,
    pub operations: usize,
    /// Writes that were never seen and of which nobody knows what became.
    pub open_writes: usize,
}

/// What clients of one volume did, in any order.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub operations: Vec<Operation>,
    /// Those that were answered well.
    pub flushes: Vec<Flush>,
    /// When power was lost, or all that was not durable was thrown away otherwise. Nobody works at such a moment: what had begun
    /// and was not answered takes no effect later. The death of processes is no loss of power (D1).
    pub losses: Vec<Time>,
    pub events: Vec<Event>,
}

impl History {
    /// Could a disk have behaved so?
    pub fn check(&self) -> Result<Summary, Box<Violation>> {
        let mut blocks: BTreeMap<u64, Vec<Operation>> = BTreeMap::new();
        for operation in &self.operations {
            blocks.entry(operation.block).or_default().push(*operation);
        }
        let mut losses = self.losses.clone();
        losses.sort_unstable();
        let mut summary = Summary {
            blocks: blocks.len(),
            operations: self.operations.len(),
            open_writes: 0,
        };
        for (block, operations) in &blocks {
            let open = check_block(operations, &self.flushes, &losses);
            summary.open_writes +=
                open.map_err(|evidence| Box::new(Violation::new(*block, evidence, self)))?;
        }
        Ok(summary)
    }
}
