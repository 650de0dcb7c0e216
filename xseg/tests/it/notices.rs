//! Notices: always taken, whatever the receiver has room for (INBOX-1).

use xseg::{BindOptions, Counter, Errno, Event, Incoming, OpCode, Port, Ticket};

use crate::support::{Room, assert_all_free, first, next_event, next_reply, next_request};

fn send(client: &Port, server: &Port, op: OpCode) -> Ticket {
    client.draft(op).unwrap().send(server.id()).unwrap()
}

#[track_caller]
fn next_notice(port: &Port) -> Incoming {
    match next_event(port) {
        Event::Notice(incoming) => incoming,
        other => panic!("no notice but {other:?}"),
    }
}

#[test]
fn a_ping_is_answered_by_looking_at_the_inbox() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    send(&client, &server, OpCode::PING);
    assert!(client.poll().is_none(), "nobody has looked yet");
    assert!(server.poll().is_none(), "a ping is not the peer's business");
    assert_eq!(next_reply(&client).result(), Ok(0));
    let stats = room.segment.report_port(0).unwrap().stats;
    assert_eq!(stats.get(Counter::Pings), 1);
}

/// INBOX-1
#[test]
fn a_peer_without_room_for_requests_still_answers_pings_and_takes_notices() {
    let room = Room::new();
    let options = BindOptions::default().held_max(1);
    let server = room.segment.bind(0, &options).unwrap();
    let client = room.bind_dynamic();
    let first_request = send(&client, &server, OpCode::READ);
    send(&client, &server, OpCode::READ);
    let held = next_request(&server);
    assert!(server.poll().is_none(), "no room for the second");
    assert!(!server.has_news());

    send(&client, &server, OpCode::PING);
    client.cancel(first_request).unwrap();
    send(&client, &server, OpCode::RECALL);
    assert!(server.has_news());
    let cancel = next_notice(&server);
    assert!(cancel.cancels(&held));
    cancel.answer(0);
    next_notice(&server).answer(0);
    assert_eq!(server.held(), 1, "notices do not count");
    held.fail(Errno::CANCELED);
    next_request(&server).answer(0);

    let mut answers = Vec::new();
    while let Some(event) = client.poll() {
        let Event::Reply(reply) = event else {
            panic!("{event:?}");
        };
        answers.push(reply.result());
    }
    // Ping, recall, the cancelled one, the second one; the notice of cancelling is nobody's answer.
    assert_eq!(answers, [Ok(0), Ok(0), Err(Errno::CANCELED), Ok(0)]);
    drop((client, server));
    assert_all_free(&room.segment);
}

#[test]
fn a_cancellation_means_one_request_and_no_other() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    send(&client, &server, OpCode::READ);
    let meant = send(&client, &server, OpCode::READ);
    let (one, two) = (next_request(&server), next_request(&server));
    client.cancel(meant).unwrap();
    let cancel = next_notice(&server);
    assert!(!cancel.cancels(&one));
    assert!(cancel.cancels(&two));
    assert!(!one.cancels(&two));
    cancel.answer(0);
    one.answer(0);
    two.fail(Errno::CANCELED);
}

#[test]
fn what_was_answered_cannot_be_cancelled_any_more() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    let ticket = send(&client, &server, OpCode::READ);
    next_request(&server).answer(0);
    drop(next_reply(&client));
    client.cancel(ticket).unwrap();
    assert!(server.poll().is_none());
}

#[test]
fn notices_come_before_answers_and_answers_before_requests() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    send(&server, &client, OpCode::READ);
    send(&client, &server, OpCode::READ);
    next_request(&client).answer(5);
    send(&client, &server, OpCode::RECALL);
    let Event::Notice(notice) = first(&server) else {
        panic!("the notice is first");
    };
    let Event::Reply(reply) = first(&server) else {
        panic!("the answer is second");
    };
    let Event::Request(request) = first(&server) else {
        panic!("the request is third");
    };
    assert_eq!(reply.result(), Ok(5));
    notice.answer(0);
    request.answer(0);
}

#[test]
fn each_known_operation_has_a_name_and_its_lane() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    for info in xseg::OPERATIONS
        .iter()
        .filter(|info| info.code != OpCode::PING)
    {
        send(&client, &server, info.code);
        match first(&server) {
            Event::Notice(incoming) if info.is_notice => incoming.unsupported(),
            Event::Request(incoming) if !info.is_notice => incoming.unsupported(),
            other => panic!("{}: {other:?}", info.name),
        }
        assert_eq!(info.code.to_string(), info.name);
        assert_eq!(next_reply(&client).result(), Err(Errno::OPNOTSUPP));
    }
}
