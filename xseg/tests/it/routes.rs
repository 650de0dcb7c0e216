//! Requests that pass through ports on their way, and answers that find theirs back.

use xseg::{Counter, Errno, Event, OpCode, PATH_MAX, Port, RequestError};

use crate::support::{Parent, Room, Worker, assert_all_free, first, next_event, next_reply};
use crate::support::{next_request, until};

fn send(client: &Port, to: xseg::PortId, cookie: u64) {
    let mut draft = client.draft(OpCode::READ).unwrap();
    draft.set_cookie(cookie);
    draft.set_handle(cookie);
    draft.send(to).unwrap();
}

#[track_caller]
fn pass_answer_on(port: &Port) {
    match next_event(port) {
        Event::Returning(returning) => returning.pass_on(),
        other => panic!("no answer that passes through but {other:?}"),
    }
}

#[test]
fn a_forwarded_request_comes_back_through_all_who_forwarded_it() {
    let room = Room::new();
    let client = room.bind_dynamic();
    let chain: Vec<Port> = (0..4).map(|number| room.bind(number)).collect();
    send(&client, chain[0].id(), 1);
    for pair in chain.windows(2) {
        next_request(&pair[0]).forward(pair[1].id()).unwrap();
    }
    next_request(&chain[3]).fail(Errno::IO);
    for port in chain[..3].iter().rev() {
        assert!(client.poll().is_none());
        match first(port) {
            Event::Returning(returning) => {
                assert_eq!(returning.errno(), Errno::IO.raw_os_error() as u32);
                returning.pass_on();
            }
            other => panic!("{other:?}"),
        }
    }
    let reply = next_reply(&client);
    assert_eq!(reply.result(), Err(Errno::IO));
    let way = reply.stamps_ns();
    assert!(way[..5].iter().all(|stamp| *stamp > 0), "{way:?}");
    drop((reply, client, chain));
    assert_all_free(&room.segment);
}

#[test]
fn a_request_that_was_handed_on_goes_back_directly() {
    let room = Room::new();
    let (client, front, back) = (room.bind_dynamic(), room.bind(0), room.bind(1));
    send(&client, front.id(), 7);
    next_request(&front).hand_on(back.id()).unwrap();
    assert_eq!(front.held(), 0);
    let request = next_request(&back);
    assert_eq!(request.request().destination, back.id());
    request.answer(70);
    assert!(front.poll().is_none());
    assert_eq!(next_reply(&client).result(), Ok(70));
}

#[test]
fn a_request_cannot_be_forwarded_to_nobody_and_is_still_to_be_answered() {
    let room = Room::new();
    let (client, front) = (room.bind_dynamic(), room.bind(0));
    send(&client, front.id(), 1);
    let refused = next_request(&front).forward(room.port(1)).unwrap_err();
    assert_eq!(refused.error, RequestError::Unbound { port: room.port(1) });
    let refused = refused.incoming.hand_on(room.port(1)).unwrap_err();
    assert_eq!(front.held(), 1);
    refused.incoming.fail(Errno::NOTCONN);
    assert_eq!(next_reply(&client).result(), Err(Errno::NOTCONN));
}

/// A loop ends with an error when the way back is full, and the answer still finds it.
#[test]
fn a_request_that_runs_in_a_circle_ends_with_an_error() {
    let room = Room::new();
    let (client, one, two) = (room.bind_dynamic(), room.bind(0), room.bind(1));
    send(&client, one.id(), 1);
    let mut ports = [&one, &two].into_iter().cycle();
    let mut hops = 0;
    loop {
        let (here, there) = (ports.next().unwrap(), ports.clone().next().unwrap());
        match next_request(here).forward(there.id()) {
            Ok(()) => hops += 1,
            Err(refused) => {
                assert_eq!(refused.error, RequestError::PathFull { max: PATH_MAX });
                assert_eq!(refused.error.errno(), Errno::LOOP);
                refused.incoming.fail(Errno::LOOP);
                break;
            }
        }
    }
    assert_eq!(hops, PATH_MAX - 1);
    for _ in 0..hops {
        until("the answer goes one port back", || {
            [&one, &two].into_iter().any(|port| match port.poll() {
                Some(Event::Returning(returning)) => {
                    returning.pass_on();
                    true
                }
                Some(other) => panic!("{other:?}"),
                None => false,
            })
        });
    }
    assert_eq!(next_reply(&client).result(), Err(Errno::LOOP));
    drop(ports);
    drop((client, one, two));
    assert_all_free(&room.segment);
}

#[test]
fn an_interposer_sees_requests_and_answers_of_a_live_system() {
    let room = Room::new();
    let (client, server, between) = (room.bind_dynamic(), room.bind(0), room.bind_dynamic());
    send(&client, server.id(), 1); // before: straight there
    between.interpose(server.id()).unwrap();
    assert_eq!(room.segment.route(server.id()).unwrap(), Some(between.id()));
    send(&client, server.id(), 2);

    let request = next_request(&between);
    assert_eq!(request.request().destination, server.id());
    let destination = request.request().destination;
    request.forward(destination).unwrap();
    next_request(&server).answer(10);
    next_request(&server).answer(20);
    pass_answer_on(&between);
    assert_eq!(next_reply(&client).result(), Ok(10));
    assert_eq!(next_reply(&client).result(), Ok(20));

    between.step_aside(server.id()).unwrap();
    send(&client, server.id(), 3);
    assert!(between.poll().is_none());
    next_request(&server).answer(30);
    assert_eq!(next_reply(&client).result(), Ok(30));
    drop((client, server, between));
    assert_all_free(&room.segment);
}

#[test]
fn an_interposer_may_answer_by_itself() {
    let room = Room::new();
    let (client, server, between) = (room.bind_dynamic(), room.bind(0), room.bind_dynamic());
    between.interpose(server.id()).unwrap();
    send(&client, server.id(), 1);
    next_request(&between).fail(Errno::ACCESS);
    assert!(server.poll().is_none());
    assert_eq!(next_reply(&client).result(), Err(Errno::ACCESS));
}

/// DELIVERY-1: requests pass it by, answers that should have gone through it go on, and what lay in its inbox does too.
#[test]
fn when_an_interposer_leaves_nothing_is_lost() {
    let room = Room::new();
    let (client, server, between) = (room.bind_dynamic(), room.bind(0), room.bind_dynamic());
    between.interpose(server.id()).unwrap();
    send(&client, server.id(), 1);
    send(&client, server.id(), 2);
    next_request(&between).forward(server.id()).unwrap();
    drop(between); // with the second in its inbox, and the first's answer still to come
    send(&client, server.id(), 3);
    let handles: Vec<u64> = (0..3)
        .map(|_| {
            let request = next_request(&server);
            let handle = request.request().handle;
            request.answer(handle * 10);
            handle
        })
        .collect();
    assert_eq!(handles, [1, 2, 3]);
    for expected in [10, 20, 30] {
        assert_eq!(next_reply(&client).result(), Ok(expected));
    }
    drop((client, server));
    assert_all_free(&room.segment);
}

pub fn interpose_and_hold(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind_dynamic(&Default::default()).unwrap();
    let server = segment.geometry().port(0).unwrap();
    port.interpose(server).unwrap();
    parent.say(port.id());
    next_request(&port).forward(server).unwrap();
    let _held = next_request(&port);
    parent.say("one forwarded, one held");
    parent.wait_for_death();
}

/// EMPTY-1
#[test]
fn when_an_interposer_is_killed_its_requests_go_on_and_answers_pass_it_by() {
    let room = Room::new();
    let (client, server) = (room.bind_dynamic(), room.bind(0));
    let mut between = Worker::start("interpose_and_hold", &room.segment);
    let number: u32 = between.hear().parse().unwrap();
    for cookie in 1..=4 {
        send(&client, server.id(), cookie);
    }
    between.expect("one forwarded, one held");
    between.kill();
    next_request(&server).answer(10);
    until("its death is settled", || {
        room.segment.settle(number).is_ok()
    });
    // The held one is a read: doing it once more does no harm. Two lay in the inbox.
    for _ in 0..3 {
        let request = next_request(&server);
        let handle = request.request().handle;
        request.answer(handle * 10);
    }
    let mut results: Vec<u64> = (0..4)
        .map(|_| next_reply(&client).result().unwrap())
        .collect();
    results.sort_unstable();
    assert_eq!(results, [10, 20, 30, 40]);
    send(&client, server.id(), 5);
    next_request(&server).answer(50);
    assert_eq!(next_reply(&client).result(), Ok(50));
    drop((client, server));
    room.segment.settle_all().unwrap();
    assert_all_free(&room.segment);
}

#[test]
fn a_change_that_a_killed_interposer_had_taken_is_failed_rather_than_done_twice() {
    let room = Room::new();
    let (client, server) = (room.bind_dynamic(), room.bind(0));
    let mut between = Worker::start("interpose_and_hold", &room.segment);
    let number: u32 = between.hear().parse().unwrap();
    send(&client, server.id(), 1);
    client
        .draft(OpCode::CREATE)
        .unwrap()
        .send(server.id())
        .unwrap();
    between.expect("one forwarded, one held");
    between.kill();
    until("its death is settled", || {
        room.segment.settle(number).is_ok()
    });
    assert_eq!(next_reply(&client).result(), Err(Errno::CONNRESET));
    next_request(&server).answer(1);
    drop(next_reply(&client));
}

#[test]
fn routes_of_and_to_ports_that_are_not_there_are_refused() {
    let room = Room::new();
    let nowhere = xseg::PortId::new(100).unwrap();
    assert!(room.segment.set_route(nowhere, None).is_err());
    assert!(room.segment.set_route(room.port(0), Some(nowhere)).is_err());
    assert!(room.segment.route(nowhere).is_err());
}

#[test]
#[should_panic = "passes through was dropped"]
fn dropping_an_answer_that_passes_through_is_a_bug_and_panics() {
    let room = Room::new();
    let (client, front, back) = (room.bind_dynamic(), room.bind(0), room.bind(1));
    send(&client, front.id(), 1);
    next_request(&front).forward(back.id()).unwrap();
    next_request(&back).answer(0);
    drop(first(&front));
}

#[test]
fn passing_on_is_counted() {
    let room = Room::new();
    let (client, front, back) = (room.bind_dynamic(), room.bind(0), room.bind(1));
    send(&client, front.id(), 1);
    next_request(&front).forward(back.id()).unwrap();
    next_request(&back).answer(0);
    pass_answer_on(&front);
    let stats = room.segment.report_port(0).unwrap().stats;
    assert_eq!(stats.get(Counter::PassedOn), 2);
}
