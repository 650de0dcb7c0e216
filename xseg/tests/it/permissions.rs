//! Who may join what (F62, F63). As root the tests act as several users; as anybody else, as that user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use xseg::{CreateOptions, JoinOptions, Place, SegmentError};

use crate::support::{NOBODY, Parent, Room, WorkerOptions, assert_all_free, directory, is_root};
use crate::support::{next_reply, next_request, small, variant};

/// A user that is neither root nor nobody.
const SOMEBODY: u32 = 12_345;

/// Joins as this worker's user and says how it went.
pub fn join_and_tell(parent: &mut Parent) {
    let joined = JoinOptions::new().join(parent.place());
    parent.say(joined.map_or_else(|error| variant(&error), |_| "joined".to_owned()));
}

pub fn create_and_tell(parent: &mut Parent) {
    let created = CreateOptions::new(small()).create(parent.place());
    parent.say(created.map_or_else(|error| variant(&error), |_| "created".to_owned()));
}

#[track_caller]
fn as_nobody(task: &str, place: &Place, outcome: &str) {
    let mut worker = WorkerOptions::in_place(place).user(NOBODY).start(task);
    worker.expect(outcome);
    worker.finish();
}

#[test]
fn a_segment_without_permission_for_us_is_not_joined() {
    let room = Room::new();
    if is_root() {
        as_nobody("join_and_tell", room.place(), "Permission");
        return;
    }
    fs::set_permissions(room.place().path(), Permissions::from_mode(0o000)).unwrap();
    let error = JoinOptions::new().join(room.place()).unwrap_err();
    assert!(matches!(error, SegmentError::Permission { .. }), "{error}");
}

#[test]
fn where_we_may_not_write_we_do_not_create() {
    let directory = directory();
    let place = Place::within(directory.path(), "segment").unwrap();
    if is_root() {
        as_nobody("create_and_tell", &place, "Permission");
        return;
    }
    fs::set_permissions(directory.path(), Permissions::from_mode(0o555)).unwrap();
    let error = CreateOptions::new(small()).create(&place).unwrap_err();
    assert!(matches!(error, SegmentError::Permission { .. }), "{error}");
}

#[test]
fn members_of_the_segments_group_join_it_and_work() {
    if !is_root() {
        println!("only root can give a segment to another group: passed over");
        return;
    }
    let directory = directory();
    let place = Place::within(directory.path(), "segment").unwrap();
    let options = CreateOptions::new(small()).group(NOBODY);
    let segment = options.create(&place).unwrap();
    let server = segment.bind(0, &Default::default()).unwrap();
    let worker = WorkerOptions::in_place(&place)
        .user(NOBODY)
        .start("ping_once");
    next_request(&server).answer(17);
    worker.finish();
    drop(server);
    assert_all_free(&segment);
}

/// One request to port 0, answered with 17.
pub fn ping_once(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind_dynamic(&Default::default()).unwrap();
    let draft = port.draft(xseg::OpCode::INFO).unwrap();
    draft.send(segment.geometry().port(0).unwrap()).unwrap();
    assert_eq!(next_reply(&port).result(), Ok(17));
}

/// A stranger's file could hold anything, even if our rights let us open it.
#[test]
fn a_strangers_segment_is_joined_only_if_its_owner_is_named() {
    if !is_root() {
        println!("only root can give a file away: passed over");
        return;
    }
    let room = Room::new();
    chown(room.place().path(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    let error = JoinOptions::new().join(room.place()).unwrap_err();
    let SegmentError::ForeignOwner { uid, gid, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((uid, gid), (SOMEBODY, SOMEBODY));
    let trusting = JoinOptions::new().trust_owner(SOMEBODY);
    assert!(trusting.join(room.place()).is_ok());
    let trusts_another = JoinOptions::new().trust_owner(SOMEBODY + 1);
    assert!(trusts_another.join(room.place()).is_err());
}

#[test]
fn a_strangers_segment_of_our_group_is_joined() {
    if !is_root() {
        println!("only root can give a file away: passed over");
        return;
    }
    let room = Room::new();
    chown(room.place().path(), Some(SOMEBODY), Some(NOBODY)).unwrap();
    as_nobody("join_and_tell", room.place(), "joined");
    chown(room.place().path(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    as_nobody("join_and_tell", room.place(), "Permission");
    // Writable for everybody is for nobody.
    fs::set_permissions(room.place().path(), Permissions::from_mode(0o666)).unwrap();
    as_nobody("join_and_tell", room.place(), "ForeignOwner");
}

/// The bait: a file that a user laid under a name that root's programs use.
#[test]
fn root_does_not_fall_for_a_segment_that_a_user_prepared() {
    if !is_root() {
        println!("only root can play both parts: passed over");
        return;
    }
    let directory = directory();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).unwrap();
    let place = Place::within(directory.path(), "segment").unwrap();
    as_nobody("create_and_tell", &place, "created");
    let error = JoinOptions::new().join(&place).unwrap_err();
    assert!(
        matches!(error, SegmentError::ForeignOwner { uid: NOBODY, .. }),
        "{error}"
    );
}
