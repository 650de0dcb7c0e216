//! A request's way there and back.

use proptest::prelude::*;
use xseg::{Counter, Errno, Event, OpCode, Outcome, flags};

use crate::support::{Room, assert_all_free, first, next_reply, next_request};

#[test]
fn everything_that_a_request_says_arrives_and_so_does_the_answer() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    let mut draft = client.draft(OpCode::COPY).unwrap();
    draft.set_flags(flags::FUA | flags::FORCE);
    draft.set_extent(1 << 40, 4096);
    draft.set_handle(u64::MAX);
    draft.set_target("volume/\u{fc}".as_bytes()).unwrap();
    draft.set_snapshot(b"\xff\x00").unwrap();
    draft.set_args([1, 2, 3, u64::MAX]);
    draft.set_operation_id([7, 8]);
    draft.set_cookie(99);
    draft.set_deadline_ns(u64::MAX);
    let ticket = draft.send(server.id()).unwrap();

    let mut incoming = next_request(&server);
    let request = incoming.request();
    assert_eq!(request.op, OpCode::COPY);
    assert_eq!(request.flags, flags::FUA | flags::FORCE);
    assert_eq!((request.offset, request.length), (1 << 40, 4096));
    assert_eq!((request.handle, request.deadline_ns), (u64::MAX, u64::MAX));
    assert_eq!(request.serial, ticket.serial());
    assert_eq!(request.destination, server.id());
    assert!(!request.redelivered);
    assert_eq!(incoming.target().as_str(), Some("volume/\u{fc}"));
    assert_eq!(incoming.snapshot().as_bytes(), b"\xff\x00");
    assert_eq!(incoming.snapshot().as_str(), None);
    assert_eq!(incoming.args(), [1, 2, 3, u64::MAX]);
    assert_eq!(incoming.operation_id(), [7, 8]);
    assert!(incoming.data().is_none());
    incoming.set_answer_args([4, 5, 6, 7]);
    incoming.answer(1 << 50);

    let reply = next_reply(&client);
    assert_eq!(reply.ticket(), ticket);
    assert_eq!(reply.outcome(), Outcome::Done(1 << 50));
    assert_eq!((reply.cookie(), reply.args()), (99, [4, 5, 6, 7]));
    assert!(reply.data().is_none());
}

#[test]
fn an_error_comes_back_as_that_error() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    for errno in [Errno::IO, Errno::NOSPC, Errno::NOENT, Errno::STALE] {
        client
            .draft(OpCode::READ)
            .unwrap()
            .send(server.id())
            .unwrap();
        next_request(&server).fail(errno);
        assert_eq!(next_reply(&client).result(), Err(errno));
    }
}

/// S4: what a peer does not know it says so.
#[test]
fn unknown_operations_are_answered_with_eopnotsupp() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    for code in [99, 1000, u16::MAX] {
        client
            .draft(OpCode(code))
            .unwrap()
            .send(server.id())
            .unwrap();
        let incoming = next_request(&server);
        assert_eq!(incoming.request().op, OpCode(code));
        assert!(incoming.request().op.info().is_none());
        incoming.unsupported();
        assert_eq!(next_reply(&client).result(), Err(Errno::OPNOTSUPP));
    }
}

#[test]
fn nothing_of_an_earlier_request_shows_through_in_a_later_one() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    let mut draft = client.draft(OpCode::CREATE).unwrap();
    draft.set_flags(u32::MAX);
    draft.set_extent(1, 2);
    draft.set_handle(3);
    draft.set_target(b"first").unwrap();
    draft.set_snapshot(b"first").unwrap();
    draft.set_args([9; 4]);
    draft.set_operation_id([9; 2]);
    draft.set_cookie(9);
    draft.set_deadline_ns(9);
    draft.attach(client.buffer(9).unwrap(), 9).unwrap();
    draft.send(server.id()).unwrap();
    next_request(&server).fail(Errno::IO);
    drop(next_reply(&client));

    let check = |with_args: bool, with_id: bool| {
        let mut draft = client.draft(OpCode::INFO).unwrap();
        if with_args {
            draft.set_args([5; 4]);
        }
        if with_id {
            draft.set_operation_id([6; 2]);
        }
        draft.send(server.id()).unwrap();
        let incoming = next_request(&server);
        let request = incoming.request();
        assert_eq!((request.flags, request.offset, request.length), (0, 0, 0));
        assert_eq!((request.handle, request.deadline_ns), (0, 0));
        assert!(incoming.target().as_bytes().is_empty());
        assert!(incoming.snapshot().as_bytes().is_empty());
        assert_eq!(incoming.args(), if with_args { [5; 4] } else { [0; 4] });
        assert_eq!(
            incoming.operation_id(),
            if with_id { [6; 2] } else { [0; 2] }
        );
        assert!(incoming.data().is_none());
        incoming.answer(0);
        let reply = next_reply(&client);
        assert_eq!((reply.cookie(), reply.outcome()), (0, Outcome::Done(0)));
        assert_eq!(reply.args(), if with_args { [5; 4] } else { [0; 4] });
        assert!(reply.data().is_none());
        assert_eq!(reply.stamps_ns()[2..7], [0; 5]);
    };
    check(false, false);
    check(true, false);
    check(false, true);
}

#[test]
fn stamps_tell_when_it_was_sent_accepted_and_answered() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    let before = xseg::monotonic_ns();
    client
        .draft(OpCode::READ)
        .unwrap()
        .send(server.id())
        .unwrap();
    next_request(&server).answer(0);
    let stamps = next_reply(&client).stamps_ns();
    let after = xseg::monotonic_ns();
    // Stamps of different ports agree to within some microseconds.
    const APART_NS: u64 = 1_000_000;
    for stamp in [stamps[0], stamps[1], stamps[7]] {
        assert!(stamp + APART_NS >= before && stamp <= after + APART_NS);
    }
    assert!(stamps[0] <= stamps[7] + APART_NS);
    assert_eq!(stamps[2..7], [0; 5]);
}

#[test]
fn answers_come_in_the_order_in_which_they_are_given_not_asked() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    for cookie in 0..4 {
        let mut draft = client.draft(OpCode::READ).unwrap();
        draft.set_cookie(cookie);
        draft.send(server.id()).unwrap();
    }
    let mut requests: Vec<_> = (0..4).map(|_| next_request(&server)).collect();
    for pick in [2, 0, 1, 0] {
        requests.remove(pick).answer(0);
    }
    let cookies: Vec<u64> = (0..4).map(|_| next_reply(&client).cookie()).collect();
    assert_eq!(cookies, [2, 0, 3, 1]);
}

#[test]
fn a_port_can_ask_itself() {
    let room = Room::new();
    let port = room.bind(0);
    port.draft(OpCode::READ).unwrap().send(port.id()).unwrap();
    next_request(&port).answer(3);
    assert_eq!(next_reply(&port).result(), Ok(3));
    drop(port);
    assert_all_free(&room.segment);
}

#[test]
#[should_panic = "dropped unanswered"]
fn dropping_a_request_unanswered_is_a_bug_and_panics() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    client
        .draft(OpCode::READ)
        .unwrap()
        .send(server.id())
        .unwrap();
    let Event::Request(request) = first(&server) else {
        panic!("it is there");
    };
    drop(request);
}

#[test]
fn counters_tell_what_happened() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    for failing in [false, true, false] {
        client
            .draft(OpCode::WRITE)
            .unwrap()
            .send(server.id())
            .unwrap();
        match failing {
            true => next_request(&server).fail(Errno::IO),
            false => next_request(&server).answer(512),
        }
        drop(next_reply(&client));
    }
    let stats = room.segment.stats();
    let get = |port, counter| {
        stats
            .iter()
            .find(|(id, _)| *id == port)
            .unwrap()
            .1
            .get(counter)
    };
    assert_eq!(get(client.id(), Counter::Sent), 3);
    assert_eq!(get(client.id(), Counter::Replies), 3);
    assert_eq!(get(server.id(), Counter::Accepted), 3);
    assert_eq!(get(server.id(), Counter::Answered), 2);
    assert_eq!(get(server.id(), Counter::Failed), 1);
    assert_eq!(get(server.id(), Counter::BytesDone), 1024);
    let (_, server_stats) = stats.iter().find(|(id, _)| *id == server.id()).unwrap();
    assert_eq!(
        server_stats
            .histogram(xseg::Group::Write)
            .iter()
            .sum::<u64>(),
        3
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// MAP-2: bytes are copied in and out, and are what they were.
    #[test]
    fn data_arrives_as_it_was_written(
        bytes in prop::collection::vec(any::<u8>(), 1..100_000),
        from in 0..1000_u64,
    ) {
        let room = Room::new();
        let server = room.bind(0);
        let client = room.bind_dynamic();
        let len = bytes.len() as u64 + from;
        let buffer = client.buffer(len).unwrap();
        buffer.data().write(from, &bytes).unwrap();
        let mut draft = client.draft(OpCode::WRITE).unwrap();
        draft.attach(buffer, len).unwrap();
        draft.send(server.id()).unwrap();
        let request = next_request(&server);
        let data = request.data().unwrap();
        prop_assert_eq!(data.len(), len);
        let mut seen = vec![0; bytes.len()];
        data.read(from, &mut seen).unwrap();
        prop_assert_eq!(&seen, &bytes);
        seen.reverse();
        data.write(from, &seen).unwrap();
        request.answer(len);
        let mut reply = next_reply(&client);
        let mut back = vec![0; bytes.len()];
        reply.data().unwrap().read(from, &mut back).unwrap();
        prop_assert_eq!(&back, &seen);
        // The buffer can be used again.
        let buffer = reply.take_buffer().unwrap();
        prop_assert!(reply.data().is_none() && reply.take_buffer().is_none());
        buffer.data().fill(0);
    }
}
