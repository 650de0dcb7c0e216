//! Services: so many at a time, none lost, drained.

use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::local::Gate;
use archipelago_runtime::{CallError, Handle, Peer};
use xseg::{Counter, Errno, Incoming, OpCode, PortId, WaitMethod};

use crate::support::{AT_ONCE, Echo, HELD, ask, client, each_way, reactor, run, segment};

#[test]
fn with_one_at_a_time_many_callers_are_all_served_and_never_two_at_once() {
    // SERVE-1
    each_way(|handle| async move {
        let segment = handle.station().segment().clone();
        let (server, client) = (handle.station(), client(&handle, &segment));
        let peer = Rc::new(Slow {
            handle: handle.clone(),
            echo: Echo::default(),
        });
        let service = handle.serve(&server, 1, peer.clone());
        let callers: Vec<_> = (0..64)
            .map(|length| {
                let (server, client) = (server.clone(), client.clone());
                handle.spawn(async move { ask(&client, AT_ONCE, &server, length).await })
            })
            .collect();
        for (length, caller) in callers.into_iter().enumerate() {
            assert_eq!(caller.await, length as u64);
        }
        assert_eq!((peer.echo.most.get(), peer.echo.handled.get()), (1, 64));
        assert_eq!(service.inflight(), 0);
    });
}

/// Goes on for a while after it has answered: that counts as well.
struct Slow {
    handle: Handle,
    echo: Echo,
}

impl Peer for Slow {
    async fn handle(&self, request: Incoming) {
        let echo = &self.echo;
        echo.running.set(echo.running.get() + 1);
        echo.most.set(echo.most.get().max(echo.running.get()));
        let length = request.request().length;
        self.handle.sleep(Duration::from_micros(20)).await;
        request.answer(length);
        self.handle.yield_now().await;
        echo.running.set(echo.running.get() - 1);
        echo.handled.set(echo.handled.get() + 1);
    }

    fn notice(&self, notice: Incoming) {
        notice.unsupported();
    }
}

#[test]
fn notices_are_handled_while_all_handlers_are_busy_and_while_the_service_drains() {
    // SERVE-2
    each_way(|handle| async move {
        let segment = handle.station().segment().clone();
        let (server, client) = (handle.station(), client(&handle, &segment));
        let peer = Rc::new(Echo::default());
        let service = handle.serve(&server, 1, peer.clone());
        let busy = client.begin_call(client.try_draft(HELD).unwrap(), server.id());
        let recall = || async {
            let draft = client.draft(OpCode::RECALL).await.unwrap();
            let reply = client.call(draft, server.id()).await.unwrap();
            assert_eq!(reply.result(), Ok(0));
        };
        recall().await;
        let draining = handle.spawn(async move { service.drain().await });
        handle.yield_now().await;
        recall().await;
        client
            .notify(client.try_draft(OpCode::RECALL).unwrap(), server.id())
            .unwrap();
        peer.let_go.notify_one();
        assert_eq!(busy.unwrap().await.unwrap().result(), Ok(0));
        draining.await;
        assert_eq!(peer.notices.get(), 3);
    });
}

#[test]
fn a_drained_service_holds_nothing_and_leaves_the_rest_in_the_inbox() {
    // SERVE-3, P2
    let segment = segment();
    let late = run(reactor(&segment, 1, WaitMethod::Auto), |handle| {
        let segment = segment.clone();
        async move {
            let (server, client) = (handle.station(), client(&handle, &segment));
            let peer = Rc::new(Echo::default());
            let service = handle.serve(&server, 8, peer.clone());
            let first = client.begin_call(client.try_draft(HELD).unwrap(), server.id());
            handle.sleep(Duration::from_millis(2)).await;
            assert_eq!(service.inflight(), 1);
            let draining = handle.timeout(Duration::from_millis(5), service.drain());
            assert!(draining.await.is_err(), "one is in flight");
            let mut draft = client.try_draft(AT_ONCE).unwrap();
            draft.set_extent(0, 5);
            draft.set_deadline_ns(handle.after_ns(Duration::from_millis(20)));
            let second = client.begin_call(draft, server.id()).unwrap();
            peer.let_go.notify_one();
            service.drain().await;
            assert_eq!(service.inflight(), 0);
            assert_eq!(first.unwrap().await.unwrap().result(), Ok(0));
            second.await.map(drop)
        }
    });
    assert!(matches!(late, Err(CallError::Expired { .. })));
    let report = segment.report_port(1).unwrap();
    let waiting: usize = report.lanes.iter().map(|lane| lane.records.len()).sum();
    assert_eq!(waiting, 1, "for the next incarnation");
}

#[test]
fn what_nobody_waits_for_any_more_is_not_begun() {
    // SERVE-6
    each_way(|handle| async move {
        let segment = handle.station().segment().clone();
        let (server, client) = (handle.station(), client(&handle, &segment));
        let mut late = client.try_draft(AT_ONCE).unwrap();
        late.set_deadline_ns(handle.after_ns(Duration::from_millis(5)));
        let late = client.begin_call(late, server.id()).unwrap();
        let mut patient = client.try_draft(AT_ONCE).unwrap();
        patient.set_deadline_ns(handle.after_ns(Duration::from_secs(600)));
        let patient = client.begin_call(patient, server.id()).unwrap();
        handle.sleep(Duration::from_millis(10)).await;
        let peer = Rc::new(Echo::default());
        let service = handle.serve(&server, 8, peer.clone());
        assert!(patient.await.unwrap().result().is_ok());
        assert!(matches!(late.await, Err(CallError::Expired { .. })));
        service.drain().await;
        assert_eq!(peer.handled.get(), 1);
    });
}

#[test]
fn a_drain_waits_for_requests_that_handlers_gave_to_tasks_of_their_own() {
    // SERVE-3: a request that waits for a lock leaves the count of handlers, and is in flight all the same.
    struct Parker {
        handle: Handle,
        gate: Gate,
    }
    impl Peer for Parker {
        async fn handle(&self, request: Incoming) {
            let (handle, inside) = (self.handle.clone(), self.gate.enter());
            drop(self.handle.spawn(async move {
                handle.sleep(Duration::from_millis(10)).await;
                request.answer(3);
                drop(inside);
            }));
        }
        fn notice(&self, notice: Incoming) {
            notice.unsupported();
        }
    }
    each_way(|handle| async move {
        let segment = handle.station().segment().clone();
        let (server, client) = (handle.station(), client(&handle, &segment));
        let gate = Gate::new();
        let parker = Parker {
            handle: handle.clone(),
            gate: gate.clone(),
        };
        let service = handle.serve(&server, 1, Rc::new(parker));
        let calls: Vec<_> = (0..5)
            .map(|_| client.begin_call(client.try_draft(AT_ONCE).unwrap(), server.id()))
            .collect();
        while gate.inside() < 5 {
            handle.yield_now().await;
        }
        assert_eq!(service.inflight(), 5);
        service.drain().await;
        assert_eq!(gate.inside(), 0);
        for call in calls {
            assert_eq!(call.unwrap().await.unwrap().result(), Ok(3));
        }
    });
}

#[test]
fn requests_and_notices_wait_until_a_station_is_served_and_what_nobody_knows_is_answered() {
    // SERVE-5
    each_way(|handle| async move {
        let segment = handle.station().segment().clone();
        let (server, client) = (handle.station(), client(&handle, &segment));
        let early = client.begin_call(client.try_draft(AT_ONCE).unwrap(), server.id());
        let notice = client.begin_call(client.try_draft(OpCode::RECALL).unwrap(), server.id());
        handle.sleep(Duration::from_millis(2)).await;
        let peer = Rc::new(Echo::default());
        let _service = handle.serve(&server, 1, peer.clone());
        assert_eq!(notice.unwrap().await.unwrap().result(), Ok(0));
        assert_eq!(peer.notices.get(), 1);
        assert_eq!(early.unwrap().await.unwrap().result(), Ok(0));
        let draft = client.draft(OpCode(999)).await.unwrap();
        let reply = client.call(draft, server.id()).await.unwrap();
        assert_eq!(reply.result(), Err(Errno::OPNOTSUPP));
    });
}

#[test]
fn a_peer_in_between_passes_requests_on_and_their_answers_come_back_through_it() {
    struct Forwarder(PortId);
    impl Peer for Forwarder {
        async fn handle(&self, request: Incoming) {
            request.forward(self.0).unwrap();
        }
        fn notice(&self, notice: Incoming) {
            notice.unsupported();
        }
    }
    each_way(|handle| async move {
        let segment = handle.station().segment().clone();
        let (server, between) = (handle.station(), client(&handle, &segment));
        let asker = client(&handle, &segment);
        let _server = handle.serve(&server, 1, Rc::new(Echo::default()));
        let service = handle.serve(&between, 1, Rc::new(Forwarder(server.id())));
        between.interpose(server.id()).unwrap();
        for length in 0..10 {
            assert_eq!(ask(&asker, AT_ONCE, &server, length).await, length);
        }
        between.step_aside(server.id()).unwrap();
        assert_eq!(ask(&asker, AT_ONCE, &server, 10).await, 10);
        assert_eq!(service.inflight(), 0);
        let passed = segment.report_port(between.id().get()).unwrap().stats;
        assert_eq!(passed.get(Counter::PassedOn), 20, "there and back");
    });
}
