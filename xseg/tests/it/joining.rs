//! What lies under a segment's name and is no segment of ours (F56, F63): refused, never followed, never waited for.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode};
use xseg::{CreateOptions, JoinOptions, Place, Segment, SegmentError};

use crate::support::{Room, directory, small};

fn join(directory: &Path) -> Result<Segment, SegmentError> {
    JoinOptions::new().join(&Place::within(directory, "segment").unwrap())
}

#[test]
fn a_name_that_nothing_bears_is_not_found() {
    let directory = directory();
    let error = join(directory.path()).unwrap_err();
    assert!(matches!(error, SegmentError::NotFound { .. }), "{error}");
}

/// JOIN-1
#[test]
fn a_symbolic_link_is_not_followed_even_to_a_good_segment() {
    let room = Room::new();
    let directory = directory();
    symlink(room.place().path(), directory.path().join("segment")).unwrap();
    let error = join(directory.path()).unwrap_err();
    assert!(matches!(error, SegmentError::NotAFile { .. }), "{error}");
}

/// JOIN-1: opening a fifo would wait for its other end.
#[test]
fn a_fifo_a_directory_and_a_device_are_no_segments_and_nobody_waits() {
    let fifo = directory();
    let path = fifo.path().join("segment");
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let error = join(fifo.path()).unwrap_err();
    assert!(matches!(error, SegmentError::NotAFile { .. }), "{error}");

    let nested = directory();
    fs::create_dir(nested.path().join("segment")).unwrap();
    let error = join(nested.path()).unwrap_err();
    assert!(matches!(error, SegmentError::NotAFile { .. }), "{error}");

    let null = Place::within(Path::new("/dev"), "null").unwrap();
    let error = JoinOptions::new().join(&null).unwrap_err();
    assert!(matches!(error, SegmentError::NotAFile { .. }), "{error}");
}

#[test]
fn a_file_that_was_there_before_is_neither_joined_nor_overwritten() {
    let directory = directory();
    let path = directory.path().join("segment");
    fs::write(&path, b"precious").unwrap();
    let error = join(directory.path()).unwrap_err();
    assert!(matches!(error, SegmentError::TooShort { .. }), "{error}");
    let place = Place::within(directory.path(), "segment").unwrap();
    let error = CreateOptions::new(small()).create(&place).unwrap_err();
    assert!(matches!(error, SegmentError::Exists { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_file_full_of_something_else_has_no_magic() {
    let directory = directory();
    fs::write(directory.path().join("segment"), vec![b'x'; 1 << 16]).unwrap();
    let error = join(directory.path()).unwrap_err();
    assert!(matches!(error, SegmentError::BadMagic { .. }), "{error}");
}

/// Anybody could have written it: its words are worth nothing.
#[test]
fn a_segment_that_all_the_world_can_write_is_refused() {
    let room = Room::new();
    fs::set_permissions(room.place().path(), Permissions::from_mode(0o666)).unwrap();
    let error = JoinOptions::new().join(room.place()).unwrap_err();
    assert!(
        matches!(error, SegmentError::ForeignOwner { mode: 0o666, .. }),
        "{error}"
    );
}

#[test]
fn a_link_that_dangles_is_in_the_way_of_creation() {
    let directory = directory();
    symlink("nowhere", directory.path().join("segment")).unwrap();
    let place = Place::within(directory.path(), "segment").unwrap();
    let error = CreateOptions::new(small()).create(&place).unwrap_err();
    assert!(matches!(error, SegmentError::Exists { .. }), "{error}");
    assert!(!directory.path().join("nowhere").exists());
}

/// MAP-1: addresses come from the mapping's own length, so a file that grows or a header that changes does nothing.
#[test]
fn what_happens_to_the_header_after_joining_moves_nothing() {
    let room = Room::new();
    let joined = room.join();
    let words = crate::support::Words::open(room.place().path());
    words.set_u32(48, 16_000); // ports
    words.set_u32(56, 1_000_000); // requests
    File::options()
        .write(true)
        .open(room.place().path())
        .and_then(|file| file.set_len(joined.geometry().size_bytes() * 2))
        .unwrap();
    assert_eq!(joined.geometry(), &small());
    let port = joined.bind(0, &Default::default()).unwrap();
    assert!(port.poll().is_none());
    assert_eq!(joined.report().requests_free, 64);
}
