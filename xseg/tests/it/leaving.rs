//! Giving a port back in good order: everything of it is free afterwards (LEAVE-1, LEAVE-2).

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use xseg::{Errno, Life, OpCode, Port, RequestError, Waiter, WaiterOptions};

use crate::support::{PATIENCE, Room, assert_all_free, next_reply, next_request};

fn send(client: &Port, to: &Port) {
    let mut draft = client.draft(OpCode::WRITE).unwrap();
    draft.attach(client.buffer(4096).unwrap(), 4096).unwrap();
    draft.send(to.id()).unwrap();
}

/// LEAVE-1
#[test]
fn a_port_that_leaves_gives_everything_back() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    for _ in 0..20 {
        send(&client, &server);
        next_request(&server).answer(0);
        drop(next_reply(&client));
    }
    let spare = client.buffer(1 << 20).unwrap();
    let draft = client.draft(OpCode::READ).unwrap();
    drop(client);
    drop(draft);
    assert!(
        room.segment.report().requests_free < 64,
        "the buffer keeps the port"
    );
    drop(spare);
    drop(server);
    assert_all_free(&room.segment);
}

#[test]
fn a_static_port_that_was_left_is_vacant_and_a_dynamic_one_free() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    let (server_id, client_id) = (server.id(), client.id());
    drop((server, client));
    let life = |port: xseg::PortId| room.segment.report_port(port.get()).unwrap().life;
    assert_eq!(life(server_id), Life::Vacant { generation: 1 });
    assert_eq!(life(client_id), Life::Free { generation: 1 });
    let client = room.bind_dynamic();
    client.draft(OpCode::READ).unwrap().send(server_id).unwrap();
}

/// DELIVERY-2, DELIVERY-3
#[test]
fn what_a_client_had_away_when_it_left_is_freed_by_whoever_answers_it() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    for _ in 0..3 {
        send(&client, &server);
    }
    let one = next_request(&server);
    drop(client);
    let report = room.segment.report();
    assert_eq!(
        report.buffers_free[0], 61,
        "somebody may still be writing to them"
    );
    one.data().unwrap().fill(1);
    one.answer(0);
    next_request(&server).fail(Errno::IO);
    next_request(&server).answer(0);
    let stats = room.segment.report_port(0).unwrap().stats;
    assert_eq!(stats.get(xseg::Counter::Orphans), 3);
    drop(server);
    assert_all_free(&room.segment);
}

#[test]
fn answers_that_had_arrived_and_were_not_looked_at_are_no_leak() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    for _ in 0..3 {
        send(&client, &server);
        next_request(&server).answer(0);
    }
    drop(client);
    drop(server);
    assert_all_free(&room.segment);
}

/// LEAVE-2
#[test]
fn requests_in_the_inbox_of_a_dynamic_port_that_leaves_are_failed() {
    let room = Room::new();
    let (server, client) = (room.bind_dynamic(), room.bind_dynamic());
    send(&client, &server);
    send(&client, &server);
    next_request(&server).answer(1);
    let gone = server.id();
    drop(server);
    assert_eq!(next_reply(&client).result(), Ok(1));
    assert_eq!(next_reply(&client).result(), Err(Errno::CONNRESET));
    let error = client.draft(OpCode::READ).unwrap().send(gone).unwrap_err();
    assert_eq!(error, RequestError::Unbound { port: gone });
    drop(client);
    assert_all_free(&room.segment);
}

#[test]
fn requests_in_the_inbox_of_a_static_port_that_leaves_wait_for_its_successor() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    send(&client, &server);
    send(&client, &server);
    next_request(&server).answer(1);
    drop(server);
    assert_eq!(next_reply(&client).result(), Ok(1));
    assert!(client.poll().is_none());
    let server = room.bind(0);
    next_request(&server).answer(2);
    assert_eq!(next_reply(&client).result(), Ok(2));
}

/// LEAVE-2 with many hands: senders push while the receiver leaves, again and again.
#[test]
fn nothing_is_left_in_the_inbox_of_a_port_that_comes_and_goes() {
    const ROUNDS: u32 = 3000;
    let room = Room::new();
    let target = AtomicU32::new(u32::MAX);
    let done = AtomicBool::new(false);
    let relaxed = Ordering::Relaxed;
    let all_bound = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let segment = room.join();
            let (target, done, all_bound) = (&target, &done, &all_bound);
            scope.spawn(move || {
                let client = segment.bind_dynamic(&Default::default()).unwrap();
                all_bound.wait();
                let patience = Instant::now() + PATIENCE;
                while !done.load(relaxed) || client.away() > 0 {
                    let to = segment.geometry().port(target.load(relaxed));
                    if let (Some(to), false) = (to, done.load(relaxed))
                        && client.away() < 8
                    {
                        let draft = client.draft(OpCode::READ).unwrap();
                        let _ = draft.send(to); // perhaps it has just gone
                    }
                    assert!(Instant::now() < patience, "{} are lost", client.away());
                    while let Some(event) = client.poll() {
                        assert!(matches!(event, xseg::Event::Reply(_)), "{event:?}");
                    }
                }
            });
        }
        all_bound.wait();
        for round in 0..ROUNDS {
            let server = room.bind_dynamic();
            target.store(server.id().get(), relaxed);
            for _ in 0..round % 7 {
                if let Some(xseg::Event::Request(request)) = server.poll() {
                    request.answer(0);
                }
            }
        }
        done.store(true, relaxed);
    });
    assert_all_free(&room.segment);
}

#[test]
fn a_waiter_keeps_its_ports_until_it_is_dropped() {
    let room = Room::new();
    let port = room.bind(0);
    let waiter = Waiter::new(&port, &WaiterOptions::default()).unwrap();
    drop(port);
    assert!(room.segment.bind(0, &Default::default()).is_err());
    drop(waiter);
    crate::support::until("the ring is gone", || {
        room.segment.bind(0, &Default::default()).is_ok()
    });
    assert_all_free(&room.segment);
}
