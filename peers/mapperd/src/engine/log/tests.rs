//! A journal of many segments, and records that are given up.

use std::future::Future;

use archipelago_store::sim::{SimStore, block_on};

use super::*;
use crate::map::Stamp;

fn id() -> VolumeId {
    VolumeId::new([7; 16]).unwrap()
}

/// The first of its volume, behind so many that are only named.
async fn log_behind(segments: usize) -> Log<SimStore> {
    let maps = Rc::new(SimStore::new(1));
    let named = |number: u64| SegmentRef {
        birth: id(),
        token: 1,
        number,
        from: Position::start_of(id(), 1, number, 1 + number),
        to_offset: Some(64),
    };
    let mut all: Vec<SegmentRef> = (0..segments as u64).map(named).collect();
    let number = segments as u64;
    let start = Position::start_of(id(), 1, number, 1 + number);
    all.push(SegmentRef {
        from: start,
        to_offset: None,
        ..named(number)
    });
    Log::make_segment(&*maps, id(), 1, number).await.unwrap();
    let boot = BootId([1; 16]);
    Log::begin(maps, id(), boot, all, start).await.unwrap()
}

fn records(count: u64) -> impl Iterator<Item = Record> {
    let ceiling = |number| Record::Ceiling {
        ceiling: Stamp::from_bits(number),
    };
    (0..count).map(ceiling)
}

async fn synced() -> Result<(), MapError> {
    Ok(())
}

#[test]
fn a_journal_that_cannot_be_folded_ends_before_heads_cannot_name_it() {
    block_on(async {
        let log = log_behind(SEGMENTS_GROWING_MAX - 2).await;
        let mut answer = Ok(());
        for _ in 0..4 {
            // More than a segment holds.
            answer = log.append(records(6000), synced, |_, _| {}).await;
            if answer.is_err() {
                break;
            }
        }
        let full = |answer: &Result<(), MapError>| {
            matches!(
                answer,
                Err(MapError::Store {
                    source: StoreError::NoSpace,
                    ..
                })
            )
        };
        assert!(full(&answer), "{answer:?}");
        assert_eq!(log.segments().len(), SEGMENTS_GROWING_MAX);
        assert!(log.segments().len() < crate::map::SEGMENTS_MAX);
        // A checkpoint ends the last one all the same, and then there is room.
        log.roll(synced, |_| {}).await.unwrap();
        log.forget_before(log.end().sequence - 1);
        log.append(records(10), synced, |_, _| {}).await.unwrap();
    });
}

/// WAL-6
#[test]
fn records_of_a_call_that_was_dropped_while_it_waited_are_withdrawn() {
    let log = block_on(log_behind(0));
    log.maps.set_yields_max(3);
    let applied = RefCell::new(Vec::new());
    let apply = |_, record: &Record| applied.borrow_mut().push(record.clone());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let turn = block_on(log.turn.lock());
    {
        let mut waits = std::pin::pin!(log.append(records(3), synced, apply));
        assert!(waits.as_mut().poll(&mut context).is_pending());
        assert_eq!(log.state.borrow().queue.len(), 3);
    }
    assert!(log.state.borrow().queue.is_empty());
    drop(turn);
    block_on(log.append(records(1), synced, apply)).unwrap();
    assert_eq!(applied.borrow().len(), 1);
}

/// WAL-6
#[test]
fn a_write_that_is_not_waited_for_leaves_a_journal_that_is_not_believed() {
    let log = block_on(log_behind(0));
    log.maps.set_yields_max(50);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    {
        let mut writes = std::pin::pin!(log.append(records(3), synced, |_, _| {}));
        assert!(writes.as_mut().poll(&mut context).is_pending());
    }
    let answer = block_on(log.append(records(1), synced, |_, _| {}));
    assert!(matches!(answer, Err(MapError::Failed { .. })), "{answer:?}");
    assert!(log.has_failed());
}

/// WAL-7
#[test]
fn a_failure_of_another_kind_makes_one_that_passes_stay() {
    block_on(async {
        let late = || Failure {
            is_late: true,
            ..Failure::of("late")
        };
        for failures in [
            [late(), Failure::of("broken")],
            [Failure::of("broken"), late()],
        ] {
            let log = log_behind(1).await;
            let first = failures[0].why.clone();
            failures.into_iter().for_each(|failure| log.latch(failure));
            let failure = log.failure().unwrap();
            assert!(!failure.is_late && failure.why == first);
        }
        let log = log_behind(1).await;
        log.latch(late());
        assert!(log.failure().unwrap().is_late);
    });
}
