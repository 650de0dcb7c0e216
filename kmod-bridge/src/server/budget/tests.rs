//! The budget by itself, and against histories that are made up.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;

fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// One who asked and waits.
fn begin(account: &Rc<Account>, bytes: usize) -> Pin<Box<dyn Future<Output = Share>>> {
    let account = account.clone();
    let mut asking: Pin<Box<dyn Future<Output = Share>>> =
        Box::pin(async move { account.acquire(bytes).await });
    assert!(now(asking.as_mut()).is_none(), "it has to wait");
    asking
}

fn take(account: &Rc<Account>, bytes: usize) -> Share {
    now(account.acquire(bytes)).expect("there is room")
}

#[test]
fn the_part_of_a_connection_is_free_for_it_whatever_others_have() {
    // BUDGET-2
    let budget = Budget::new(160, 8);
    let greedy: Vec<_> = (0..7).map(|_| budget.open()).collect();
    let mut held: Vec<_> = greedy.iter().map(|one| take(one, 10)).collect();
    held.extend(greedy.iter().map(|one| take(one, 11)));
    let waits: Vec<_> = greedy.iter().map(|one| begin(one, 80)).collect();
    let good = budget.open();
    for _ in 0..3 {
        let both = (take(&good, 4), take(&good, 6));
        let beyond = begin(&good, 4);
        drop((both, beyond));
    }
    drop(waits);
}

#[test]
fn who_has_nothing_of_the_pool_is_served_in_turn_and_before_those_who_have_some() {
    // BUDGET-3
    let budget = Budget::new(200, 1);
    let [one, two, three] = [0; 3].map(|_| {
        let account = budget.open();
        // Only the first has a part of its own, which is in use.
        let own = now(account.acquire(account.own_bytes_max)).unwrap();
        (account, own)
    });
    let _kept = take(&one.0, 5);
    let first = take(&one.0, 40);
    let mut more = begin(&one.0, 40);
    let mut large = begin(&two.0, 80);
    let mut small = begin(&three.0, 10);
    drop(first);
    let large_share = now(large.as_mut()).expect("it came first of those who had nothing");
    assert!(now(more.as_mut()).is_none());
    let small_share = now(small.as_mut()).expect("there is room beside it");
    assert!(now(more.as_mut()).is_none());
    drop(large_share);
    now(more.as_mut()).expect("nobody else waits");
    drop(small_share);
}

#[test]
fn a_greedy_connection_leaves_as_much_as_it_has() {
    // BUDGET-4
    let budget = Budget::new(200, 1);
    let _takes_the_part = budget.open();
    let greedy = budget.open();
    let mut held = Vec::new();
    while let Some(share) = now(greedy.acquire(10)) {
        held.push(share);
    }
    assert_eq!(budget.free.get(), 50);
    let other = budget.open();
    let share = take(&other, 50);
    drop((held, share));
    assert_eq!(budget.free.get(), 100);
    // What was asked for and not waited for is nobody's.
    drop(take(&greedy, 100));
}

#[test]
fn who_gives_up_waiting_is_in_nobodys_way() {
    // BUDGET-3
    let budget = Budget::new(20, 1);
    let _takes_the_part = budget.open();
    let [one, two, three] = [0; 3].map(|_| budget.open());
    let held = take(&one, 10);
    let given_up = begin(&two, 10);
    let mut waits = begin(&three, 10);
    drop(given_up);
    drop(held);
    let share = now(waits.as_mut()).expect("it is the first now");
    let given_late = begin(&one, 10);
    drop(share); // granted, and not looked at
    drop(given_late);
    drop(take(&two, 10));
}

#[derive(Clone, Debug)]
enum Act {
    Ask { who: usize, bytes: usize },
    Finish { which: usize },
    GiveUp { which: usize },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..6_usize, 0..70_usize).prop_map(|(who, bytes)| Act::Ask { who, bytes }),
        3 => (0..64_usize).prop_map(|which| Act::Finish { which }),
        1 => (0..64_usize).prop_map(|which| Act::GiveUp { which }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_gives_away_too_much_or_leaves_anybody_waiting(acts in prop::collection::vec(act(), 1..80)) {
        // BUDGET-1, BUDGET-3
        const BYTES_MAX: usize = 120;
        let budget = Budget::new(BYTES_MAX, 4);
        let accounts: Vec<_> = (0..6).map(|_| budget.open()).collect();
        let mut held: Vec<Share> = Vec::new();
        let mut waits: Vec<Pin<Box<dyn Future<Output = Share>>>> = Vec::new();
        for act in acts {
            match act {
                Act::Ask { who, bytes } => {
                    let account = accounts[who].clone();
                    waits.push(Box::pin(async move { account.acquire(bytes).await }));
                }
                Act::Finish { which } if !held.is_empty() => {
                    held.remove(which % held.len());
                }
                Act::GiveUp { which } if !waits.is_empty() => {
                    drop(waits.remove(which % waits.len()));
                }
                _ => {}
            }
            waits.retain_mut(|wait| match now(wait.as_mut()) {
                Some(share) => {
                    held.push(share);
                    false
                }
                None => true,
            });
            prop_assert!(held.iter().map(|share| share.bytes).sum::<usize>() <= BYTES_MAX);
        }
        // Whatever was asked for is given when what was given before is done with.
        while !(held.is_empty() && waits.is_empty()) {
            prop_assert!(!held.is_empty(), "{} wait for nothing", waits.len());
            held.remove(0);
            waits.retain_mut(|wait| match now(wait.as_mut()) {
                Some(share) => {
                    held.push(share);
                    false
                }
                None => true,
            });
        }
        prop_assert_eq!(budget.free.get(), budget.pool_bytes);
        prop_assert!(accounts.iter().all(|one| one.own.get() + one.pooled.get() == 0));
    }
}
