//! A store in a directory passes the suite: on one reactor with its client and on another thread, through the page cache
//! and past it, with few open files and each way to sync.

use archipelago_filed::{FiledOptions, SyncMethod};
use archipelago_store::conformance::Check;
use tempfile::TempDir;

use crate::house::{home, home_in_memory, on_one_reactor, on_two_threads, options};

fn run_with(check: Check, home: &TempDir, change: impl FnOnce(&mut FiledOptions)) {
    let mut options = options(home.path());
    change(&mut options);
    on_one_reactor(&options, async |house| check.start(&house.client).await);
}

fn run_plainly(check: Check) {
    run_with(check, &home(), |_| {});
}

fn run_directly(check: Check) {
    run_with(check, &home(), |options| options.direct = true);
}

fn run_with_few_files(check: Check) {
    run_with(check, &home_in_memory(), |options| {
        options.fdcache = 2;
        options.nr_ops = 3;
        options.sync = SyncMethod::Files;
    });
}

fn run_on_two_threads(check: Check) {
    let home = home_in_memory();
    let mut options = options(home.path());
    options.sync = SyncMethod::FileSystem;
    on_two_threads(&options, async |client| check.start(client).await);
}

mod plainly {
    archipelago_store::conformance_tests!(super::run_plainly);
}

mod directly {
    archipelago_store::conformance_tests!(super::run_directly);
}

mod with_few_files {
    archipelago_store::conformance_tests!(super::run_with_few_files);
}

mod on_two_threads {
    archipelago_store::conformance_tests!(super::run_on_two_threads);
}
