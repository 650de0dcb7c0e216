//! The naive store passes the suite.

use archipelago_store::MemStore;
use archipelago_store::conformance::{Check, full_store_keeps_what_it_has};
use archipelago_store::sim::block_on;

fn run(check: Check) {
    block_on(check.start(&MemStore::new()));
}

archipelago_store::conformance_tests!(run);

#[test]
fn a_full_store_in_memory_keeps_what_it_has() {
    block_on(full_store_keeps_what_it_has(&MemStore::new()));
}
