//! What was written and is not durable yet, and how it becomes so.

mod ledger;
#[cfg(test)]
mod tests;

pub(crate) use ledger::{Ledger, Plan};
