//! Locks.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::help::{expect_missing, name, owner, put};
use crate::contract::{LockRecord, Store};
use crate::error::StoreError;
use crate::name::ObjectName;
use crate::sim::join;

async fn lock(store: &impl Store, of: &ObjectName, who: &str) -> LockRecord {
    let taken = store.lock(of, &owner(who), false).await;
    let record = taken.expect("the lock is free");
    assert_eq!(record.owner, owner(who));
    record
}

async fn unlock(store: &impl Store, of: &ObjectName, who: &str) {
    let given = store.unlock(of, &owner(who), false).await;
    assert_eq!(given, Ok(()), "{who} holds the lock");
}

fn expect_refused<T: std::fmt::Debug>(refused: Result<T, StoreError>, holder: &str) {
    match refused {
        Err(StoreError::Locked { owner: named }) => {
            let holder = owner(holder);
            assert!(named.contains(&holder.node), "{named} names the node");
            assert!(named.contains(&holder.deployment), "{named}");
        }
        other => panic!("{holder} holds the lock, and yet {other:?}"),
    }
}

pub(super) async fn a_lock_is_its_owners_again_and_again(store: &impl Store) {
    let volume = name("lock/1");
    assert_eq!(store.lock_owner(&volume).await, Ok(None));
    let record = lock(store, &volume, "one").await;
    assert_eq!(lock(store, &volume, "one").await, record);
    let waiting = store.lock(&volume, &owner("one"), true).await;
    assert_eq!(waiting, Ok(record.clone()));
    assert_eq!(store.lock_owner(&volume).await, Ok(Some(record)));
    unlock(store, &volume, "one").await;
    assert_eq!(store.lock_owner(&volume).await, Ok(None));
}

pub(super) async fn a_lock_is_refused_to_others_by_name(store: &impl Store) {
    let volume = name("lock/1");
    let record = lock(store, &volume, "one").await;
    expect_refused(store.lock(&volume, &owner("two"), false).await, "one");
    expect_refused(store.unlock(&volume, &owner("two"), false).await, "one");
    assert_eq!(store.lock_owner(&volume).await, Ok(Some(record)));
    lock(store, &name("lock/2"), "two").await;
    let mut half = owner("one");
    half.node = owner("two").node;
    expect_refused(store.lock(&volume, &half, false).await, "one");
}

pub(super) async fn what_is_not_held_is_not_given_back(store: &impl Store) {
    let volume = name("lock/1");
    let not_locked = Err(StoreError::NotLocked);
    for force in [false, true] {
        let given = store.unlock(&volume, &owner("one"), force).await;
        assert_eq!(given, not_locked);
    }
    lock(store, &volume, "one").await;
    unlock(store, &volume, "one").await;
    for force in [false, true] {
        let given = store.unlock(&volume, &owner("one"), force).await;
        assert_eq!(given, not_locked);
    }
}

pub(super) async fn a_broken_lock_has_a_greater_token_next(store: &impl Store) {
    let volume = name("lock/1");
    let first = lock(store, &volume, "one").await;
    assert_eq!(store.unlock(&volume, &owner("two"), true).await, Ok(()));
    assert_eq!(store.lock_owner(&volume).await, Ok(None));
    let second = lock(store, &volume, "two").await;
    assert!(second.token > first.token, "{first:?} {second:?}");
    expect_refused(store.lock(&volume, &owner("one"), false).await, "two");
    expect_refused(store.unlock(&volume, &owner("one"), false).await, "two");
    // Who comes later is told as well, also the one from whom it was taken.
    unlock(store, &volume, "two").await;
    let third = lock(store, &volume, "one").await;
    assert_eq!(first.broken, 0);
    for later in [second, third] {
        assert!([0, first.token].contains(&later.broken), "{later:?}");
    }
}

pub(super) async fn tokens_grow_at_every_change_of_owner(store: &impl Store) {
    let volume = name("lock/1");
    let mut last = 0;
    for turn in 0..12 {
        let who = if turn % 3 == 0 { "one" } else { "two" };
        let record = lock(store, &volume, who).await;
        assert!(record.token > last, "turn {turn}: {record:?} after {last}");
        last = record.token;
        let breaker = owner("three");
        if turn % 2 == 0 {
            unlock(store, &volume, who).await;
        } else {
            assert_eq!(store.unlock(&volume, &breaker, true).await, Ok(()));
        }
    }
}

pub(super) async fn a_waiter_gets_the_lock_when_it_is_given_back(store: &impl Store) {
    let volume = name("lock/1");
    let first = lock(store, &volume, "one").await;
    let is_given = Cell::new(false);
    let waiting = async {
        let taken = store.lock(&volume, &owner("two"), true).await;
        assert!(is_given.get(), "taken while another held it");
        taken.expect("it was given back")
    };
    let giving = async {
        for _ in 0..20 {
            put(store, &name("v/1/a"), b"something else goes on").await;
        }
        is_given.set(true);
        unlock(store, &volume, "one").await;
    };
    let (second, ()) = join(waiting, giving).await;
    assert!(second.token > first.token);
    assert_eq!(store.lock_owner(&volume).await, Ok(Some(second)));
}

pub(super) async fn a_waiter_that_gives_up_leaves_no_trace(store: &impl Store) {
    let (volume, object) = (name("lock/1"), name("v/1/a"));
    lock(store, &volume, "one").await;
    {
        let two = owner("two");
        let mut waiting = pin!(store.lock(&volume, &two, true));
        let mut working = pin!(async {
            for _ in 0..10 {
                put(store, &object, b"something else goes on").await;
            }
        });
        poll_fn(|context| {
            assert!(waiting.as_mut().poll(context).is_pending());
            working.as_mut().poll(context)
        })
        .await;
    }
    unlock(store, &volume, "one").await;
    put(store, &object, b"and on").await;
    lock(store, &volume, "three").await;
    unlock(store, &volume, "three").await;
    assert_eq!(store.lock_owner(&volume).await, Ok(None));
}

pub(super) async fn of_many_who_want_a_lock_each_has_it_once(store: &impl Store) {
    let volume = name("lock/many");
    let (is_held, tokens) = (Cell::new(false), RefCell::new(Vec::new()));
    let take = async |who: &'static str| {
        let taken = store.lock(&volume, &owner(who), true).await;
        let record = taken.expect("it is given back by each");
        assert!(!is_held.replace(true), "two hold the lock");
        tokens.borrow_mut().push(record.token);
        put(store, &name("v/1/a"), who.as_bytes()).await;
        is_held.set(false);
        unlock(store, &volume, who).await;
    };
    join(
        join(take("one"), take("two")),
        join(take("three"), take("four")),
    )
    .await;
    let tokens = tokens.into_inner();
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
    assert_eq!(tokens.len(), 4);
}

pub(super) async fn a_forgotten_lock_is_free(store: &impl Store) {
    let (volume, one) = (name("lock/1"), owner("one"));
    assert_eq!(
        store.forget_lock(&volume, &one).await,
        Ok(()),
        "never taken"
    );
    for is_given_back in [false, true] {
        lock(store, &volume, "two").await;
        unlock(store, &volume, "two").await;
        lock(store, &volume, "one").await;
        if is_given_back {
            unlock(store, &volume, "one").await;
        }
        for _ in 0..2 {
            assert_eq!(store.forget_lock(&volume, &one).await, Ok(()));
            assert_eq!(store.lock_owner(&volume).await, Ok(None));
            let given = store.unlock(&volume, &one, true).await;
            assert_eq!(given, Err(StoreError::NotLocked));
        }
    }
    lock(store, &volume, "two").await;
    expect_refused(store.lock(&volume, &one, false).await, "two");
}

pub(super) async fn a_lock_is_forgotten_by_its_owner_alone(store: &impl Store) {
    let volume = name("lock/1");
    let record = lock(store, &volume, "one").await;
    expect_refused(store.forget_lock(&volume, &owner("two")).await, "one");
    assert_eq!(store.lock_owner(&volume).await, Ok(Some(record)));
    unlock(store, &volume, "one").await;
}

pub(super) async fn of_many_who_take_and_forget_a_lock_each_has_it_alone(store: &impl Store) {
    let volume = name("lock/many");
    let is_held = Cell::new(false);
    let take = async |who: &'static str| {
        for turn in 0..6 {
            let taken = store.lock(&volume, &owner(who), true).await;
            assert_eq!(taken.map(|record| record.owner), Ok(owner(who)));
            assert!(!is_held.replace(true), "two hold the lock");
            put(store, &name("v/1/a"), who.as_bytes()).await;
            is_held.set(false);
            if turn % 3 == 2 {
                unlock(store, &volume, who).await;
            } else {
                let forgotten = store.forget_lock(&volume, &owner(who)).await;
                assert_eq!(forgotten, Ok(()), "{who} holds the lock");
            }
        }
    };
    join(
        join(take("one"), take("two")),
        join(take("three"), take("four")),
    )
    .await;
    assert_eq!(store.lock_owner(&volume).await, Ok(None));
}

pub(super) async fn locks_and_objects_of_one_name_are_two_things(store: &impl Store) {
    let both = name("lock/1");
    lock(store, &both, "one").await;
    expect_missing(store, &both).await;
    let listed = store.list(b"lock", None, 10).await;
    assert_eq!(listed.map(|listing| listing.names), Ok(Vec::new()));
    put(store, &both, b"an object").await;
    assert_eq!(store.delete(&both).await, Ok(()));
    expect_refused(store.lock(&both, &owner("two"), false).await, "one");
    for odd in ["..", "/", "a/../b", "\n", "%2F", &"x".repeat(255)] {
        lock(store, &name(odd), "two").await;
        expect_refused(store.lock(&name(odd), &owner("one"), false).await, "two");
    }
    // A waiter polled to its first sleep and dropped at once.
    poll_fn(|context| {
        let one = owner("three");
        let waiting = pin!(store.lock(&both, &one, true));
        assert!(waiting.poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}
