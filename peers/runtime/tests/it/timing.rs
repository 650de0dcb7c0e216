//! Timers, timeouts and sleeping for nothing.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use archipelago_runtime::{Elapsed, Handle};
use rustix::time::{ClockId, clock_gettime};
use xseg::Counter;

use crate::support::each_way;

/// Begins timers that are due so many steps after `begun`, and tells in which order they fired, by their places. Nothing,
/// when one of them was due before all were begun: that one did not have to wait for a timer.
async fn order_of(handle: &Handle, steps: &[u64], step_ns: u64) -> Option<Vec<usize>> {
    let fired = Rc::new(RefCell::new(Vec::new()));
    let are_begun_in_time = Rc::new(Cell::new(true));
    let begun = handle.now_ns();
    let tasks: Vec<_> = steps
        .iter()
        .enumerate()
        .map(|(place, step)| {
            let (fired, own, in_time) = (fired.clone(), handle.clone(), are_begun_in_time.clone());
            let at_ns = begun + (1 + step) * step_ns;
            handle.spawn(async move {
                let mut sleep = pin!(own.sleep_until_ns(at_ns));
                let first = poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context))).await;
                if own.now_ns() >= begun + step_ns {
                    in_time.set(false);
                }
                if first.is_pending() {
                    sleep.await;
                }
                assert!(own.now_ns() >= at_ns);
                fired.borrow_mut().push(place);
            })
        })
        .collect();
    for task in tasks {
        task.await;
    }
    are_begun_in_time.get().then(|| fired.take())
}

#[test]
fn timers_fire_in_order_and_never_early() {
    // TIMER-1
    each_way(|handle| async move {
        let mut step_ns = 1_000_000;
        let order = loop {
            match order_of(&handle, &[5, 1, 3, 3, 2, 4, 0], step_ns).await {
                Some(order) => break order,
                None => step_ns *= 2, // the machine is that busy
            }
        };
        assert_eq!(order, [6, 1, 4, 2, 3, 5, 0]);
    });
}

#[test]
fn a_timeout_gives_up_what_takes_too_long_and_nothing_else() {
    each_way(|handle| async move {
        let ms = Duration::from_millis;
        let slow = handle.timeout(ms(2), handle.sleep(ms(5000)));
        assert_eq!(slow.await, Err(Elapsed));
        let quick = handle.timeout(ms(5000), handle.sleep(ms(2)));
        assert_eq!(quick.await, Ok(()));
        let done = handle.timeout(Duration::ZERO, async { 7 });
        assert_eq!(done.await, Ok(7));
        let never = handle.timeout(Duration::MAX, handle.yield_now());
        assert_eq!(never.await, Ok(()));
    });
}

#[test]
fn a_reactor_with_nothing_to_do_sleeps_until_its_next_timer() {
    // TURN-2, W5
    each_way(|handle| async move {
        let station = handle.station();
        let sleeps = || {
            let report = station.segment().report_port(0).unwrap();
            report.stats.get(Counter::Sleeps)
        };
        drop(handle.spawn(std::future::pending::<()>()));
        let spent = || clock_gettime(ClockId::ThreadCPUTime);
        let (before, begun, spent_before) = (sleeps(), Instant::now(), spent());
        handle.sleep(Duration::from_millis(300)).await;
        assert!(begun.elapsed() >= Duration::from_millis(300));
        assert!(sleeps() - before <= 3, "{} sleeps", sleeps() - before);
        let spent_ms = (spent().tv_sec - spent_before.tv_sec) * 1000
            + (spent().tv_nsec - spent_before.tv_nsec) / 1_000_000;
        assert!(spent_ms < 100, "{spent_ms} ms of the processor");
    });
}
