//! A composer that is killed while a part of a request is away (S7): nobody uses the buffer before that part has ended.

use xseg::{BindOptions, Errno, OpCode, Port};

use crate::support::{
    Parent, Room, WorkerOptions, assert_all_free, next_reply, next_request, until,
};

const STORE: u32 = 1;

/// Takes a request on port 0, or on a dynamic one, sends a part of it to the store, and waits for its end.
pub fn send_a_part(parent: &mut Parent) {
    let segment = parent.join();
    let port = match parent.args()[0] {
        "static" => segment.bind(0, &BindOptions::default()).unwrap(),
        _ => segment.bind_dynamic(&BindOptions::default()).unwrap(),
    };
    parent.say(port.id());
    let whole = next_request(&port);
    let mut part = port.draft(OpCode::READ).unwrap();
    part.view(&whole, 0, 4096).unwrap();
    part.send(segment.geometry().port(STORE).unwrap()).unwrap();
    parent.say("sent");
    parent.wait_for_death();
}

/// A client, a store that holds a part, and a composer that was just killed; and the composer's port.
fn killed_composer(room: &Room, kind: &str) -> (Port, Port, xseg::Incoming, u32) {
    let (client, store) = (room.bind_dynamic(), room.bind(STORE));
    let mut composer = WorkerOptions::at(&room.segment)
        .arg(kind)
        .start("send_a_part");
    let number: u32 = composer.hear().parse().unwrap();
    let mut draft = client.draft(OpCode::READ).unwrap();
    draft.attach(client.buffer(8192).unwrap(), 8192).unwrap();
    draft.send(room.port(number)).unwrap();
    composer.expect("sent");
    let part = next_request(&store);
    composer.kill();
    (client, store, part, number)
}

/// RECOVER-3
#[test]
fn the_whole_is_redelivered_only_when_the_part_has_ended() {
    let room = Room::new();
    let (client, store, part, _) = killed_composer(&room, "static");
    let heir = room.bind(0);
    assert!(heir.poll().is_none(), "the store may still write to it");
    assert!(!heir.has_news());
    assert_eq!(heir.orphans(), 1);
    part.data().unwrap().fill(0x55);
    part.answer(4096);
    let whole = next_request(&heir);
    assert!(whole.request().redelivered);
    whole.data().unwrap().fill(0x66);
    whole.answer(8192);
    let reply = next_reply(&client);
    let mut bytes = [0; 4096];
    reply.data().unwrap().read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0x66; 4096]);
    drop(reply);
    drop((client, store, heir));
    assert_all_free(&room.segment);
}

#[test]
fn a_sleeping_successor_is_woken_when_the_part_has_ended() {
    let room = Room::new();
    let (client, store, part, _) = killed_composer(&room, "static");
    let mut heir = WorkerOptions::at(&room.segment).start("take_requests");
    heir.expect("ready");
    heir.say(1);
    until("it sleeps", || room.segment.report_port(0).unwrap().asleep);
    assert!(client.poll().is_none());
    part.answer(0);
    heir.expect("taken");
    assert_eq!(next_reply(&client).result(), Ok(0));
    drop((client, store));
}

/// EMPTY-2: the dynamic composer has no successor: its request is failed, but not before the part has ended.
#[test]
fn the_requester_of_a_dynamic_composer_gets_no_answer_before_the_part_has_ended() {
    let room = Room::new();
    let (client, store, part, number) = killed_composer(&room, "dynamic");
    until("its death is settled", || {
        room.segment
            .settle(number)
            .is_ok_and(|settled| settled.waiting == 1)
    });
    assert!(
        client.poll().is_none(),
        "the store may still write to its buffer"
    );
    part.data().unwrap().fill(0x55);
    part.answer(4096);
    room.segment.settle_all().unwrap();
    assert_eq!(next_reply(&client).result(), Err(Errno::CONNRESET));
    drop((client, store));
    assert_all_free(&room.segment);
}

/// DELIVERY-3: three owners of one buffer are dead; the last record on it frees it.
#[test]
fn a_buffer_outlives_all_its_dead_users_until_its_last_record_ends() {
    let room = Room::new();
    let (client, store, part, _) = killed_composer(&room, "static");
    drop(client);
    until("its death is settled", || room.segment.settle(0).is_ok());
    assert_eq!(room.segment.report().buffers_free[1], 31);
    let heir = room.bind(0);
    part.answer(0);
    assert_eq!(
        room.segment.report().buffers_free[1],
        31,
        "the whole is still there"
    );
    next_request(&heir).answer(0);
    drop((store, heir));
    assert_all_free(&room.segment);
}
