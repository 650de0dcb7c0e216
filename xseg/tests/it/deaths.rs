//! Processes that are killed (F1, F2, F9, F11, F12, F14): nothing is lost, nothing leaks, nothing comes twice.

use xseg::{BindOptions, Errno, Finding, Life, OpCode, Port, Settled};

use crate::support::{Parent, Room, Worker, WorkerOptions, assert_all_free, next_reply};
use crate::support::{next_request, until};

fn send(client: &Port, to: xseg::PortId, handle: u64) {
    let mut draft = client.draft(OpCode::WRITE).unwrap();
    draft.set_handle(handle);
    draft.attach(client.buffer(4096).unwrap(), 4096).unwrap();
    draft.send(to).unwrap();
}

/// A client that has some of everything: a stock, buffers, drafts, an answer that it has not looked at, and
/// requests with the server and in its inbox.
pub fn have_everything(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind_dynamic(&BindOptions::default()).unwrap();
    let server = segment.geometry().port(0).unwrap();
    let _buffers = [port.buffer(1).unwrap(), port.buffer(100_000).unwrap()];
    let mut draft = port.draft(OpCode::WRITE).unwrap();
    draft.attach(port.buffer(5000).unwrap(), 10).unwrap();
    for handle in 0..6 {
        send(&port, server, handle);
    }
    parent.say(port.id());
    assert_eq!(parent.hear(), "read one answer");
    let _reply = next_reply(&port);
    parent.say("read");
    parent.wait_for_death();
}

#[test]
fn a_killed_clients_belongings_are_all_free_after_settlement_and_answers() {
    let room = Room::new();
    let server = room.bind(0);
    let mut client = Worker::start("have_everything", &room.segment);
    let number: u32 = client.hear().parse().unwrap();
    next_request(&server).answer(0);
    next_request(&server).answer(0);
    let held = [next_request(&server), next_request(&server)];
    client.say("read one answer");
    client.expect("read");
    client.kill();

    let settle = || room.segment.settle(number);
    until("its death is settled", || {
        settle().is_ok_and(|settled| settled.ports == 1)
    });
    let report = room.segment.report();
    assert_eq!(report.requests_held, 2);
    assert_eq!(report.requests_sent, 2, "in the server's inbox");
    assert_eq!(
        report.buffers_free[0], 60,
        "under the requests that the server has"
    );
    for request in held {
        request.data().unwrap().fill(1);
        request.answer(4096);
    }
    next_request(&server).fail(Errno::IO);
    next_request(&server).answer(0);
    drop(server);
    assert_all_free(&room.segment);
}

/// Takes as many requests as it is told and answers none.
pub fn take_and_hold(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    let count: usize = parent.args()[0].parse().unwrap();
    let held: Vec<_> = (0..count).map(|_| next_request(&port)).collect();
    for request in &held {
        request.data().unwrap().fill(0xaa); // it had begun
    }
    parent.say("taken");
    parent.wait_for_death();
}

/// RECOVER-1, LANE-2
#[test]
fn a_killed_servers_successor_gets_what_it_held_marked_and_the_rest_as_it_was() {
    for held in [0, 2, 5] {
        let room = Room::new();
        let client = room.bind_dynamic();
        drop(room.bind(0)); // so that requests can wait for it
        for handle in 0..5 {
            send(&client, room.port(0), handle);
        }
        let mut server = WorkerOptions::at(&room.segment)
            .arg(held)
            .start("take_and_hold");
        server.expect("taken");
        server.kill();

        let heir = room.bind(0);
        let mut redelivered = Vec::new();
        for _ in 0..5 {
            let request = next_request(&heir);
            if request.request().redelivered {
                redelivered.push(request.request().handle);
            }
            let answer = request.request().handle + 100;
            request.answer(answer);
        }
        redelivered.sort_unstable();
        assert_eq!(redelivered, (0..held).collect::<Vec<_>>());
        assert!(heir.poll().is_none());
        let mut answers: Vec<_> = (0..5)
            .map(|_| next_reply(&client).result().unwrap())
            .collect();
        answers.sort_unstable();
        assert_eq!(answers, [100, 101, 102, 103, 104], "one answer each");
        assert!(client.poll().is_none());
        drop((client, heir));
        assert_all_free(&room.segment);
    }
}

/// INBOX-1: what a predecessor held waits like everything else until the successor serves, one request at a time.
#[test]
fn a_successor_is_handed_what_its_predecessor_held_only_when_it_has_room() {
    let room = Room::new();
    let client = room.bind_dynamic();
    drop(room.bind(0)); // so that requests can wait for it
    for handle in 0..3 {
        send(&client, room.port(0), handle);
    }
    let mut server = WorkerOptions::at(&room.segment)
        .arg(3)
        .start("take_and_hold");
    server.expect("taken");
    server.kill();

    let heir = room
        .segment
        .bind(0, &BindOptions::default().held_max(0))
        .unwrap();
    assert!(heir.poll().is_none());
    assert!(!heir.has_news());
    heir.set_held_max(1);
    for _ in 0..3 {
        assert!(heir.has_news());
        let request = next_request(&heir);
        assert!(request.request().redelivered);
        assert!(heir.poll().is_none());
        request.answer(0);
    }
    assert!(heir.poll().is_none());
    for _ in 0..3 {
        drop(next_reply(&client));
    }
    drop((client, heir));
    assert_all_free(&room.segment);
}

/// DELIVERY-1
#[test]
fn who_holds_a_request_can_tell_that_its_asker_is_gone() {
    let room = Room::new();
    let (client, server) = (room.bind_dynamic(), room.bind(0));
    send(&client, room.port(0), 1);
    let request = next_request(&server);
    assert!(request.has_asker());
    drop(client);
    assert!(!request.has_asker());
    // Another one at its port is another one.
    let other = room.bind_dynamic();
    assert!(!request.has_asker());
    request.answer(0);
    drop((other, server));
    assert_all_free(&room.segment);
}

/// SETTLE-3
#[test]
fn after_settlement_a_static_port_is_vacant_and_what_was_sent_to_it_waits() {
    let room = Room::new();
    let client = room.bind_dynamic();
    drop(room.bind(0));
    for handle in 0..4 {
        send(&client, room.port(0), handle);
    }
    let mut server = WorkerOptions::at(&room.segment)
        .arg(2)
        .start("take_and_hold");
    server.expect("taken");
    assert_eq!(room.segment.verify(), []);
    server.kill();
    let dead = |finding: &Finding| matches!(finding, Finding::DeadPort { .. });
    until("its I/O is over", || room.segment.verify().iter().any(dead));

    let settled = room.segment.settle(0).unwrap();
    assert_eq!((settled.ports, settled.waiting), (1, 2));
    let life = room.segment.report_port(0).unwrap().life;
    assert!(matches!(life, Life::Vacant { .. }));
    send(&client, room.port(0), 4);
    assert!(client.poll().is_none());
    // Whatever is left to do waits for the successor; settling again finds no more of the dead.
    assert_eq!(room.segment.settle_all().unwrap(), Settled::default());
    assert!(
        room.segment
            .verify()
            .iter()
            .all(|finding| !finding.is_mended_by_settling())
    );

    let heir = room.bind(0);
    for _ in 0..5 {
        next_request(&heir).answer(0);
    }
    (0..5).for_each(|_| drop(next_reply(&client)));
    drop((client, heir));
    assert_all_free(&room.segment);
}

#[test]
fn a_request_of_a_dead_requester_still_reaches_the_server_and_its_answer_is_an_orphan() {
    let room = Room::new();
    drop(room.bind(0));
    let mut client = Worker::start("have_everything", &room.segment);
    client.hear();
    client.kill();
    until("its death is settled", || {
        room.segment.settle_all().unwrap().ports == 1
    });
    let server = room.bind(0);
    for _ in 0..6 {
        next_request(&server).answer(0);
    }
    drop(server);
    assert_all_free(&room.segment);
}

/// A dynamic port with two requests: one held, one in the inbox.
pub fn serve_dynamically(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind_dynamic(&BindOptions::default()).unwrap();
    parent.say(port.id());
    let _held = next_request(&port);
    parent.say("taken");
    parent.wait_for_death();
}

#[test]
fn requests_to_a_killed_dynamic_port_are_failed_since_nobody_follows() {
    let room = Room::new();
    let client = room.bind_dynamic();
    let mut server = Worker::start("serve_dynamically", &room.segment);
    let number: u32 = server.hear().parse().unwrap();
    send(&client, room.port(number), 1);
    send(&client, room.port(number), 2);
    server.expect("taken");
    server.kill();
    until("its death is settled", || {
        room.segment.settle_all().unwrap().ports == 1
    });
    for _ in 0..2 {
        assert_eq!(next_reply(&client).result(), Err(Errno::CONNRESET));
    }
    drop(client);
    assert_all_free(&room.segment);
}

#[test]
fn a_dead_clients_dynamic_port_is_given_to_the_next_one_without_anybody_settling() {
    let room = Room::new();
    let server = room.bind(0);
    let mut first = Worker::start("have_everything", &room.segment);
    first.hear();
    first.kill();
    // More clients than there are ports: one of them gets the dead one's.
    until("the port can be had", || {
        let clients: Vec<_> =
            std::iter::from_fn(|| room.segment.bind_dynamic(&BindOptions::default()).ok())
                .collect();
        clients.len() == 4
    });
    for _ in 0..6 {
        next_request(&server).answer(0);
    }
    drop(server);
    assert_all_free(&room.segment);
}
