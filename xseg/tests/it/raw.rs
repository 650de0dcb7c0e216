//! The segment as another implementation sees it: every word is where docs/segment.md says, and a request that was
//! written by that page alone is served. (LAYOUT-1)

use std::fs::File;
use std::os::unix::fs::FileExt;

use xseg::{Event, OpCode};

use crate::support::{Room, Words, next_reply, next_request};

/// The offsets of the page.
struct Layout {
    requests: u64,
    buffer_owners: u64,
    buffers: u64,
}

fn layout(words: &Words) -> Layout {
    let ports = u64::from(words.u32(48));
    let requests = (4096 + ports * (512 + 2304)).next_multiple_of(4096);
    let buffer_owners = requests + u64::from(words.u32(56)) * 896;
    let counts = (0..12).map(|class| u64::from(words.u32(64 + class * 4)));
    let total: u64 = counts.sum();
    Layout {
        requests,
        buffer_owners,
        buffers: (buffer_owners + total * 8).next_multiple_of(4096),
    }
}

fn name(port: u32, generation: u64) -> u64 {
    u64::from(port) << 32 | generation
}

#[test]
fn a_sent_request_lies_in_the_segment_as_the_page_says() {
    let room = Room::new();
    let (server, client) = (room.bind(0), room.bind_dynamic());
    let mut draft = client.draft(OpCode::CREATE).unwrap();
    draft.set_flags(0x55);
    draft.set_extent(0x1111, 0x2222);
    draft.set_handle(0x3333);
    draft.set_target(b"abc").unwrap();
    draft.set_snapshot(b"defgh-ijk").unwrap();
    draft.set_args([1, 2, 3, 4]);
    draft.set_operation_id([5, 6]);
    draft.set_deadline_ns(0x4444);
    let buffer = client.buffer(1 << 20).unwrap(); // the first two buffers are of this size
    let range = buffer.data().range();
    draft.attach(buffer, 0x5555).unwrap();
    let ticket = draft.send(server.id()).unwrap();

    let words = Words::open(room.place().path());
    let layout = layout(&words);
    let head = words.u64(4096);
    assert_eq!(head >> 32, 1, "one push");
    let at = layout.requests + (head & 0xffff_ffff) * 896;
    let me = name(client.id().get(), 1);
    assert_eq!(words.u64(at), 2 << 60 | me, "sent to port 0 by the client");
    assert_eq!(words.u64(at + 8), 0, "the first in its lane");
    assert_eq!(words.u64(at + 16), ticket.serial());
    assert_eq!(words.u32(at + 24), 1 << 16 | 58, "create, with arguments");
    assert_eq!(words.u32(at + 28), 0x55);
    let extent = [32, 40, 48, 56, 64].map(|word| words.u64(at + word));
    assert_eq!(extent, [0x1111, 0x2222, 0x3333, range.at(), 0x5555]);
    let buffer = u64::from(words.u32(at + 72)) - 1;
    assert_eq!(range.at(), layout.buffers + buffer * (1 << 20));
    assert_eq!(words.u64(layout.buffer_owners + buffer * 8), 1 << 60 | me);
    assert_eq!(words.u32(at + 76), 0, "lane of requests");
    assert_eq!((words.u32(at + 92), words.u64(at + 96)), (1, 0x4444));
    assert_eq!(words.u32(at + 104), 0, "destination");
    assert_eq!(words.u32(at + 108), 9 << 16 | 3);
    assert_eq!(words.u64(at + 112), me, "the way back");
    assert_eq!(words.u64(at + 256 + 24), 4);
    assert_eq!(words.u64(at + 296), 6);
    assert_eq!(words.u64(at + 384), u64::from_ne_bytes(*b"abc\0\0\0\0\0"));
    assert_eq!(words.u64(at + 640), u64::from_ne_bytes(*b"defgh-ij"));

    let request = next_request(&server);
    assert_eq!(words.u64(at), 3 << 60 | name(0, 1), "held by the server");
    assert_eq!(words.u64(4096 + 256), head, "taken");
    request.answer(7);
    assert_eq!(words.u32(at + 76), 1, "lane of answers, place 0");
    assert_eq!((words.u64(at + 80), words.u32(at + 88)), (7, 0));
    drop(next_reply(&client));
    assert_eq!(words.u64(at), 1 << 60 | me, "at home");
}

/// A client in a few lines that knows nothing of this library. It cannot take the lock of a port without binding it, so
/// it borrows a bound one.
#[test]
fn a_request_that_was_written_by_the_page_alone_is_served() {
    let room = Room::new();
    let (server, borrowed) = (room.bind(0), room.bind(1));
    let words = Words::open(room.place().path());
    let layout = layout(&words);
    let me = name(1, 1);
    let slot = (0..64)
        .find(|slot| words.u64(layout.requests + slot * 896) == 0)
        .unwrap();
    let at = layout.requests + slot * 896;
    words.set_u64(at, 1 << 60 | me); // owned
    words.set_u64(at + 16, 4711); // serial
    words.set_u32(at + 24, 16); // read
    words.set_u64(at + 32, 12_345); // offset
    words.set_u32(at + 92, 1); // depth
    words.set_u64(at + 112, me); // path
    words.set_u32(at + 108, 4); // name_lens
    words.set_bytes(at + 384, b"page");
    words.set_u64(at, 2 << 60 | me); // sent to port 0
    words.set_u64(at + 8, words.u64(4096));
    words.set_u64(4096, 1 << 32 | slot); // head

    let request = next_request(&server);
    assert_eq!(request.request().op, OpCode::READ);
    assert_eq!(
        (request.request().offset, request.request().serial),
        (12_345, 4711)
    );
    assert_eq!(request.target().as_str(), Some("page"));
    request.answer(99);

    let replies_head = 4096 + 512 + 64;
    assert_eq!(words.u64(replies_head), 1 << 32 | slot);
    assert_eq!(words.u64(at), 2 << 60 | 1 << 46 | name(0, 1));
    assert_eq!(words.u64(at + 80), 99);
    // The port's owner did not send it, and says so.
    assert!(matches!(borrowed.poll(), Some(Event::Corrupt(_))));
}

#[test]
fn the_lock_of_a_port_is_one_byte_of_the_segments_file() {
    let room = Room::new();
    let _bound = room.bind(3);
    let file = File::options()
        .read(true)
        .write(true)
        .open(room.place().path())
        .unwrap();
    let is_locked = |byte: i64| {
        let mut lock = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: byte,
            l_len: 1,
            l_pid: 0,
        };
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        // SAFETY: `lock` is a valid flock structure that outlives the call; the descriptor is open.
        let done = unsafe { libc::fcntl(fd, libc::F_OFD_GETLK, &mut lock) };
        assert_eq!(done, 0);
        i32::from(lock.l_type) != libc::F_UNLCK
    };
    assert!(is_locked(3));
    assert!(!is_locked(2) && !is_locked(4));
    let mut magic = [0; 8];
    file.read_exact_at(&mut magic, 0).unwrap();
    assert_eq!(&magic, b"ARCHXSEG");
}
