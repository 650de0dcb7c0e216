//! Giving up: by hand or by deadline. What is given up keeps its buffer until its answer comes (F60).

use xseg::{Counter, Event, OpCode, Port, Ticket, monotonic_ns};

use crate::support::{Room, assert_all_free, next_reply, next_request};

fn send(client: &Port, server: &Port, cookie: u64, deadline_ns: u64) -> Ticket {
    let mut draft = client.draft(OpCode::READ).unwrap();
    draft.attach(client.buffer(4096).unwrap(), 4096).unwrap();
    draft.set_cookie(cookie);
    draft.set_deadline_ns(deadline_ns);
    draft.send(server.id()).unwrap()
}

#[test]
fn requests_expire_soonest_first_and_once() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    let now = monotonic_ns();
    send(&client, &server, 1, now - 10);
    send(&client, &server, 2, now - 30);
    send(&client, &server, 3, u64::MAX);
    send(&client, &server, 4, 0); // never
    let third = send(&client, &server, 5, now - 20);
    assert_eq!(client.next_deadline_ns(), Some(now - 30));
    let expired: Vec<u64> = std::iter::from_fn(|| client.expire())
        .map(|expired| expired.cookie)
        .collect();
    assert_eq!(expired, [2, 5, 1]);
    assert_eq!(client.next_deadline_ns(), Some(u64::MAX));
    client.abandon(third); // already: nothing happens
    let stats = room.segment.report_port(client.id().get()).unwrap().stats;
    assert_eq!(stats.get(Counter::Abandoned), 3);
    for _ in 0..5 {
        next_request(&server).answer(0);
    }
    let cookies: Vec<u64> = (0..2).map(|_| next_reply(&client).cookie()).collect();
    assert_eq!(cookies, [3, 4]);
    assert!(client.poll().is_none());
    assert_eq!(client.away(), 0);
    drop((client, server));
    assert_all_free(&room.segment);
}

#[test]
fn an_answered_request_does_not_expire() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    send(&client, &server, 1, monotonic_ns() - 1);
    next_request(&server).answer(0);
    drop(next_reply(&client));
    assert_eq!(client.next_deadline_ns(), None);
    assert_eq!(client.expire(), None);
    // Neither does its record's next request.
    send(&client, &server, 2, 0);
    assert_eq!(client.expire(), None);
    next_request(&server).answer(0);
    drop(next_reply(&client));
}

#[test]
fn what_was_given_up_keeps_its_record_and_buffer_until_its_answer_comes() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    let ticket = send(&client, &server, 1, 0);
    client.abandon(ticket);
    let request = next_request(&server);
    // The server still writes to the buffer: nobody else may have it.
    let mut others: Vec<_> = std::iter::from_fn(|| client.buffer(4096).ok()).collect();
    request.data().unwrap().fill(0xee);
    for buffer in &others {
        let mut byte = [0];
        buffer.data().read(0, &mut byte).unwrap();
        assert_ne!(byte, [0xee]);
    }
    assert_eq!(client.away(), 1);
    request.answer(4096);
    assert!(client.poll().is_none(), "a late answer is nobody's event");
    assert_eq!(client.away(), 0);
    let again = client.buffer(4096).expect("it is back");
    others.push(again);
    drop((others, client, server));
    assert_all_free(&room.segment);
}

#[test]
fn giving_up_what_was_answered_concerns_nobody() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    let old = send(&client, &server, 1, 0);
    next_request(&server).answer(1);
    drop(next_reply(&client));
    let new = send(&client, &server, 2, 0); // perhaps in the same record
    client.abandon(old);
    next_request(&server).answer(2);
    let reply = next_reply(&client);
    assert_eq!((reply.ticket(), reply.cookie()), (new, 2));
}

#[test]
fn an_answer_that_is_there_already_can_still_be_given_up() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    let ticket = send(&client, &server, 1, 0);
    next_request(&server).answer(1);
    client.abandon(ticket);
    assert!(client.poll().is_none());
    drop((client, server));
    assert_all_free(&room.segment);
}

#[test]
fn a_server_sees_the_deadline_and_may_answer_late() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    let at = monotonic_ns() - 1;
    send(&client, &server, 1, at);
    let request = next_request(&server);
    assert_eq!(request.request().deadline_ns, at);
    request.answer(0);
    // Nobody looked at the deadline in between: the answer counts.
    assert!(matches!(client.poll(), Some(Event::Reply(_))));
}
