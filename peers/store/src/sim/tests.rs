//! What a power loss may leave, and what it must not take.

use std::cell::Cell;
use std::collections::BTreeSet;

use rustix::io::Errno;

use super::{CallKind, Interleave, SimRandom, SimStore, block_on, yield_now};
use crate::{LockOwner, ObjectName, Scope, Store, StoreError};

const ONE: Scope = Scope(1);
const TWO: Scope = Scope(2);
const IMAGES: u64 = 60;

fn name(text: &str) -> ObjectName {
    ObjectName::new(text.as_bytes()).unwrap()
}

async fn content(store: &SimStore, of: &ObjectName) -> Option<Vec<u8>> {
    let size = store.stat(of).await.ok()?.size;
    let mut data = vec![0; size as usize];
    store.read(of, 0, &mut data).await.unwrap();
    Some(data)
}

/// What is found at the name in many crash images.
async fn after_crashes(store: &SimStore, of: &ObjectName) -> BTreeSet<Option<Vec<u8>>> {
    let mut found = BTreeSet::new();
    for seed in 0..IMAGES {
        let image = store.crash(&mut SimRandom::new(seed));
        found.insert(content(&image, of).await);
    }
    found
}

#[test]
fn store_2_what_was_synced_survives_and_what_was_not_may_not() {
    block_on(async {
        let (store, object) = (SimStore::new(1), name("v/1"));
        store.write(ONE, &object, 0, &[1; 1024]).await.unwrap();
        assert!(after_crashes(&store, &object).await.contains(&None));
        store.sync(TWO).await.unwrap();
        let found = after_crashes(&store, &object).await;
        assert!(found.contains(&None), "another scope's sync");
        store.sync(ONE).await.unwrap();
        let synced = BTreeSet::from([Some(vec![1; 1024])]);
        assert_eq!(after_crashes(&store, &object).await, synced); // STORE-2
        store.write(ONE, &object, 0, &[2; 1024]).await.unwrap();
        let found = after_crashes(&store, &object).await;
        assert_eq!(found.len(), 4, "each sector by itself: {found:?}");
    });
}

#[test]
fn a_sync_of_one_scope_covers_a_name_that_another_made() {
    block_on(async {
        let (store, object) = (SimStore::new(2), name("v/1"));
        store.extend(ONE, &object, 4096, false).await.unwrap();
        store.write(TWO, &object, 512, &[3; 512]).await.unwrap();
        store.sync(TWO).await.unwrap();
        for found in after_crashes(&store, &object).await {
            let found = found.expect("the name is what scope 2 was written under");
            assert_eq!(found[512..1024], [3; 512]);
        }
    });
}

#[test]
fn store_3_what_is_durable_when_answered_is_whole() {
    block_on(async {
        let (store, object) = (SimStore::new(3), name("head/1"));
        store.create_exclusive(&object, b"first").await.unwrap(); // STORE-3
        let first = BTreeSet::from([Some(b"first".to_vec())]);
        assert_eq!(after_crashes(&store, &object).await, first);
        store.write_full(&object, &[7; 3000]).await.unwrap();
        let second = BTreeSet::from([Some(vec![7; 3000])]);
        assert_eq!(after_crashes(&store, &object).await, second);
        let owner = LockOwner {
            node: "n".into(),
            deployment: "d".into(),
        };
        let held = store.lock(&object, &owner, false).await.unwrap();
        let image = store.crash(&mut SimRandom::new(1));
        assert_eq!(image.lock_owner(&object).await, Ok(Some(held)));
    });
}

#[test]
fn a_deletion_comes_undone_until_any_sync() {
    block_on(async {
        let (store, object) = (SimStore::new(4), name("v/1"));
        store.create_exclusive(&object, b"old").await.unwrap();
        store.delete(&object).await.unwrap();
        let either = BTreeSet::from([None, Some(b"old".to_vec())]);
        assert_eq!(after_crashes(&store, &object).await, either);
        store.write(ONE, &object, 0, b"new").await.unwrap();
        let found = after_crashes(&store, &object).await;
        for state in [None, Some(b"old".to_vec()), Some(b"new".to_vec())] {
            assert!(found.contains(&state), "{state:?} in {found:?}");
        }
        store.sync(TWO).await.unwrap();
        let found = after_crashes(&store, &object).await;
        assert!(!found.contains(&Some(b"old".to_vec())), "{found:?}");
        store.delete(&object).await.unwrap();
        store.sync(TWO).await.unwrap();
        let gone = BTreeSet::from([None]);
        assert_eq!(after_crashes(&store, &object).await, gone);
    });
}

#[test]
fn a_copy_is_as_durable_as_its_scope() {
    block_on(async {
        let (store, from, to) = (SimStore::new(5), name("v/1"), name("v/2"));
        store.create_exclusive(&from, &[1; 600]).await.unwrap();
        store.create_exclusive(&to, b"before").await.unwrap();
        store.copy(ONE, &from, &to, 600).await.unwrap();
        let found = after_crashes(&store, &to).await;
        assert!(found.contains(&Some(b"before".to_vec())), "{found:?}");
        store.sync(ONE).await.unwrap();
        let copied = BTreeSet::from([Some(vec![1; 600])]);
        assert_eq!(after_crashes(&store, &to).await, copied);
    });
}

#[test]
fn an_unsynced_punch_may_come_undone_and_a_synced_one_not() {
    block_on(async {
        let (store, object) = (SimStore::new(6), name("v/1"));
        store.create_exclusive(&object, &[1; 1024]).await.unwrap();
        store.punch(ONE, &object, 0, 512).await.unwrap();
        assert_eq!(after_crashes(&store, &object).await.len(), 2);
        store.sync(ONE).await.unwrap();
        let found = after_crashes(&store, &object).await;
        let zeros = [vec![0; 512], vec![1; 512]].concat();
        assert_eq!(found, BTreeSet::from([Some(zeros)]));
        let image = store.crash(&mut SimRandom::new(1));
        assert_eq!(image.data_in(&object, 0..1024).await, Ok(512));
    });
}

#[test]
fn store_1_a_store_survives_the_death_of_its_users() {
    block_on(async {
        let (store, object) = (SimStore::new(7), name("v/1"));
        store.write(ONE, &object, 0, b"answered").await.unwrap();
        store.die_before_call(store.calls().total());
        let dead = Err(StoreError::Io(Errno::SHUTDOWN));
        assert_eq!(store.write(ONE, &object, 0, b"not").await, dead);
        assert_eq!(store.sync(ONE).await, dead);
        assert!(store.is_dead());
        let next = store.survive(); // STORE-1
        let found = content(&next, &object).await;
        assert_eq!(found.as_deref(), Some(&b"answered"[..]));
        assert!(after_crashes(&next, &object).await.contains(&None));
    });
}

#[test]
fn store_5_a_failed_scope_stays_failed_until_it_is_healed() {
    block_on(async {
        let (store, object) = (SimStore::new(8), name("v/1"));
        let broken = StoreError::Io(Errno::IO);
        store.fail_call(1, broken.clone());
        store.write(ONE, &object, 0, b"a").await.unwrap();
        let written = store.write(ONE, &object, 0, b"b").await;
        assert_eq!(written, Err(broken.clone()));
        assert_eq!(content(&store, &object).await.unwrap(), b"a");
        for _ in 0..2 {
            assert_eq!(store.sync(ONE).await, Err(StoreError::Failed)); // STORE-5
        }
        assert_eq!(store.sync(TWO).await, Ok(()));
        store.heal(ONE).await.unwrap();
        assert_eq!(store.sync(ONE).await, Ok(()));
        store.fail_all(CallKind::Sync, Some(broken.clone()));
        assert_eq!(store.sync(ONE).await, Err(broken));
        store.fail_all(CallKind::Sync, None);
        assert_eq!(store.sync(ONE).await, Err(StoreError::Failed));
    });
}

#[test]
fn a_call_whose_answer_is_lost_was_done() {
    block_on(async {
        let (store, object) = (SimStore::new(13), name("v/1"));
        let broken = StoreError::Io(Errno::IO);
        store.lose_answer(0, broken.clone());
        store.lose_answer(2, broken.clone());
        let created = store.create_exclusive(&object, b"x").await;
        assert_eq!(created, Err(broken.clone()));
        let again = store.create_exclusive(&object, b"x").await;
        assert_eq!(again, Err(StoreError::Exists));
        assert_eq!(store.write(ONE, &object, 0, b"y").await, Err(broken));
        assert_eq!(content(&store, &object).await.unwrap(), b"y");
        assert_eq!(store.sync(ONE).await, Err(StoreError::Failed)); // STORE-5
    });
}

#[test]
fn failures_that_spoil_nothing_do_not_latch() {
    block_on(async {
        let (store, object) = (SimStore::new(9), name("v/1"));
        store.set_capacity_bytes(100);
        let full = store.write(ONE, &object, 0, b"x").await;
        assert_eq!(full, Err(StoreError::NoSpace)); // F21
        let missing = store.punch(ONE, &object, 0, 1).await;
        assert_eq!(missing, Err(StoreError::NotFound)); // STORE-4
        assert_eq!(store.sync(ONE).await, Ok(()));
    });
}

#[test]
fn store_6_a_cut_object_reads_short_and_a_deleted_one_takes_no_room() {
    block_on(async {
        let (store, object) = (SimStore::new(10), name("v/1"));
        store.write(ONE, &object, 0, &[1; 2000]).await.unwrap();
        store.cut(&object, 700).unwrap();
        let mut into = [0; 2000];
        assert_eq!(store.read(&object, 0, &mut into).await, Ok(700)); // F28
        store.sync(ONE).await.unwrap();
        let image = store.crash(&mut SimRandom::new(1));
        assert_eq!(image.stat(&object).await.unwrap().size, 700);
        store.set_capacity_bytes(1024);
        let full = store.write(ONE, &name("v/2"), 0, b"x").await;
        assert_eq!(full, Err(StoreError::NoSpace));
        store.delete(&object).await.unwrap();
        let written = store.write(ONE, &name("v/2"), 0, b"x").await;
        assert_eq!(written, Ok(())); // STORE-6
    });
}

#[test]
fn calls_are_counted_by_kind() {
    block_on(async {
        let store = SimStore::new(11);
        for _ in 0..3 {
            store.write(ONE, &name("a"), 0, b"x").await.unwrap();
        }
        store.sync(ONE).await.unwrap();
        let calls = store.calls();
        assert_eq!(calls.of(CallKind::Write), 3);
        assert_eq!(calls.of(CallKind::Read), 0);
        assert_eq!(calls.total(), 4);
    });
}

#[test]
fn an_interleaving_is_decided_by_its_seed() {
    let order_of = |seed| {
        let order = std::cell::RefCell::new(Vec::new());
        let mut tasks = Interleave::new(seed);
        for task in 0..3 {
            let order = &order;
            tasks.add(async move {
                for _ in 0..4 {
                    order.borrow_mut().push(task);
                    yield_now().await;
                }
            });
        }
        tasks.run();
        order.into_inner()
    };
    assert_eq!(order_of(1), order_of(1));
    let orders: BTreeSet<Vec<i32>> = (0..20).map(order_of).collect();
    assert!(orders.len() > 10);
}

#[test]
fn futures_that_wait_for_each_other_are_given_up() {
    let (store, done) = (SimStore::new(12), Cell::new(0));
    let owner = |who: &str| LockOwner {
        node: "n".into(),
        deployment: who.into(),
    };
    let mut tasks = Interleave::new(1);
    for who in ["a", "b"] {
        let (store, done) = (&store, &done);
        tasks.add(async move {
            let taken = store.lock(&name("l"), &owner(who), true).await;
            assert!(taken.is_ok());
            done.set(done.get() + 1);
        });
    }
    let stuck = tasks.run_at_most(10_000).unwrap_err();
    assert_eq!((stuck.unfinished, done.get()), (1, 1));
}
