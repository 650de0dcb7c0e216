//! Segments without a name (F61): sealed, and handed over by descriptor.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::MemfdFlags;
use rustix::io::FdFlags;
use xseg::{CreateOptions, JoinOptions, OpCode, Segment, SegmentError};

use crate::support::{Parent, WorkerOptions, assert_all_free, next_reply, next_request, small};

fn private() -> Segment {
    CreateOptions::new(small()).create_private().unwrap()
}

#[test]
fn a_private_segment_can_neither_shrink_nor_grow() {
    let segment = private();
    let size = segment.geometry().size_bytes();
    for length in [0, 4096, size - 4096, size + 4096] {
        let error = rustix::fs::ftruncate(&segment, length).unwrap_err();
        assert_eq!(error, xseg::Errno::PERM, "to {length} bytes");
    }
    let seals = rustix::fs::fcntl_get_seals(&segment).unwrap();
    let more = rustix::fs::fcntl_add_seals(&segment, rustix::fs::SealFlags::WRITE);
    assert_eq!(more, Err(xseg::Errno::PERM), "{seals:?} are final");
}

#[test]
fn a_child_that_inherits_the_descriptor_joins_the_segment() {
    let segment = private();
    let server = segment.bind(0, &Default::default()).unwrap();
    let inherited = segment.as_fd().try_clone_to_owned().unwrap();
    rustix::io::fcntl_setfd(&inherited, FdFlags::empty()).unwrap();
    let worker = WorkerOptions::default()
        .arg(inherited.as_raw_fd())
        .start("join_inherited");
    drop(inherited);
    let request = next_request(&server);
    let mut bytes = [0; 5];
    request.data().unwrap().read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"child");
    request.answer(5);
    worker.finish();
    drop(server);
    assert_all_free(&segment);
}

pub fn join_inherited(parent: &mut Parent) {
    let path = format!("/proc/self/fd/{}", parent.args()[0]);
    let file = File::options().read(true).write(true).open(path).unwrap();
    let segment = JoinOptions::new().join_fd(file.into()).unwrap();
    let port = segment.bind_dynamic(&Default::default()).unwrap();
    let buffer = port.buffer(5).unwrap();
    buffer.data().write(0, b"child").unwrap();
    let mut draft = port.draft(OpCode::WRITE).unwrap();
    draft.attach(buffer, 5).unwrap();
    draft.send(segment.geometry().port(0).unwrap()).unwrap();
    assert_eq!(next_reply(&port).result(), Ok(5));
}

#[test]
fn a_descriptor_of_a_file_that_can_shrink_is_refused() {
    let room = crate::support::Room::new();
    let named = room.segment.as_fd().try_clone_to_owned().unwrap();
    let error = JoinOptions::new().join_fd(named).unwrap_err();
    assert!(matches!(error, SegmentError::NotSealed), "{error}");

    let unsealed = rustix::fs::memfd_create("unsealed", MemfdFlags::CLOEXEC).unwrap();
    let error = JoinOptions::new().join_fd(unsealed).unwrap_err();
    assert!(matches!(error, SegmentError::NotSealed), "{error}");

    let (pipe, _other) = rustix::pipe::pipe().unwrap();
    let error = JoinOptions::new().join_fd(pipe).unwrap_err();
    assert!(matches!(error, SegmentError::NotSealed), "{error}");
}

/// GATE-3: two joins of one segment in one process exclude each other like two processes.
#[test]
fn a_second_join_in_the_same_process_respects_the_firsts_ports() {
    let segment = private();
    let server = segment.bind(0, &Default::default()).unwrap();
    let file = segment.as_fd().try_clone_to_owned().unwrap();
    let again = JoinOptions::new().join_fd(file).unwrap();
    let error = again.bind(0, &Default::default()).unwrap_err();
    assert!(matches!(error, xseg::PortError::Alive { .. }), "{error}");
    assert_eq!(again.settle_all().unwrap(), Default::default());
    drop(server);
    assert!(again.bind(0, &Default::default()).is_ok());
}
