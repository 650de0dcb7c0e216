//! The simulated store passes the suite, in whatever order its calls are delayed.

use archipelago_store::conformance::{Check, full_store_keeps_what_it_has};
use archipelago_store::sim::{SimStore, block_on};

fn run(check: Check) {
    for seed in 0..4 {
        let store = SimStore::new(seed);
        store.set_yields_max(seed);
        block_on(check.start(&store));
    }
}

archipelago_store::conformance_tests!(run);

#[test]
fn a_full_simulated_store_keeps_what_it_has() {
    block_on(full_store_keeps_what_it_has(&SimStore::new(1)));
}
