//! Locks over restarts, races and damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use archipelago_store::{LockOwner, ObjectName, OwnerLife, StoreError};

use super::{Break, Force, Found, LeaseText, LockFolder, LockState, Presence};
use crate::root::Directory;

/// Breaks it where nothing is to be waited for.
fn break_lock(locks: &LockFolder, by: &str, force: Force) -> Result<(), StoreError> {
    let broken = locks.begin_break(&name(), &owner(by), force)?;
    assert_eq!(broken, Break::Done);
    Ok(())
}

fn open(path: &Path) -> LockFolder {
    LockFolder::open(Directory::configured(path).unwrap()).unwrap()
}

fn name() -> ObjectName {
    ObjectName::new(b"lock/1f").unwrap()
}

fn owner(deployment: &str) -> LockOwner {
    LockOwner {
        node: "node".into(),
        deployment: deployment.into(),
    }
}

/// The file that says how the lock is.
fn state_file(path: &Path) -> PathBuf {
    let files = fs::read_dir(path.join("lock+1f")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.pop().unwrap()
}

#[test]
fn lock_1_tokens_grow_over_restarts() {
    let home = tempfile::tempdir().unwrap();
    let mut last = 0;
    for turn in 0..5 {
        let locks = open(home.path()); // LOCK-1
        let record = locks.take(&name(), &owner("a"), turn).unwrap();
        assert!(record.token > last);
        last = record.token;
        drop(locks);
        let again = open(home.path()).take(&name(), &owner("a"), 99).unwrap();
        assert_eq!(again, record, "a restarted owner still has it");
        open(home.path()).give_back(&name(), &owner("a")).unwrap();
        assert_eq!(open(home.path()).state(&name()), Ok(LockState::Free)); // LOCK-4
    }
    let files = fs::read_dir(home.path().join("lock+1f")).unwrap();
    assert_eq!(files.count(), 1, "old states are removed");
}

#[test]
fn lock_2_of_many_who_race_each_has_it_alone() {
    let home = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let path = home.path().to_path_buf();
            std::thread::spawn(move || {
                let (locks, me) = (open(&path), owner(&number.to_string()));
                let mut tokens = Vec::new();
                while tokens.len() < 10 {
                    match locks.take(&name(), &me, 0) {
                        Ok(record) => tokens.push(record.token), // LOCK-2
                        Err(StoreError::Locked { .. }) => {
                            std::thread::yield_now();
                            continue;
                        }
                        Err(error) => panic!("{error}"),
                    }
                    locks.give_back(&name(), &me).unwrap();
                }
                tokens
            })
        })
        .collect();
    let mut all: Vec<u64> = Vec::new();
    for thread in threads {
        all.extend(thread.join().unwrap());
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 40, "no token twice");
    assert_eq!(all.last(), Some(&80), "each change has its number");
}

#[test]
fn lock_3_a_damaged_lock_is_held_by_somebody_unknown_until_it_is_broken() {
    let home = tempfile::tempdir().unwrap();
    let locks = open(home.path());
    let first = locks.take(&name(), &owner("a"), 0).unwrap();
    for damage in [&b""[..], b"garbage", &[0xff; 9000]] {
        fs::write(state_file(home.path()), damage).unwrap(); // F53
        let state = locks.state(&name()).unwrap();
        assert!(matches!(state, LockState::Unknown(_))); // LOCK-3
        for who in ["a", "b"] {
            let taken = locks.take(&name(), &owner(who), 0).unwrap_err();
            assert!(taken.to_string().contains("unknown"), "{taken}");
            let given = locks.give_back(&name(), &owner(who));
            assert!(matches!(given, Err(StoreError::Locked { .. })));
        }
        break_lock(&locks, "b", Force::IfDead).unwrap();
        let next = locks.take(&name(), &owner("a"), 0).unwrap();
        assert!(next.token > first.token);
    }
}

#[test]
fn foreign_files_among_the_states_are_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let locks = open(home.path());
    locks.take(&name(), &owner("a"), 0).unwrap();
    let folder = home.path().join("lock+1f");
    for foreign in ["x", "0000000000000000000x", "99", "%2E"] {
        fs::write(folder.join(foreign), b"foreign").unwrap(); // F100
    }
    assert!(matches!(locks.state(&name()), Ok(LockState::Held(_))));
    locks.give_back(&name(), &owner("a")).unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 5);
    fs::create_dir(folder.join("00000000000000000099")).unwrap();
    assert_eq!(locks.state(&name()), Ok(LockState::Unknown(99)));
}

#[test]
fn a_lock_that_is_a_symbolic_link_leads_nowhere() {
    let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let locks = open(home.path());
    std::os::unix::fs::symlink(elsewhere.path(), home.path().join("lock+1f")).unwrap();
    assert!(locks.take(&name(), &owner("a"), 0).is_err()); // F96
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn locks_whose_directory_is_gone_are_not_free() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("locks");
    fs::create_dir(&path).unwrap();
    let locks = open(&path);
    fs::remove_dir_all(&path).unwrap();
    assert!(matches!(locks.state(&name()), Err(StoreError::Io(_)))); // F43
    assert!(matches!(
        locks.take(&name(), &owner("a"), 0),
        Err(StoreError::Io(_))
    ));
}

#[test]
fn lock_5_of_a_forgotten_lock_nothing_is_left() {
    let home = tempfile::tempdir().unwrap();
    let locks = open(home.path());
    let folder = home.path().join("lock+1f");
    for is_given_back in [false, true] {
        locks.take(&name(), &owner("a"), 0).unwrap();
        if is_given_back {
            locks.give_back(&name(), &owner("a")).unwrap();
        }
        locks.forget(&name(), &owner("a")).unwrap();
        assert!(!folder.exists()); // LOCK-5
        assert_eq!(locks.state(&name()), Ok(LockState::Free));
    }
    // Whoever forgot it died before the directory was gone.
    for turn in 0..4 {
        fs::create_dir(&folder).unwrap();
        match turn {
            0 => assert_eq!(locks.state(&name()), Ok(LockState::Free)),
            1 => locks.forget(&name(), &owner("a")).unwrap(),
            2 => {
                let given = break_lock(&locks, "a", Force::IfDead);
                assert_eq!(given, Err(StoreError::NotLocked));
            }
            _ => {
                locks.take(&name(), &owner("a"), 0).unwrap();
                locks.forget(&name(), &owner("a")).unwrap();
            }
        }
        assert!(!folder.exists()); // LOCK-5
    }
}

#[test]
fn foreign_files_in_a_forgotten_lock_are_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let locks = open(home.path());
    locks.take(&name(), &owner("a"), 0).unwrap();
    let foreign = home.path().join("lock+1f").join("x");
    fs::write(&foreign, b"foreign").unwrap();
    for _ in 0..2 {
        locks.forget(&name(), &owner("a")).unwrap(); // F100
        assert_eq!(locks.state(&name()), Ok(LockState::Free));
    }
    assert_eq!(fs::read(&foreign).unwrap(), b"foreign");
}

#[test]
fn lock_5_of_many_who_race_and_forget_each_has_it_alone() {
    let home = tempfile::tempdir().unwrap();
    let is_held = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (path, is_held) = (home.path(), &is_held);
            scope.spawn(move || {
                let (locks, me) = (open(path), owner(&number.to_string()));
                let mut turns = 0;
                while turns < 40 {
                    match locks.take(&name(), &me, 0) {
                        Ok(_) => {}
                        Err(StoreError::Locked { .. }) => {
                            std::thread::yield_now();
                            continue;
                        }
                        Err(error) => panic!("{error}"),
                    }
                    turns += 1;
                    assert!(!is_held.swap(true, Ordering::SeqCst), "two have it"); // LOCK-5
                    is_held.store(false, Ordering::SeqCst);
                    if turns % 4 == 0 {
                        locks.give_back(&name(), &me).unwrap();
                        continue;
                    }
                    match locks.forget(&name(), &me) {
                        // Refused: by the time that the directory went somebody else had it.
                        Ok(()) | Err(StoreError::Locked { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(open(home.path()).state(&name()), Ok(LockState::Free));
}

#[test]
fn lock_6_a_lock_is_broken_only_when_its_owner_is_dead_and_its_later_owners_are_told() {
    let home = tempfile::tempdir().unwrap();
    let (top, path) = (home.path(), home.path().join("locks"));
    let present = Presence::announce(top, None, &owner("a"), 1).unwrap();
    let locks = open(&path);
    let first = locks.take(&name(), &owner("a"), 0).unwrap();
    assert_eq!(first.broken, 0);
    let refused = break_lock(&locks, "b", Force::IfDead).unwrap_err();
    assert!(refused.to_string().contains("a on node"), "{refused}"); // LOCK-6
    assert_eq!(locks.state(&name()), Ok(LockState::Held(first.clone())));
    assert_eq!(locks.owner_life(&name()), Ok(OwnerLife::Lives));
    // By who says that he knows.
    break_lock(&locks, "b", Force::Anyway).unwrap();
    assert_eq!(locks.owner_life(&name()), Err(StoreError::NotLocked));
    let first = locks.take(&name(), &owner("a"), 0).unwrap();
    assert!(first.broken > 0); // LOCK-6
    drop(present);
    assert_eq!(locks.owner_life(&name()), Ok(OwnerLife::Gone));
    break_lock(&locks, "b", Force::IfDead).unwrap();
    let mut last = locks.take(&name(), &owner("b"), 0).unwrap();
    assert_eq!(last.broken, first.token); // LOCK-6
    for turn in 0..4 {
        // By force, and yet it is its own.
        let locks = open(&path);
        match turn % 2 {
            0 => break_lock(&locks, "b", Force::IfDead).unwrap(),
            _ => locks.give_back(&name(), &owner("b")).unwrap(),
        }
        last = open(&path).take(&name(), &owner("b"), turn).unwrap();
        assert_eq!(last.broken, first.token);
        assert_eq!(
            open(&path).state(&name()),
            Ok(LockState::Held(last.clone()))
        );
    }
    break_lock(&locks, "a", Force::IfDead).unwrap();
    let next = locks.take(&name(), &owner("a"), 0).unwrap();
    assert_eq!(next.broken, last.token);
}

#[test]
fn lock_6_who_takes_a_lock_that_was_damaged_and_broken_is_told_as_well() {
    let home = tempfile::tempdir().unwrap();
    let locks = open(home.path());
    let first = locks.take(&name(), &owner("a"), 0).unwrap();
    fs::write(state_file(home.path()), b"garbage").unwrap();
    break_lock(&locks, "a", Force::IfDead).unwrap();
    let next = locks.take(&name(), &owner("a"), 0).unwrap();
    assert_eq!(next.broken, first.token); // LOCK-6
}

fn lease_of(who: &str, generation: u64) -> LeaseText {
    LeaseText {
        owner: owner(who),
        instance: 1,
        generation,
        term: Duration::from_millis(800),
    }
}

/// FENCE-1, F49
#[test]
fn the_lock_of_a_living_owner_is_nobodys_until_what_it_may_answer_was_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let (top, path) = (home.path(), home.path().join("locks"));
    let _present = Presence::announce(top, None, &owner("a"), 1).unwrap();
    let locks = open(&path);
    let first = locks.take(&name(), &owner("a"), 5).unwrap();
    let fence = || locks.begin_break(&name(), &owner("b"), Force::Fenced);
    // An owner that keeps no lease does not hear of its loss.
    assert!(matches!(fence(), Err(StoreError::Locked { .. })));
    assert_eq!(locks.state(&name()), Ok(LockState::Held(first.clone())));
    locks.leases.begin(&lease_of("a", 1)).unwrap();
    let refused = break_lock(&locks, "b", Force::IfDead);
    assert!(matches!(refused, Err(StoreError::Locked { .. }))); // LOCK-6
    let marked = fence().unwrap();
    let Break::Marked { number, wait } = marked else {
        panic!("{marked:?}");
    };
    assert!(wait > lease_of("a", 1).term, "{wait:?}");
    assert_eq!(locks.leases.kept(&owner("a")), Ok(None));
    let LockState::Held(now) = locks.state(&name()).unwrap() else {
        panic!("it is not free");
    };
    assert!(now.is_being_broken() && now.token > first.token && now.since == 5);
    for who in ["a", "b", "c"] {
        let taken = locks.take(&name(), &owner(who), 0);
        assert!(matches!(taken, Err(StoreError::Locked { .. })), "{taken:?}"); // FENCE-1
        let forgotten = locks.forget(&name(), &owner(who));
        assert!(matches!(forgotten, Err(StoreError::Locked { .. })));
    }
    // Whoever breaks it as well goes on from there, though the owner lives, and takes away what it has begun since.
    locks.leases.begin(&lease_of("a", 2)).unwrap();
    for force in [Force::IfDead, Force::Fenced] {
        let again = locks.begin_break(&name(), &owner("c"), force);
        assert_eq!(again, Ok(marked));
        assert_eq!(locks.leases.kept(&owner("a")), Ok(None));
    }
    locks.end_break(&name(), number).unwrap();
    let next = locks.take(&name(), &owner("b"), 0).unwrap();
    assert!(next.broken > first.token && !next.is_being_broken());
    locks.end_break(&name(), number).unwrap(); // who was slower
    assert_eq!(locks.state(&name()), Ok(LockState::Held(next)));
}

/// FENCE-1: whoever has lost it may end that; who does not wait says so.
#[test]
fn a_lock_that_is_being_broken_becomes_free_by_its_owner_or_by_who_takes_the_risk() {
    let home = tempfile::tempdir().unwrap();
    let (top, path) = (home.path(), home.path().join("locks"));
    let _present = Presence::announce(top, None, &owner("a"), 1).unwrap();
    let locks = open(&path);
    for by_owner in [false, true] {
        let first = locks.take(&name(), &owner("a"), 0).unwrap();
        locks.leases.begin(&lease_of("a", first.token)).unwrap();
        let marked = locks.begin_break(&name(), &owner("b"), Force::Fenced);
        assert!(matches!(marked, Ok(Break::Marked { .. })), "{marked:?}");
        match by_owner {
            true => locks.give_back(&name(), &owner("a")).unwrap(),
            false => break_lock(&locks, "b", Force::Anyway).unwrap(),
        }
        let next = locks.take(&name(), &owner("b"), 0).unwrap();
        assert!(next.broken > first.token);
        locks.give_back(&name(), &owner("b")).unwrap();
    }
}

/// FENCE-2: as over a file system that keeps locks to itself.
#[test]
fn that_nobody_lives_is_not_believed_where_locks_end_at_the_machine() {
    let home = tempfile::tempdir().unwrap();
    let mut locks = open(home.path());
    locks.take(&name(), &owner("a"), 0).unwrap();
    locks.locks_are_common = false;
    locks.leases.begin(&lease_of("a", 1)).unwrap();
    let marked = locks.begin_break(&name(), &owner("b"), Force::IfDead);
    let Ok(Break::Marked { number, .. }) = marked else {
        panic!("{marked:?}");
    };
    locks.end_break(&name(), number).unwrap();
    locks.take(&name(), &owner("b"), 0).unwrap();
    // One that never kept a lease is broken as ever.
    break_lock(&locks, "a", Force::IfDead).unwrap();
    let found = locks.leases.last(&owner("a")).unwrap();
    assert_eq!(found, Some(Found::Whole(lease_of("a", 1))));
}

fn is_free(locks: &LockFolder) -> bool {
    locks.state(&name()) == Ok(LockState::Free)
}

/// FENCE-3, F53: whoever has it, its answers are waited for.
#[test]
fn a_damaged_lock_becomes_free_when_all_who_live_were_fenced() {
    let home = tempfile::tempdir().unwrap();
    let (top, path) = (home.path(), home.path().join("locks"));
    let alive = ["a", "c"].map(|who| Presence::announce(top, None, &owner(who), 1).unwrap());
    let locks = open(&path);
    let first = locks.take(&name(), &owner("a"), 0).unwrap();
    fs::write(state_file(&path), b"garbage").unwrap();
    let fence = |by: &str, force| locks.begin_break(&name(), &owner(by), force);
    // Who lives and knows of no leases may have it.
    locks.leases.begin(&lease_of("a", 1)).unwrap();
    for force in [Force::IfDead, Force::Fenced] {
        let refused = fence("b", force);
        assert!(
            matches!(refused, Err(StoreError::Locked { .. })),
            "{refused:?}"
        );
    }
    let kept = |who: &str| locks.leases.kept(&owner(who)).unwrap().is_some();
    assert!(kept("a"), "nothing was begun");
    let long = LeaseText {
        term: Duration::from_secs(3),
        ..lease_of("c", 1)
    };
    locks.leases.begin(&long).unwrap();
    locks.leases.begin(&lease_of("dead", 1)).unwrap();
    let marked = fence("b", Force::IfDead).unwrap();
    let Break::Marked { number, wait } = marked else {
        panic!("{marked:?}");
    };
    assert!(wait > long.term, "{wait:?}"); // FENCE-1
    assert!(!kept("a") && !kept("c") && kept("dead"), "FENCE-3");
    let LockState::Held(now) = locks.state(&name()).unwrap() else {
        panic!("it is not free");
    };
    assert!(now.is_being_broken() && now.token > first.token);
    // Whoever marked it died over that, and those who were fenced have leases again.
    locks.leases.begin(&lease_of("a", 2)).unwrap();
    assert_eq!(fence("d", Force::IfDead), Ok(marked));
    assert!(!kept("a") && !is_free(&locks));
    locks.end_break(&name(), number).unwrap();
    assert!(is_free(&locks));
    let next = locks.take(&name(), &owner("b"), 0).unwrap();
    assert!(next.broken > first.token); // LOCK-6
    drop(alive);
    // Nobody lives who could have it.
    fs::write(state_file(&path), b"garbage").unwrap();
    break_lock(&locks, "b", Force::IfDead).unwrap();
    assert!(is_free(&locks));
}

/// FENCE-3: who takes the risk does not wait, and all find out soon.
#[test]
fn a_damaged_lock_is_free_at_once_for_who_takes_the_risk() {
    let home = tempfile::tempdir().unwrap();
    let (top, path) = (home.path(), home.path().join("locks"));
    let _present = Presence::announce(top, None, &owner("a"), 1).unwrap();
    let locks = open(&path);
    locks.take(&name(), &owner("a"), 0).unwrap();
    locks.leases.begin(&lease_of("a", 1)).unwrap();
    fs::write(state_file(&path), b"garbage").unwrap();
    break_lock(&locks, "b", Force::Anyway).unwrap();
    assert!(is_free(&locks));
    assert_eq!(locks.leases.kept(&owner("a")), Ok(None));
}
