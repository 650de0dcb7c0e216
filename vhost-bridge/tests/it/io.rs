//! What a guest does with its disk on good days.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use archipelago_vhost::message::{Message, Region, RingState};

use crate::driver::{DISCARD, FLUSH, GET_ID, Guest, IN, Link, OUT, WRITE_ZEROES};
use crate::held::Hold;
use crate::serving::{DISK_BYTES, frozen_of, serve};

fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at as u8).wrapping_mul(7).wrapping_add(seed))
        .collect()
}

fn segment(sector: u64, sectors: u32) -> Vec<u8> {
    let mut bytes = sector.to_le_bytes().to_vec();
    bytes.extend(sectors.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn a_guest_writes_reads_flushes_and_discards() {
    serve(&Hold::default(), |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        let config = link.config(60);
        assert_eq!(config[..8], (DISK_BYTES / 512).to_le_bytes());
        // More than a piece, and not at the start of one.
        let bytes = pattern(1, 10 * 1024);
        assert_eq!(guest.perform(&link, OUT, 3, &bytes, 0), 0);
        assert_eq!(guest.perform(&link, FLUSH, 0, &[], 0), 0);
        assert_eq!(guest.read(&link, 3, 10 * 1024), bytes);
        let two = [segment(3, 8), segment(15, 8)].concat();
        assert_eq!(guest.perform(&link, DISCARD, 0, &two, 0), 0);
        let mut expected = bytes;
        expected[..8 * 512].fill(0);
        expected[12 * 512..].fill(0);
        assert_eq!(guest.read(&link, 3, 10 * 1024), expected);
        assert_eq!(guest.perform(&link, WRITE_ZEROES, 0, &segment(3, 20), 0), 0);
        assert_eq!(guest.read(&link, 3, 10 * 1024), vec![0; 10 * 1024]);
        assert_eq!(guest.perform(&link, GET_ID, 0, &[], 20), 0);
        assert_eq!(guest.data(0, 20), b"volume-of-a-long-nam");
    });
}

#[test]
fn what_a_disk_cannot_do_is_an_error_of_the_request_only() {
    serve(&Hold::default(), |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        let end = DISK_BYTES / 512;
        assert_eq!(guest.perform(&link, IN, end, &[], 512), 1);
        assert_eq!(guest.perform(&link, OUT, end - 1, &[1; 1024], 0), 1);
        assert_eq!(guest.perform(&link, IN, 0, &[], 100), 1);
        assert_eq!(guest.perform(&link, 99, 0, &[], 0), 2);
        // All segments are judged before the first is done.
        assert_eq!(guest.perform(&link, OUT, 0, &[5; 512], 0), 0);
        let two = [segment(0, 1), segment(end, 1)].concat();
        assert_eq!(guest.perform(&link, DISCARD, 0, &two, 0), 1);
        assert_eq!(guest.read(&link, 0, 512), [5; 512]);
    });
}

#[test]
fn many_requests_are_in_flight_at_once() {
    serve(&Hold::default(), |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        for round in 0..20u8 {
            for slot in 0..10 {
                let bytes = pattern(round ^ slot as u8, 4096);
                guest.submit(&link, slot, OUT, 8 * u64::from(slot), &bytes, 0);
            }
            for _ in 0..10 {
                assert_eq!(guest.reap(&link).1, 0);
            }
            for slot in 0..10 {
                guest.submit(&link, slot, IN, 8 * u64::from(slot), &[], 4096);
            }
            for _ in 0..10 {
                let (slot, status, written) = guest.reap(&link);
                assert_eq!((status, written), (0, 4097));
                assert_eq!(guest.data(slot, 4096), pattern(round ^ slot as u8, 4096));
            }
        }
    });
}

#[test]
fn a_stopped_ring_says_where_it_goes_on() {
    // VHOST-2
    serve(&Hold::default(), |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        for _ in 0..3 {
            assert_eq!(guest.perform(&link, OUT, 0, &[1; 512], 0), 0);
        }
        let ring = RingState { index: 0, value: 0 };
        link.send(&Message::GetBase(ring), &[]);
        let (payload, _) = link.receive().unwrap();
        assert_eq!(payload, [0, 0, 0, 0, 3, 0, 0, 0]);
        guest.start(&link, 0);
        assert_eq!(guest.read(&link, 0, 512), [1; 512]);
        // Another table of the same memory, while the ring runs.
        guest.share_memory(&link);
        assert_eq!(guest.read(&link, 0, 512), [1; 512]);
    });
}

#[test]
fn a_guest_is_told_of_a_new_size_and_may_use_it() {
    // VHOST-7
    let hold = Hold::default();
    let own = hold.clone();
    serve(&hold, move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        let mut channel = link.channel();
        std::io::Read::read_exact(&mut channel, &mut [0; 12]).unwrap(); // its ring runs
        let end = DISK_BYTES / 512;
        assert_eq!(guest.perform(&link, OUT, end, &[1; 512], 0), 1);
        for size in [2 * DISK_BYTES, 3 * DISK_BYTES, DISK_BYTES] {
            own.new_bytes.store(size, Ordering::SeqCst);
            let mut notice = [0; 12];
            std::io::Read::read_exact(&mut channel, &mut notice).unwrap();
            assert_eq!(notice, [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(link.config(8), (size / 512).to_le_bytes());
            let expected = u8::from(size == DISK_BYTES);
            assert_eq!(guest.perform(&link, OUT, end, &[1; 512], 0), expected);
        }
        // One that comes later sees what it is now, and is told of what changes from then on.
        drop(link);
        let link = guest.connect(path);
        assert_eq!(link.config(8), (DISK_BYTES / 512).to_le_bytes());
        own.new_bytes.store(2 * DISK_BYTES, Ordering::SeqCst);
        while link.config(8) == (DISK_BYTES / 512).to_le_bytes() {
            std::thread::yield_now();
        }
        let mut late = link.channel();
        std::io::Read::read_exact(&mut late, &mut [0; 12]).unwrap();
    });
}

#[test]
fn a_front_end_is_asked_once_to_look_when_its_first_ring_runs() {
    // VHOST-7: the disk may have been resized while nobody was connected
    let hold = Hold::default();
    let own = hold.clone();
    serve(&hold, move |path| {
        own.new_bytes.store(2 * DISK_BYTES, Ordering::SeqCst);
        own.look();
        let mut guest = Guest::new();
        let link = guest.introduce(path);
        let mut channel = link.channel();
        own.look();
        let mut is_told = || {
            channel.set_nonblocking(true).unwrap();
            std::io::Read::read(&mut channel, &mut [0; 12]).ok()
        };
        assert_eq!(is_told(), None, "it does not listen yet");
        guest.start(&link, 0);
        own.look();
        assert_eq!(is_told(), Some(12));
        let ring = RingState { index: 0, value: 0 };
        link.send(&Message::GetBase(ring), &[]);
        link.receive().unwrap();
        guest.start(&link, 0);
        own.look();
        assert_eq!(is_told(), None, "once");
    });
}

#[test]
fn a_ring_rests_while_its_memory_is_away_and_goes_on_when_more_comes() {
    // VHOST-9
    serve(&Hold::default(), |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        assert_eq!(guest.perform(&link, OUT, 0, &[4; 512], 0), 0);
        let region = Guest::regions()[0];
        let memory = guest.memory.as_fd().try_clone_to_owned().unwrap();
        assert_eq!(link.ensure(&Message::RemoveMemory(region), &[]), 0);
        guest.submit(&link, 1, IN, 0, &[], 512);
        let more = Region {
            len_bytes: 2 * region.len_bytes,
            ..region
        };
        assert_eq!(link.ensure(&Message::AddMemory(more), &[memory.as_fd()]), 0);
        assert_eq!(guest.reap(&link).1, 0);
        assert_eq!(guest.data(1, 512), [4; 512]);
        let err = rustix::io::read(&link.err, &mut [0u8; 8]);
        assert_eq!(err, Err(rustix::io::Errno::AGAIN), "no error of the ring");
    });
}

#[test]
fn a_device_that_was_reset_is_set_up_anew() {
    // VHOST-2
    serve(&Hold::default(), |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        assert_eq!(guest.perform(&link, OUT, 0, &[3; 512], 0), 0);
        assert_eq!(link.ensure(&Message::ResetDevice, &[]), 0);
        let kick = Message::SetKick {
            index: 0,
            has_fd: true,
        };
        assert_eq!(link.ensure(&kick, &[link.kick.as_fd()]), 1);
        guest.start(&link, 0);
        assert_eq!(guest.read(&link, 0, 512), [3; 512]);
    });
}

#[test]
fn a_disk_that_cannot_be_written_to_says_so_and_stays_as_it_is() {
    // REQUEST-2, SESSION-1
    serve(&Hold::default(), |path| {
        let link = Link::connect(&frozen_of(path));
        let features = link.negotiate(2);
        assert_ne!(features & (1 << 5), 0, "read-only");
        assert_eq!(features & (3 << 13), 0, "neither discards nor zeroes");
        drop(link);
        let mut guest = Guest::new();
        let link = guest.connect(&frozen_of(path));
        assert_eq!(guest.perform(&link, OUT, 1, &[1; 512], 0), 1);
        assert_eq!(guest.perform(&link, DISCARD, 0, &segment(1, 1), 0), 2);
        assert_eq!(guest.perform(&link, WRITE_ZEROES, 0, &segment(1, 1), 0), 2);
        assert_eq!(guest.perform(&link, FLUSH, 0, &[], 0), 0);
        assert_eq!(guest.read(&link, 1, 512), [9; 512]);
    });
}
