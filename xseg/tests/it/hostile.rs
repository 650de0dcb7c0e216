//! A hostile or broken peer writes what it likes (F57, F58, F59): an error for whom it concerns, never a crash, an
//! endless loop or an access outside the mapping, and others live on.

use proptest::prelude::*;
use xseg::{Counter, Errno, Event, Geometry, OpCode, Port};

use crate::support::{Room, Words, next_reply, next_request};

const PORTS_AT: u64 = 4096;
const PORT_BYTES: u64 = 512;
const STATS_BYTES: u64 = 2304;
const REQUEST_BYTES: u64 = 896;

fn requests_at(geometry: &Geometry) -> u64 {
    let ports = u64::from(geometry.ports());
    (PORTS_AT + ports * (PORT_BYTES + STATS_BYTES)).next_multiple_of(4096)
}

/// The record of the only request that is away from port 4 or later.
fn only_sent_record(room: &Room) -> u64 {
    let reports = room.segment.inspect(0).unwrap();
    assert_eq!(reports.len(), 1);
    requests_at(room.segment.geometry()) + u64::from(reports[0].slot) * REQUEST_BYTES
}

fn send(client: &Port, server: &Port) {
    let mut draft = client.draft(OpCode::WRITE).unwrap();
    draft.attach(client.buffer(4096).unwrap(), 4096).unwrap();
    draft.send(server.id()).unwrap();
}

/// MAP-1: data that would lie outside its buffer is refused, and the requester hears of it.
#[test]
fn a_request_whose_data_lie_elsewhere_is_answered_with_an_error_and_reported() {
    for (at, value) in [
        (56, 0),
        (56, u64::MAX),
        (64, 4097),
        (64, u64::MAX),
        (72, 9999),
    ] {
        let room = Room::new();
        let (server, client) = (room.bind(0), room.bind_dynamic());
        send(&client, &server);
        let record = only_sent_record(&room);
        let words = Words::open(room.place().path());
        match at {
            72 => words.set_u32(record + at, value as u32),
            _ => words.set_u64(record + at, value),
        }
        let Some(Event::Corrupt(corruption)) = server.poll() else {
            panic!("{at} {value}");
        };
        assert_eq!(corruption.port, server.id());
        assert_eq!(corruption.errno(), Errno::UCLEAN);
        assert!(corruption.to_string().contains("port 0"), "{corruption}");
        assert_eq!(next_reply(&client).result(), Err(Errno::UCLEAN));
        // The port works on.
        send(&client, &server);
        next_request(&server).answer(1);
        assert_eq!(next_reply(&client).result(), Ok(1));
    }
}

/// F58: what the server decided on is its own copy.
#[test]
fn a_request_that_changes_after_it_was_taken_stays_what_it_was() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    send(&client, &server);
    let record = only_sent_record(&room);
    let request = next_request(&server);
    let before = request.request();
    let range = request.data().unwrap().range();
    let words = Words::open(room.place().path());
    words.set_u32(record + 24, 0xffff); // op
    for word in [32, 40, 48, 56, 64, 96] {
        words.set_u64(record + word, u64::MAX);
    }
    assert_eq!(format!("{before:?}"), format!("{:?}", request.request()));
    assert_eq!(request.data().unwrap().range(), range);
    request.data().unwrap().fill(1);
    request.answer(0);
    drop(next_reply(&client));
}

/// INBOX-2 (F59): an answer that nobody asked for is none.
#[test]
fn a_forged_answer_is_not_believed() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    // A record that the server sends to itself is turned into an answer for the client.
    server
        .draft(OpCode::READ)
        .unwrap()
        .send(server.id())
        .unwrap();
    let record = only_sent_record(&room);
    let words = Words::open(room.place().path());
    let slot = (record - requests_at(room.segment.geometry())) / REQUEST_BYTES;
    let client_number = u64::from(client.id().get());
    words.set_u64(record, 2 << 60 | client_number << 46 | 1); // sent(client) by port 0, generation 1
    words.set_u32(record + 76, 1); // lane: replies, place 0
    words.set_u64(record + 8, 0);
    words.set_u64(PORTS_AT + client_number * PORT_BYTES + 64, 1 << 32 | slot); // replies_head
    match client.poll() {
        Some(Event::Corrupt(corruption)) => assert_eq!(corruption.port, client.id()),
        other => panic!("{other:?}"),
    }
    let stats = room.segment.report_port(client.id().get()).unwrap().stats;
    assert_eq!(stats.get(Counter::Strays), 1);
}

#[test]
fn an_answer_that_was_tampered_with_is_an_error_and_gives_no_foreign_buffer() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    send(&client, &server);
    let record = only_sent_record(&room);
    let words = Words::open(room.place().path());
    next_request(&server).answer(4096);
    words.set_u64(record + 16, 0); // serial
    words.set_u32(record + 72, 1); // buffer: the first of all
    words.set_u64(record + 56, 0); // data_at
    words.set_u64(record + 64, u64::MAX); // data_len
    let reply = next_reply(&client);
    assert_eq!(reply.result(), Err(Errno::UCLEAN));
    // What the client knows of its own buffer did not pass through the segment.
    assert_eq!(reply.data().unwrap().len(), 4096);
    reply.data().unwrap().fill(1);
}

#[test]
fn an_impossible_errno_is_an_error_too() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    for errno in [4096, 1 << 31, u32::MAX] {
        send(&client, &server);
        let record = only_sent_record(&room);
        next_request(&server).answer(0);
        Words::open(room.place().path()).set_u32(record + 88, errno);
        assert_eq!(next_reply(&client).result(), Err(Errno::UCLEAN));
    }
}

#[test]
fn a_request_without_a_way_back_is_dropped_and_reported() {
    for depth in [0, 11, u32::MAX] {
        let room = Room::new();
        let (server, client) = (room.bind(0), room.bind_dynamic());
        send(&client, &server);
        let record = only_sent_record(&room);
        Words::open(room.place().path()).set_u32(record + 92, depth);
        assert!(matches!(server.poll(), Some(Event::Corrupt(_))), "{depth}");
        assert!(server.poll().is_none());
    }
}

/// LANE-5
#[test]
fn a_lane_that_runs_in_a_circle_is_cut_off_and_reported() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    send(&client, &server);
    let record = only_sent_record(&room);
    let words = Words::open(room.place().path());
    let head = words.u64(PORTS_AT);
    words.set_u64(record + 8, head); // leads to itself
    assert_eq!(room.segment.verify().len(), 1);
    assert!(matches!(server.poll(), Some(Event::Corrupt(_))));
    assert!(server.poll().is_none());
    send(&client, &server);
    next_request(&server).answer(0);
}

#[derive(Clone, Debug)]
enum Step {
    Send,
    Poll,
    AnswerOne,
    /// Writes this value at this word of the tables.
    Scribble(u64, u64),
    Look,
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = prop_oneof![
        any::<u64>(),
        0..16_u64,
        (0..4_u64, 0..9_u64, 0..9_u64, 0..3_u64).prop_map(|(state, to, by, generation)| state
            << 60
            | to << 46
            | by << 32
            | generation),
    ];
    let step = prop_oneof![
        3 => Just(Step::Send),
        4 => Just(Step::Poll),
        2 => Just(Step::AnswerOne),
        // Header words, ports, and the first requests: not the statistics.
        3 => (prop_oneof![0..32_u64, 512..1024_u64, 3328..4600_u64], value)
            .prop_map(|(word, value)| Step::Scribble(word, value)),
        1 => Just(Step::Look),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// S4: everything ends, nothing panics, whatever somebody scribbles into the tables meanwhile.
    #[test]
    fn ports_survive_a_peer_that_scribbles_over_the_tables(steps in steps()) {
        let room = Room::of(Geometry::new(8, 4, 16).unwrap().with_buffers(4096, 8).unwrap());
        let words = Words::open(room.place().path());
        let (server, client) = (room.bind(0), room.bind_dynamic());
        let other = room.join();
        let mut held = Vec::new();
        for step in steps {
            match step {
                Step::Send => {
                    if let Ok(mut draft) = client.draft(OpCode::READ) {
                        if let Ok(buffer) = client.buffer(100) {
                            draft.attach(buffer, 100).unwrap();
                        }
                        let _ = draft.send(server.id());
                    }
                }
                Step::Poll => {
                    for port in [&server, &client] {
                        match port.poll() {
                            Some(Event::Request(one) | Event::Notice(one)) => held.push(one),
                            Some(Event::Returning(one)) => one.pass_on(),
                            Some(Event::Reply(_) | Event::Corrupt(_)) | None => {}
                        }
                    }
                }
                Step::AnswerOne => if let Some(request) = held.pop() {
                    if let Some(data) = request.data() {
                        data.fill(3);
                    }
                    request.answer(0);
                },
                Step::Scribble(word, value) => words.set_u64(word * 8, value),
                Step::Look => {
                    let _ = (other.report(), other.verify(), other.inspect(0).unwrap());
                }
                Step::Settle => drop(other.settle_all()),
            }
        }
        held.into_iter().for_each(|request| request.answer(0));
    }
}
