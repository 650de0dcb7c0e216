//! Taking a segment away (F18, F67).

use std::fs;

use xseg::{CreateOptions, JoinOptions, OpCode, PortError, RequestError, Segment, SegmentError};

use crate::support::{Parent, Room, Words, Worker, small, until};

fn destroy(room: &Room, force: bool) -> Result<(), SegmentError> {
    Segment::destroy(room.place(), &JoinOptions::new(), force)
}

#[test]
fn a_segment_in_use_is_destroyed_only_by_force_and_names_its_user() {
    let room = Room::new();
    let mut worker = Worker::start("hold_port_2", &room.segment);
    worker.expect("bound");
    let error = destroy(&room, false).unwrap_err();
    let SegmentError::InUse { port, pid, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((port, pid), (room.port(2), worker.pid()));
    assert!(room.place().path().exists());
    destroy(&room, true).unwrap();
    assert!(!room.place().path().exists());
}

pub fn hold_port_2(parent: &mut Parent) {
    let segment = parent.join();
    let _port = segment.bind(2, &Default::default()).unwrap();
    parent.say("bound");
    parent.wait_for_death();
}

#[test]
fn a_segment_whose_users_are_dead_is_destroyed_without_force() {
    let room = Room::new();
    let mut worker = Worker::start("hold_port_2", &room.segment);
    worker.expect("bound");
    worker.kill();
    until("its lock is gone", || destroy(&room, false).is_ok());
    assert!(!room.place().path().exists());
}

#[test]
fn users_of_a_destroyed_segment_are_told_and_the_name_can_be_used_again() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    destroy(&room, true).unwrap();
    assert!(room.segment.is_destroyed());
    let draft = client.draft(OpCode::INFO).unwrap();
    assert_eq!(
        draft.send(server.id()).unwrap_err(),
        RequestError::Destroyed
    );
    let error = room.segment.bind(1, &Default::default()).unwrap_err();
    assert!(matches!(error, PortError::Destroyed), "{error}");
    let error = room.segment.bind_dynamic(&Default::default()).unwrap_err();
    assert!(matches!(error, PortError::Destroyed), "{error}");

    // F67: the new one is another one, and the old users notice.
    let new = CreateOptions::new(small()).create(room.place()).unwrap();
    assert_ne!(new.identity(), room.segment.identity());
    assert!(!new.is_destroyed());
    drop((server, client));
}

#[test]
fn users_of_a_destroyed_segment_finish_what_is_under_way() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    client
        .draft(OpCode::INFO)
        .unwrap()
        .send(server.id())
        .unwrap();
    destroy(&room, true).unwrap();
    crate::support::next_request(&server).answer(4);
    assert_eq!(crate::support::next_reply(&client).result(), Ok(4));
}

#[test]
fn a_sleeper_in_a_destroyed_segment_wakes_up() {
    let room = Room::new();
    let mut worker = Worker::start("sleep_until_destroyed", &room.segment);
    worker.expect("bound");
    until("it sleeps", || room.segment.report_port(2).unwrap().asleep);
    destroy(&room, true).unwrap();
    worker.expect("destroyed");
    worker.finish();
}

pub fn sleep_until_destroyed(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind(2, &Default::default()).unwrap();
    let options = xseg::WaiterOptions::default();
    let mut waiter = xseg::Waiter::new(&port, &options).unwrap();
    parent.say("bound");
    while !segment.is_destroyed() {
        waiter.wait(&[&port], None, |_| {}).unwrap();
    }
    parent.say("destroyed");
}

/// F18: killed between the mark and the unlink.
#[test]
fn a_segment_that_is_destroyed_and_still_has_its_name_is_told_and_can_be_destroyed() {
    let room = Room::new();
    Words::open(room.place().path()).set_u32(60, 2);
    let error = JoinOptions::new().join(room.place()).unwrap_err();
    assert!(matches!(error, SegmentError::Destroyed { .. }), "{error}");
    destroy(&room, false).unwrap();
    assert!(!room.place().path().exists());
}

#[test]
fn what_is_no_segment_is_removed_only_by_force_and_only_if_it_is_a_plain_file() {
    let room = Room::new();
    fs::write(room.place().path(), [7_u8; 5000]).unwrap();
    let error = destroy(&room, false).unwrap_err();
    assert!(matches!(error, SegmentError::BadMagic { .. }), "{error}");
    destroy(&room, true).unwrap();
    assert!(!room.place().path().exists());

    fs::create_dir(room.place().path()).unwrap();
    assert!(destroy(&room, true).is_err());
    assert!(room.place().path().exists());
}

#[test]
fn what_is_not_there_cannot_be_destroyed() {
    let room = Room::new();
    destroy(&room, false).unwrap();
    let error = destroy(&room, true).unwrap_err();
    assert!(matches!(error, SegmentError::NotFound { .. }), "{error}");
}
