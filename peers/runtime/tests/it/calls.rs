//! Calls: answered, expired, given up, refused, and waiting for what is taken.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use archipelago_runtime::{CallError, Reactor, ReactorOptions};
use xseg::{Counter, CreateOptions, Errno, Geometry, OpCode, PortId, RequestError, WaitMethod};

use crate::support::{
    AT_ONCE, Echo, HELD, ask, client, each_way, reactor, run, segment, segment_with, ways,
};

const SERVER: PortId = PortId::new(1).unwrap();

#[test]
fn two_reactors_in_two_threads_call_each_other() {
    for way in ways() {
        let segment = segment();
        let theirs = segment.clone();
        let (ready, is_ready) = mpsc::channel();
        let server = std::thread::spawn(move || {
            run(reactor(&theirs, 1, way), |handle| async move {
                let peer = Rc::new(Echo::default());
                let service = handle.serve(&handle.station(), 4, peer.clone());
                ready.send(()).unwrap();
                while peer.handled.get() < 3200 {
                    handle.sleep(Duration::from_millis(1)).await;
                }
                service.drain().await;
                peer.most.get()
            })
        });
        is_ready.recv().unwrap();
        run(reactor(&segment, 0, way), |handle| async move {
            let station = handle.station();
            let callers: Vec<_> = (0..32)
                .map(|caller| {
                    let station = station.clone();
                    handle.spawn(async move {
                        for round in 0..100 {
                            let mut draft = station.draft(AT_ONCE).await.unwrap();
                            draft.set_extent(0, caller * 100 + round);
                            let reply = station.call(draft, SERVER).await.unwrap();
                            assert_eq!(reply.result(), Ok(caller * 100 + round));
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.await;
            }
        });
        assert!((1..=4).contains(&server.join().unwrap()));
    }
}

#[test]
fn ports_of_one_reactor_call_each_other_without_a_wake_up() {
    let segment = segment();
    run(reactor(&segment, 1, WaitMethod::Auto), |handle| {
        let segment = segment.clone();
        async move {
            let (server, client) = (handle.station(), client(&handle, &segment));
            let _service = handle.serve(&server, 4, Rc::new(Echo::default()));
            for length in 0..100 {
                assert_eq!(ask(&client, AT_ONCE, &server, length).await, length);
            }
            let stats = segment.stats(); // W3
            let rings = stats.iter().map(|(_, stats)| stats.get(Counter::Rings));
            assert_eq!(rings.sum::<u64>(), 0);
        }
    });
}

#[test]
fn what_is_sent_in_one_turn_rings_once() {
    // TURN-1
    let segment = segment();
    let server = segment.bind(1, &xseg::BindOptions::default()).unwrap();
    let sleeper = std::thread::scope(|scope| {
        let ours = segment.clone();
        let caller = scope.spawn(move || {
            run(reactor(&ours, 0, WaitMethod::Auto), |handle| async move {
                let station = handle.station();
                handle.sleep(Duration::from_millis(50)).await; // the server sleeps by now
                let sent: Vec<_> = (0..100)
                    .map(|_| {
                        let draft = station.try_draft(AT_ONCE).unwrap();
                        station.begin_call(draft, SERVER).unwrap()
                    })
                    .collect();
                for call in sent {
                    assert_eq!(call.await.unwrap().result(), Ok(7));
                }
            });
        });
        let mut waiter = xseg::Waiter::new(&server, &xseg::WaiterOptions::default()).unwrap();
        let mut answered = 0;
        while answered < 100 {
            assert!(
                waiter
                    .wait(&[&server], Some(crate::support::LIMIT), |_| {})
                    .unwrap()
            );
            std::thread::sleep(Duration::from_millis(20)); // still asleep as far as the sender knows
            while let Some(event) = server.poll() {
                if let xseg::Event::Request(request) = event {
                    request.answer(7);
                    answered += 1;
                }
            }
        }
        caller
            .join()
            .map(|()| segment.report_port(0).unwrap().stats.get(Counter::Rings))
    });
    assert_eq!(sleeper.unwrap(), 1);
}

#[test]
fn a_call_whose_time_is_over_expires_and_its_late_answer_reaches_nobody() {
    // CALL-1, CALL-3
    each_way(|handle| async move {
        let segment = handle.station().segment().clone();
        let (server, client) = (handle.station(), client(&handle, &segment));
        let peer = Rc::new(Echo::default());
        let _service = handle.serve(&server, 8, peer.clone());
        let mut draft = client.draft(HELD).await.unwrap();
        draft.set_extent(0, 666);
        draft.set_deadline_ns(handle.after_ns(Duration::from_millis(20)));
        let error = client.call(draft, server.id()).await.unwrap_err();
        assert_eq!(error, CallError::Expired { to: server.id() });
        assert_eq!(error.errno(), Errno::TIMEDOUT);
        // The next call uses the same place while the late answer comes.
        let mut draft = client.draft(AT_ONCE).await.unwrap();
        draft.set_extent(0, 1);
        let next = client.begin_call(draft, server.id()).unwrap();
        peer.let_go.notify_one();
        assert_eq!(next.await.unwrap().result(), Ok(1));
        while peer.handled.get() < 2 {
            handle.yield_now().await;
        }
        assert_eq!(ask(&client, AT_ONCE, &server, 2).await, 2);
    });
}

#[test]
fn the_record_of_a_dropped_call_comes_back_with_its_answer_and_not_before() {
    // CALL-3
    let segment = segment_with(4, 4);
    run(reactor(&segment, 1, WaitMethod::Auto), |handle| {
        let segment = segment.clone();
        async move {
            let (server, client) = (handle.station(), client(&handle, &segment));
            let peer = Rc::new(Echo::default());
            let _service = handle.serve(&server, 8, peer.clone());
            for _ in 0..2 {
                let draft = client.draft(HELD).await.unwrap();
                let call = client.call(draft, server.id());
                let timeout = handle.timeout(Duration::from_millis(5), call).await;
                assert!(timeout.is_err());
            }
            let report = segment.report_port(client.id().get()).unwrap();
            assert_eq!(report.stats.get(Counter::Abandoned), 2);
            // The port may own half of the four: both are away.
            let refused = client.try_draft(AT_ONCE).unwrap_err();
            assert!(
                matches!(refused, RequestError::PortLimit { .. }),
                "{refused}"
            );
            peer.let_go.notify_one();
            peer.let_go.notify_one();
            assert_eq!(ask(&client, AT_ONCE, &server, 9).await, 9);
        }
    });
}

#[test]
fn who_waits_for_a_record_is_served_in_the_order_of_asking() {
    // CALL-2
    let segment = segment_with(4, 4);
    run(reactor(&segment, 1, WaitMethod::Auto), |handle| {
        let segment = segment.clone();
        async move {
            let (server, client) = (handle.station(), client(&handle, &segment));
            let peer = Rc::new(Echo::default());
            let _service = handle.serve(&server, 8, peer.clone());
            let callers: Vec<_> = (0..100)
                .map(|length| {
                    let (server, client) = (server.clone(), client.clone());
                    handle.spawn(async move { ask(&client, AT_ONCE, &server, length).await })
                })
                .collect();
            for (length, caller) in callers.into_iter().enumerate() {
                assert_eq!(caller.await, length as u64);
            }
            assert!(peer.lengths.borrow().iter().copied().eq(0..100));
        }
    });
}

#[test]
fn who_waits_for_a_buffer_gets_it_when_another_is_dropped() {
    let segment = segment_with(16, 2);
    run(
        reactor(&segment, 1, WaitMethod::Auto),
        |handle| async move {
            let station = handle.station();
            let held = RefCell::new(vec![
                station.buffer(1).await.unwrap(),
                station.buffer(4096).await.unwrap(),
            ]);
            let early = station.buffer(1);
            assert!(
                handle
                    .timeout(Duration::from_millis(5), early)
                    .await
                    .is_err()
            );
            let waiting = handle.spawn({
                let station = station.clone();
                async move { station.buffer(100).await.map(|buffer| buffer.data().len()) }
            });
            handle.sleep(Duration::from_millis(5)).await;
            held.borrow_mut().pop();
            // CALL-2: there is one now, but somebody has asked before.
            let mut late = Box::pin(station.buffer(1));
            let polled = poll_fn(|context| Poll::Ready(late.as_mut().poll(context).is_ready()));
            assert!(!polled.await);
            assert_eq!(waiting.await.unwrap(), 4096);
            assert_eq!(late.await.unwrap().data().len(), 4096);
        },
    );
}

#[test]
fn who_waits_for_a_large_buffer_keeps_nobody_from_a_small_one() {
    // CALL-2
    let geometry = Geometry::new(16, 8, 16)
        .and_then(|geometry| geometry.with_buffers(4096, 2))
        .and_then(|geometry| geometry.with_buffers(1 << 20, 1))
        .unwrap();
    let segment = CreateOptions::new(geometry).create_private().unwrap();
    run(
        reactor(&segment, 1, WaitMethod::Auto),
        |handle| async move {
            let station = handle.station();
            let large = station.buffer(1 << 20).await.unwrap();
            let mut waiting = handle.spawn({
                let station = station.clone();
                async move {
                    station
                        .buffer(1 << 20)
                        .await
                        .map(|buffer| buffer.data().len())
                }
            });
            let early = handle.timeout(Duration::from_millis(5), &mut waiting);
            assert!(early.await.is_err());
            assert_eq!(station.buffer(1).await.unwrap().data().len(), 4096);
            drop(large);
            assert_eq!(waiting.await.unwrap(), 1 << 20);
        },
    );
}

#[test]
fn who_can_do_with_less_waits_only_while_nothing_would_do() {
    // CALL-4
    let geometry = Geometry::new(16, 8, 16)
        .and_then(|geometry| geometry.with_buffers(4096, 2))
        .and_then(|geometry| geometry.with_buffers(64 << 10, 1))
        .and_then(|geometry| geometry.with_buffers(1 << 20, 1))
        .unwrap();
    let segment = CreateOptions::new(geometry).create_private().unwrap();
    run(
        reactor(&segment, 1, WaitMethod::Auto),
        |handle| async move {
            let station = handle.station();
            let mut held = Vec::new();
            // What was asked for, then what is larger, then what is smaller.
            for len in [64 << 10, 1 << 20, 4096, 4096] {
                let buffer = station.room(50_000, 1).await.unwrap();
                assert_eq!(buffer.data().len(), len);
                held.push(buffer);
            }
            held.truncate(2); // small ones, which will not do
            let mut waiting = Box::pin(station.room(50_000, 8192));
            let polled = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_ready()));
            assert!(!polled.await);
            held.remove(0);
            assert_eq!(waiting.await.unwrap().data().len(), 64 << 10);
            let (bytes, largest) = (2 << 20, 1 << 20);
            let error = station.room(bytes, bytes).await.unwrap_err();
            assert_eq!(error, RequestError::TooLarge { bytes, largest }.into());
        },
    );
}

#[test]
fn a_buffer_that_no_segment_of_this_kind_has_is_an_error_and_no_wait() {
    let segment = segment_with(16, 2);
    run(
        reactor(&segment, 1, WaitMethod::Auto),
        |handle| async move {
            let error = handle.station().buffer(1 << 20).await.unwrap_err();
            let largest = 4096;
            let bytes = 1 << 20;
            assert_eq!(error, RequestError::TooLarge { bytes, largest }.into());
        },
    );
}

#[test]
fn a_call_to_nobody_is_refused_and_leaves_nothing() {
    let segment = segment_with(4, 4);
    run(
        reactor(&segment, 1, WaitMethod::Auto),
        |handle| async move {
            let station = handle.station();
            for _ in 0..10 {
                let draft = station.draft(OpCode::INFO).await.unwrap();
                let port = PortId::new(5).unwrap();
                let error = station.call(draft, port).await.unwrap_err();
                assert_eq!(error, RequestError::Unbound { port }.into());
                assert_eq!(error.errno(), Errno::NOTCONN);
            }
        },
    );
}

#[test]
fn a_port_of_another_segment_is_refused() {
    let (segment, other) = (segment(), segment());
    let reactor = Reactor::new(
        segment.bind(0, &xseg::BindOptions::default()).unwrap(),
        &ReactorOptions::default(),
    )
    .unwrap();
    let port = other.bind(0, &xseg::BindOptions::default()).unwrap();
    assert!(reactor.handle().add_port(port).is_err());
}

#[test]
fn a_request_waits_for_the_peer_that_is_being_restarted() {
    let segment = segment();
    run(reactor(&segment, 0, WaitMethod::Auto), |handle| {
        let segment = segment.clone();
        async move {
            drop(segment.bind(1, &xseg::BindOptions::default()).unwrap());
            let client = handle.station();
            let draft = client.draft(AT_ONCE).await.unwrap();
            let call = client.begin_call(draft, SERVER).unwrap();
            let port = segment.bind(1, &xseg::BindOptions::default()).unwrap();
            let server = handle.add_port(port).unwrap();
            let _service = handle.serve(&server, 1, Rc::new(Echo::default()));
            assert_eq!(call.await.unwrap().result(), Ok(0));
        }
    });
}

#[test]
fn a_whole_is_answered_when_its_parts_are_home_even_those_that_were_given_up() {
    let segment = segment();
    run(reactor(&segment, 1, WaitMethod::Auto), |handle| {
        let segment = segment.clone();
        async move {
            let (below, middle) = (handle.station(), client(&handle, &segment));
            let above = client(&handle, &segment);
            let peer = Rc::new(Echo::default());
            let _below = handle.serve(&below, 8, peer.clone());
            let splitter = Splitter {
                middle: middle.clone(),
                to: below.id(),
                handle: handle.clone(),
            };
            let _middle = handle.serve(&middle, 8, Rc::new(splitter));
            let mut draft = above.draft(AT_ONCE).await.unwrap();
            draft
                .attach(above.buffer(4096).await.unwrap(), 4096)
                .unwrap();
            let call = above.begin_call(draft, middle.id()).unwrap();
            handle.sleep(Duration::from_millis(30)).await; // the part has expired
            peer.let_go.notify_one();
            assert_eq!(call.await.unwrap().result(), Err(Errno::TIMEDOUT));
        }
    });
}

struct Splitter {
    middle: Rc<archipelago_runtime::Station>,
    to: PortId,
    handle: archipelago_runtime::Handle,
}

impl archipelago_runtime::Peer for Splitter {
    async fn handle(&self, request: xseg::Incoming) {
        let mut part = self.middle.draft(HELD).await.unwrap();
        part.view(&request, 0, 512).unwrap();
        part.set_deadline_ns(self.handle.after_ns(Duration::from_millis(5)));
        let error = self.middle.call(part, self.to).await.unwrap_err();
        assert_eq!(request.parts_away(), 1);
        self.middle.parts_home(&request).await;
        request.fail(error.errno());
    }

    fn notice(&self, notice: xseg::Incoming) {
        notice.unsupported();
    }
}
