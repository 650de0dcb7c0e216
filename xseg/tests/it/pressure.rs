//! Back-pressure (F65): what there is no room for waits, in order, and what somebody waits for is always taken.

use xseg::{BindOptions, Event, OpCode, Port};

use crate::support::{Room, assert_all_free, first, next_reply, next_request};

fn send(client: &Port, server: &Port, cookie: u64) {
    let mut draft = client.draft(OpCode::READ).unwrap();
    draft.set_handle(cookie);
    draft.set_cookie(cookie);
    draft.send(server.id()).unwrap();
}

fn bind_with_room_for(room: &Room, held_max: u32) -> Port {
    let options = BindOptions::default().held_max(held_max);
    room.segment.bind(0, &options).unwrap()
}

/// LANE-4
#[test]
fn what_waits_for_room_is_taken_in_order_as_room_comes() {
    let room = Room::new();
    let server = bind_with_room_for(&room, 3);
    let client = room.bind_dynamic();
    for cookie in 0..10 {
        send(&client, &server, cookie);
    }
    let mut held: std::collections::VecDeque<_> = (0..3).map(|_| next_request(&server)).collect();
    for _ in 3..10 {
        assert!(server.poll().is_none());
        assert!(!server.has_news(), "a reactor sleeps now");
        held.pop_front().unwrap().answer(0);
        assert!(server.has_news());
        held.push_back(next_request(&server));
        assert_eq!(server.held(), 3);
    }
    let last: Vec<u64> = held
        .iter()
        .map(|request| request.request().handle)
        .collect();
    assert_eq!(last, [7, 8, 9]);
    held.into_iter().for_each(|request| request.answer(0));
    let cookies: Vec<u64> = (0..10).map(|_| next_reply(&client).cookie()).collect();
    assert_eq!(cookies, (0..10).collect::<Vec<_>>());
    drop((client, server));
    assert_all_free(&room.segment);
}

/// INBOX-1: a peer that is full waits for its own requests, so their answers must come through.
#[test]
fn a_peer_that_is_full_takes_the_answers_that_make_room() {
    let room = Room::new();
    let middle = bind_with_room_for(&room, 1);
    let (client, store) = (room.bind_dynamic(), room.bind(1));
    send(&client, &middle, 1);
    send(&client, &middle, 2);
    let held = next_request(&middle);
    send(&middle, &store, 3);
    next_request(&store).answer(30);
    let Event::Reply(reply) = first(&middle) else {
        panic!("the answer passes the request that waits");
    };
    assert_eq!(reply.result(), Ok(30));
    held.answer(10);
    next_request(&middle).answer(20);
}

#[test]
fn room_can_be_made_and_taken_away_at_any_time() {
    let room = Room::new();
    let server = bind_with_room_for(&room, 0);
    let client = room.bind_dynamic();
    send(&client, &server, 1);
    send(&client, &server, 2);
    assert!(server.poll().is_none());
    server.set_held_max(2);
    let one = next_request(&server);
    server.set_held_max(1);
    assert!(server.poll().is_none());
    one.answer(0);
    next_request(&server).answer(0);
}

/// What is not admitted stays in the segment, where a successor finds it.
#[test]
fn requests_that_wait_for_room_are_seen_in_the_report() {
    let room = Room::new();
    let server = bind_with_room_for(&room, 1);
    let client = room.bind_dynamic();
    for cookie in 0..5 {
        send(&client, &server, cookie);
    }
    let held = next_request(&server);
    let report = room.segment.report_port(0).unwrap();
    assert_eq!(report.held, 1);
    assert_eq!(report.lanes[0].records.len(), 4);
    assert_eq!(room.segment.report_port(client.id().get()).unwrap().sent, 4);
    assert_eq!(room.segment.inspect(0).unwrap().len(), 5);
    held.answer(0);
    // Its successor takes them, in order.
    drop(server);
    let server = room.bind(0);
    for cookie in 1..5 {
        let request = next_request(&server);
        assert_eq!(request.request().handle, cookie);
        assert!(!request.request().redelivered, "nobody had begun them");
        request.answer(0);
    }
}

#[test]
fn requests_to_a_vacant_port_wait_for_its_next_owner() {
    let room = Room::new();
    let client = room.bind_dynamic();
    let server = room.port(0);
    drop(room.bind(0)); // the port is known now
    client.draft(OpCode::INFO).unwrap().send(server).unwrap();
    assert_eq!(client.away(), 1);
    let port = room.bind(0);
    next_request(&port).answer(6);
    assert_eq!(next_reply(&client).result(), Ok(6));
}

/// A port keeps a small stock of what is plentiful, and none of what is not.
#[test]
fn what_one_port_has_used_and_given_back_another_port_can_have() {
    let room = Room::new();
    let all = |bytes: u64| {
        let count = room.segment.geometry().buffer_counts()[(bytes >> 12).ilog2() as usize];
        move |port: &Port| -> Vec<_> { (0..count).map(|_| port.buffer(bytes).unwrap()).collect() }
    };
    for bytes in [1 << 20, 128 << 10, 64 << 10, 16 << 10] {
        let take_all = all(bytes);
        let ports = [room.bind(0), room.bind(1), room.bind(2)];
        for port in &ports {
            drop(take_all(port));
        }
    }
    assert_all_free(&room.segment);
}
