//! Tasks: spawned, awaited, woken from anywhere.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use archipelago_runtime::Handle;

use crate::support::each_way;

#[test]
fn ten_thousand_tasks_spawned_by_tasks_all_run_and_leave_no_place_taken() {
    each_way(|handle| async move {
        let sum = Rc::new(Cell::new(0_u64));
        let spawners: Vec<_> = (0..100)
            .map(|_| {
                let (own, sum) = (handle.clone(), sum.clone());
                handle.spawn(async move {
                    let tasks: Vec<_> = (0..100)
                        .map(|number| {
                            let (handle, sum) = (own.clone(), sum.clone());
                            own.spawn(async move {
                                handle.yield_now().await;
                                sum.set(sum.get() + number);
                                number
                            })
                        })
                        .collect();
                    let mut total = 0;
                    for task in tasks {
                        total += task.await;
                    }
                    total
                })
            })
            .collect();
        for spawner in spawners {
            assert_eq!(spawner.await, 4950);
        }
        assert_eq!(sum.get(), 495_000);
        assert_eq!(handle.tasks(), 0);
    });
}

#[test]
fn a_dropped_join_handle_leaves_its_task_running_and_an_aborted_task_drops_its_future() {
    each_way(|handle| async move {
        let done = Rc::new(Cell::new(false));
        let theirs = done.clone();
        let own = handle.clone();
        drop(handle.spawn(async move {
            own.yield_now().await;
            theirs.set(true);
        }));
        let kept = Rc::new(());
        let held = kept.clone();
        let stuck = handle.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        handle.sleep(Duration::from_millis(1)).await;
        assert!(done.get());
        assert_eq!(Rc::strong_count(&kept), 2);
        stuck.abort();
        handle.sleep(Duration::from_millis(1)).await;
        assert_eq!(Rc::strong_count(&kept), 1);
    });
}

#[test]
fn a_task_that_is_woken_while_it_runs_is_polled_once_more() {
    // TASK-2
    each_way(|handle| async move {
        let mut polls = 0;
        let wakes = handle.spawn(poll_fn(move |context| {
            polls += 1;
            if polls < 10 {
                context.waker().wake_by_ref();
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(polls)
        }));
        assert_eq!(wakes.await, 10);
    });
}

#[test]
fn a_waker_outlives_its_task_and_wakes_at_worst_the_next_one_in_its_place() {
    // TASK-1
    each_way(|handle| async move {
        let kept: Waker = handle
            .spawn(poll_fn(|context| Poll::Ready(context.waker().clone())))
            .await;
        kept.wake_by_ref();
        handle.yield_now().await;
        let polls = Rc::new(Cell::new(0));
        let theirs = polls.clone();
        drop(handle.spawn(poll_fn(move |_| {
            theirs.set(theirs.get() + 1);
            Poll::<()>::Pending
        })));
        handle.yield_now().await;
        let before = polls.get();
        kept.wake_by_ref();
        handle.yield_now().await;
        handle.yield_now().await;
        assert!(polls.get() <= before + 1);
        std::thread::spawn(move || kept.wake()).join().unwrap();
    });
}

#[test]
fn a_wake_up_from_another_thread_reaches_a_sleeping_reactor_each_time() {
    // REMOTE-1, REMOTE-2
    each_way(|_handle| async move {
        let (to_thread, wakers) =
            std::sync::mpsc::channel::<(Waker, std::sync::mpsc::Sender<()>)>();
        let thread = std::thread::spawn(move || {
            for (number, (waker, done)) in wakers.into_iter().enumerate() {
                if number % 3 == 0 {
                    std::thread::sleep(Duration::from_micros(200)); // it sleeps by then
                }
                done.send(()).unwrap();
                waker.wake();
            }
        });
        for _ in 0..300 {
            let (done, is_done) = std::sync::mpsc::channel();
            let mut done = Some(done);
            poll_fn(|context| {
                if let Some(done) = done.take() {
                    to_thread.send((context.waker().clone(), done)).unwrap();
                    return Poll::Pending;
                }
                match is_done.try_recv() {
                    Ok(()) => Poll::Ready(()),
                    Err(_) => Poll::Pending,
                }
            })
            .await;
        }
        drop(to_thread);
        thread.join().unwrap();
    });
}

#[test]
fn futures_are_dropped_while_nothing_is_borrowed() {
    // TASK-3: what they do in their drops is whatever tasks do.
    struct Busy(Handle);
    impl Drop for Busy {
        fn drop(&mut self) {
            let handle = self.0.clone();
            drop(self.0.spawn(async move { handle.yield_now().await }));
            drop(self.0.sleep(Duration::from_secs(1)));
            let _ = self.0.tasks();
        }
    }
    each_way(|handle| async move {
        for _ in 0..3 {
            let busy = Busy(handle.clone());
            handle.spawn(async move { drop(busy) }).await;
            let busy = Busy(handle.clone());
            drop(handle.spawn(async move {
                let _busy = busy;
                std::future::pending::<()>().await;
            }));
        }
        handle.yield_now().await;
    });
}

#[test]
fn a_task_that_never_rests_keeps_nobody_from_timers_and_sockets() {
    each_way(|handle| async move {
        let own = handle.clone();
        drop(handle.spawn(async move {
            loop {
                own.yield_now().await;
            }
        }));
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let ours = Rc::new(std::os::fd::OwnedFd::from(ours));
        let own = handle.clone();
        let receiving = handle.spawn(async move { own.recv(&ours, vec![0; 1].into()).await.0 });
        handle.sleep(Duration::from_millis(2)).await;
        std::io::Write::write_all(&mut theirs, b"x").unwrap();
        assert_eq!(receiving.await, Ok(1));
        assert_eq!(handle.blocking(|| 7).await, 7);
    });
}
