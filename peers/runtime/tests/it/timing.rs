//! Timers, timeouts and sleeping for nothing.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use archipelago_runtime::Elapsed;
use rustix::time::{ClockId, clock_gettime};
use xseg::Counter;

use crate::support::each_way;

#[test]
fn timers_fire_in_order_and_never_early() {
    // TIMER-1
    each_way(|handle| async move {
        let fired = Rc::new(RefCell::new(Vec::new()));
        let begun = handle.now_ns();
        let tasks: Vec<_> = [5_u64, 1, 3, 3, 2, 4, 0]
            .into_iter()
            .enumerate()
            .map(|(number, ms)| {
                let (fired, own) = (fired.clone(), handle.clone());
                let at_ns = begun + ms * 1_000_000;
                handle.spawn(async move {
                    own.sleep_until_ns(at_ns).await;
                    assert!(own.now_ns() >= at_ns);
                    fired.borrow_mut().push((ms, number));
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        let expected = [(0, 6), (1, 1), (2, 4), (3, 2), (3, 3), (4, 5), (5, 0)];
        assert_eq!(*fired.borrow(), expected);
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
