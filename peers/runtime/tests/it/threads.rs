//! Calls that block, on threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use archipelago_runtime::ReactorOptions;

use crate::support::{each_way, reactor_with, run, segment, ways};

#[test]
fn blocking_calls_run_beside_the_reactor_and_return_their_results() {
    each_way(|handle| async move {
        let calls: Vec<_> = (0..20_u64)
            .map(|number| {
                let call = handle.blocking(move || {
                    std::thread::sleep(Duration::from_millis(1));
                    number * 2
                });
                handle.spawn(call)
            })
            .collect();
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await, number as u64 * 2);
        }
    });
}

#[test]
fn no_more_threads_work_at_a_time_than_may() {
    // POOL-1
    for way in ways() {
        let options = ReactorOptions::default().wait_method(way).threads_max(3);
        run(reactor_with(&segment(), 0, &options), |handle| async move {
            let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
            let calls: Vec<_> = (0..30)
                .map(|_| {
                    let (running, most) = (running.clone(), most.clone());
                    handle.spawn(handle.blocking(move || {
                        most.fetch_max(
                            running.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        std::thread::sleep(Duration::from_millis(1));
                        running.fetch_sub(1, Ordering::SeqCst);
                    }))
                })
                .collect();
            for call in calls {
                call.await;
            }
            assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
        });
    }
}

#[test]
fn idle_threads_end() {
    // POOL-1
    let options = ReactorOptions::default().thread_idle(Duration::from_millis(5));
    run(reactor_with(&segment(), 0, &options), |handle| async move {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().flatten();
        // Asked by the thread itself: it may have ended by the time that its answer is here.
        let id_and_name = || {
            let name = std::fs::read_to_string("/proc/thread-self/comm");
            let id = rustix::thread::gettid().as_raw_nonzero().to_string();
            (id, name.unwrap())
        };
        let (id, name) = handle.blocking(id_and_name).await;
        assert_eq!(name.trim(), "blocking");
        while threads().any(|thread| thread.file_name().to_str() == Some(&id)) {
            handle.sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
#[should_panic(expected = "as if called here")]
fn a_panic_of_a_blocking_call_is_the_callers() {
    run(
        reactor_with(&segment(), 0, &ReactorOptions::default()),
        |handle| async move { handle.blocking(|| panic!("as if called here")).await },
    );
}
