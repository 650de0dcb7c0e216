//! What a guest does with its disk on good days.

use archipelago_vhost::message::{Message, RingState};

use crate::driver::{DISCARD, FLUSH, GET_ID, Guest, IN, OUT, WRITE_ZEROES};
use crate::held::Hold;
use crate::serving::{DISK_BYTES, serve};

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
