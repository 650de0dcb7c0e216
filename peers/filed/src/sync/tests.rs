//! The ledger against a naive one.

use std::collections::BTreeSet;

use archipelago_store::Scope;
use proptest::prelude::*;

use super::{Ledger, Plan};
use crate::files::FileId;
use crate::layout::Folder;

const ONE: Scope = Scope(1);
const TWO: Scope = Scope(2);

/// A ledger whose inheritance is settled.
fn settled() -> Ledger<()> {
    let mut ledger = Ledger::default();
    ledger.all_synced(ledger.now());
    ledger
}

fn files(plan: &Plan<()>) -> Vec<u64> {
    plan.files.iter().map(|(id, ())| id.0).collect()
}

#[test]
fn ledger_1_a_sync_covers_what_was_written_before_it_began() {
    let mut ledger = settled();
    ledger.wrote(ONE, FileId(1), &());
    let begun = ledger.now();
    ledger.wrote(ONE, FileId(1), &());
    ledger.file_synced(FileId(1), begun);
    assert_eq!(files(&ledger.plan(ONE)), [1], "written since"); // LEDGER-1
    ledger.file_synced(FileId(1), ledger.now());
    assert!(files(&ledger.plan(ONE)).is_empty());
    assert!(!ledger.is_written(FileId(1)));
}

#[test]
fn ledger_1_a_sync_for_one_scope_spares_the_others() {
    let mut ledger = settled();
    ledger.wrote(ONE, FileId(1), &());
    ledger.wrote(TWO, FileId(1), &());
    ledger.wrote(TWO, FileId(2), &());
    ledger.file_synced(FileId(1), ledger.now());
    assert!(!ledger.needs(TWO, FileId(1)) && !ledger.needs(ONE, FileId(1)));
    assert_eq!(files(&ledger.plan(TWO)), [2]);
}

#[test]
fn ledger_2_a_failed_sync_fails_all_whom_it_concerns() {
    let mut ledger = settled();
    ledger.wrote(ONE, FileId(1), &());
    ledger.wrote(TWO, FileId(1), &());
    ledger.wrote(Scope(3), FileId(2), &());
    ledger.file_failed(FileId(1));
    assert!(ledger.is_failed(ONE) && ledger.is_failed(TWO)); // LEDGER-2
    assert!(!ledger.is_failed(Scope(3)));
    ledger.file_synced(FileId(1), ledger.now());
    assert!(ledger.is_failed(ONE), "success is no cure");
    ledger.heal(ONE);
    assert!(!ledger.is_failed(ONE) && ledger.is_failed(TWO));
    ledger.all_failed();
    assert!(ledger.is_failed(Scope(3)) && !ledger.is_failed(ONE));
}

#[test]
fn ledger_3_a_fresh_name_concerns_each_who_writes_under_it() {
    let (mut ledger, folder) = (settled(), Folder::of_group(b"v"));
    ledger.named(FileId(1), folder);
    ledger.wrote(ONE, FileId(1), &());
    ledger.wrote(TWO, FileId(1), &());
    for scope in [ONE, TWO] {
        assert_eq!(ledger.plan(scope).folders, [folder]); // LEDGER-3
    }
    ledger.file_synced(FileId(1), ledger.now());
    assert!(ledger.is_named(FileId(1)) && !ledger.is_written(FileId(1)));
    ledger.folder_synced(folder, ledger.now());
    ledger.wrote(TWO, FileId(1), &());
    assert!(ledger.plan(TWO).folders.is_empty());
    assert!(ledger.plan(ONE).files.is_empty());
}

#[test]
fn ledger_3_a_name_is_remembered_when_its_file_is_closed() {
    let (mut ledger, folder) = (settled(), Folder::of_group(b"v"));
    ledger.named(FileId(1), folder);
    ledger.wrote(ONE, FileId(1), &());
    ledger.file_synced(FileId(1), ledger.now());
    ledger.closed(FileId(1));
    ledger.opened(FileId(2), folder);
    ledger.wrote(TWO, FileId(2), &());
    for scope in [ONE, TWO] {
        assert_eq!(ledger.plan(scope).folders, [folder]); // LEDGER-3
    }
    ledger.folder_synced(folder, ledger.now());
    ledger.opened(FileId(3), folder);
    assert!(!ledger.is_named(FileId(3)) && !ledger.is_named(FileId(2)));
}

#[test]
fn ledger_4_the_first_sync_is_of_everything() {
    let mut ledger: Ledger<()> = Ledger::default();
    assert!(ledger.plan(ONE).everything); // LEDGER-4
    ledger.all_failed();
    assert!(ledger.is_failed(ONE) && ledger.is_failed(TWO));
    ledger.heal(ONE);
    assert!(!ledger.is_failed(ONE) && ledger.is_failed(TWO));
    let mut lucky: Ledger<()> = Ledger::default();
    lucky.all_synced(lucky.now());
    assert!(!lucky.plan(ONE).everything && !lucky.is_failed(TWO));
}

#[test]
fn any_sync_covers_deletions() {
    let (mut ledger, folder) = (settled(), Folder::of_group(b"v"));
    ledger.wrote(ONE, FileId(1), &());
    ledger.deleted(folder);
    ledger.forget(FileId(1));
    let plan = ledger.plan(TWO);
    assert_eq!((plan.files.len(), plan.folders), (0, vec![folder]));
    ledger.folder_synced(folder, ledger.now());
    assert!(ledger.plan(ONE).folders.is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Wrote(u64, u64),
    Named(u64),
    Begin,
    FileSynced(u64),
    FolderSynced(u8),
    AllSynced,
    Forget(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u64, 0..4_u64).prop_map(|(scope, id)| Step::Wrote(scope, id)),
        1 => (0..4_u64).prop_map(Step::Named),
        3 => Just(Step::Begin),
        2 => (0..4_u64).prop_map(Step::FileSynced),
        2 => (0..2_u8).prop_map(Step::FolderSynced),
        1 => Just(Step::AllSynced),
        1 => (0..4_u64).prop_map(Step::Forget),
    ]
}

/// Everything that ever happened and is not durable, one by one.
#[derive(Default)]
struct Naive {
    /// Scope, file and moment of each write.
    writes: Vec<(u64, u64, u64)>,
    /// File and moment of each naming.
    names: Vec<(u64, u64)>,
}

fn folder_of(file: u64) -> Folder {
    Folder::of_group(&[b'a' + (file % 2) as u8])
}

proptest! {
    #[test]
    fn ledger_1_nothing_is_planned_too_little(steps in prop::collection::vec(step(), 0..60)) {
        let (mut ledger, mut naive) = (settled(), Naive::default());
        let (mut begun, mut moment) = (ledger.now(), 0_u64);
        let mut begun_naive = 0;
        for step in steps {
            moment += 1;
            match step {
                Step::Wrote(scope, id) => {
                    ledger.wrote(Scope(scope), FileId(id), &());
                    naive.writes.push((scope, id, moment));
                }
                Step::Named(id) => {
                    ledger.named(FileId(id), folder_of(id));
                    naive.names.push((id, moment));
                }
                Step::Begin => (begun, begun_naive) = (ledger.now(), moment),
                Step::FileSynced(id) => {
                    ledger.file_synced(FileId(id), begun);
                    naive.writes.retain(|write| write.1 != id || write.2 > begun_naive);
                }
                Step::FolderSynced(number) => {
                    let folder = folder_of(u64::from(number));
                    ledger.folder_synced(folder, begun);
                    naive.names.retain(|(id, at)| folder_of(*id) != folder || *at > begun_naive);
                }
                Step::AllSynced => {
                    ledger.all_synced(begun);
                    naive.writes.retain(|write| write.2 > begun_naive);
                    naive.names.retain(|(_, at)| *at > begun_naive);
                }
                Step::Forget(id) => {
                    ledger.forget(FileId(id));
                    naive.writes.retain(|write| write.1 != id);
                    naive.names.retain(|(of, _)| *of != id);
                }
            }
            for scope in 0..3 {
                let plan = ledger.plan(Scope(scope));
                let planned: BTreeSet<u64> = files(&plan).into_iter().collect();
                let ours = naive.writes.iter().filter(|write| write.0 == scope);
                let needed: BTreeSet<u64> = ours.map(|write| write.1).collect();
                prop_assert_eq!(&planned, &needed, "scope {}", scope); // LEDGER-1
                // A name that is not durable, and under which the scope wrote since: LEDGER-3.
                for (id, named) in &naive.names {
                    let wrote = naive.writes.iter().any(|write| {
                        write.0 == scope && write.1 == *id && write.2 > *named
                    });
                    if wrote {
                        prop_assert!(plan.folders.contains(&folder_of(*id)));
                    }
                }
            }
        }
    }
}
