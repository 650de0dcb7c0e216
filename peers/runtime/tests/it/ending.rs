//! The end: what was begun is over, what was held is given back.

use std::cell::Cell;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use archipelago_runtime::{Handle, Memory, ReactorOptions};
use xseg::{BindOptions, WaitMethod};

use crate::support::{client, reactor, reactor_with, run, segment, ways};

#[test]
fn at_the_end_tasks_are_dropped_and_ports_can_be_bound_again() {
    for way in ways() {
        let segment = segment();
        let dropped = Rc::new(Cell::new(0));
        struct Counts(Rc<Cell<u32>>);
        impl Drop for Counts {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        for _ in 0..3 {
            let dropped = dropped.clone();
            run(reactor(&segment, 0, way), |handle| async move {
                client(&handle, handle.station().segment());
                for _ in 0..10 {
                    let counts = Counts(dropped.clone());
                    let sleep = handle.sleep(Duration::from_secs(100));
                    drop(handle.spawn(async move {
                        let _counts = counts;
                        sleep.await;
                    }));
                }
                handle.yield_now().await;
            });
        }
        assert_eq!(dropped.get(), 30);
        segment.bind(0, &BindOptions::default()).unwrap();
    }
}

#[test]
fn at_the_end_what_waits_for_ever_is_cancelled_before_its_memory_goes() {
    // TURN-3
    for way in ways() {
        let segment = segment();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let ours: Rc<OwnedFd> = Rc::new(ours.into());
        let socket = ours.clone();
        let begun = Instant::now();
        run(reactor(&segment, 0, way), |handle| async move {
            for _ in 0..20 {
                let (own, socket) = (handle.clone(), socket.clone());
                let buffer = handle.station().buffer(4096).await.unwrap();
                drop(handle.spawn(async move { own.recv(&socket, Memory::from(buffer)).await.0 }));
            }
            handle.sleep(Duration::from_millis(2)).await;
        });
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(Rc::strong_count(&ours), 1);
        theirs.write_all(b"to nobody").unwrap();
        let port = segment.bind(0, &BindOptions::default()).unwrap();
        let buffers: Vec<_> = (0..64).map_while(|_| port.buffer(4096).ok()).collect();
        assert_eq!(buffers.len(), 64);
    }
}

#[test]
fn the_end_waits_for_blocking_work_that_was_begun_and_drops_what_was_not() {
    // POOL-2
    for way in ways() {
        let options = ReactorOptions::default().wait_method(way).threads_max(1);
        let (begun, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(0)),
        );
        let (theirs, total) = (begun.clone(), done.clone());
        run(reactor_with(&segment(), 0, &options), |handle| async move {
            for _ in 0..5 {
                let (begun, done) = (begun.clone(), done.clone());
                drop(handle.spawn(handle.blocking(move || {
                    begun.store(true, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                    done.fetch_add(1, Ordering::SeqCst);
                })));
            }
            while !begun.load(Ordering::SeqCst) {
                handle.sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(theirs.load(Ordering::SeqCst));
        assert_eq!(total.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn file_operations_that_no_thread_has_begun_are_completed_at_the_end() {
    // POOL-3
    let options = ReactorOptions::default()
        .wait_method(WaitMethod::Futex)
        .threads_max(1);
    let file: Rc<OwnedFd> = Rc::new(tempfile::tempfile().unwrap().into());
    let own = file.clone();
    run(reactor_with(&segment(), 0, &options), |handle| async move {
        for number in 0..200 {
            let (own, file) = (handle.clone(), own.clone());
            let bytes = vec![1; 64 << 10];
            drop(handle.spawn(async move { own.write_at(&file, number, bytes.into()).await.0 }));
        }
        handle.yield_now().await; // all are handed over, and the one thread has begun a few at the most
    });
    assert_eq!(Rc::strong_count(&file), 1);
}

#[test]
fn a_handle_that_outlives_its_reactor_does_nothing_and_harms_nobody() {
    let mut kept: Option<Handle> = None;
    run(reactor(&segment(), 0, WaitMethod::Auto), |handle| {
        kept = Some(handle);
        async {}
    });
    let handle = kept.unwrap();
    drop(handle.spawn(async { panic!("never polled") }));
    drop(handle.sleep(Duration::from_secs(1)));
    assert_eq!(handle.tasks(), 0);
    let port = segment().bind(0, &BindOptions::default()).unwrap();
    assert!(handle.add_port(port).is_err());
}

#[test]
fn peers_hear_that_their_segment_was_destroyed() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    for way in ways() {
        let place = xseg::Place::within(directory.path(), "s").unwrap();
        let geometry = xseg::Geometry::new(4, 2, 16).unwrap();
        let segment = xseg::CreateOptions::new(geometry).create(&place).unwrap();
        let destroyer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(10));
            xseg::Segment::destroy(&place, &xseg::JoinOptions::new(), true).unwrap();
        });
        run(reactor(&segment, 0, way), |handle| async move {
            handle.destroyed().await;
        });
        destroyer.join().unwrap();
    }
}
