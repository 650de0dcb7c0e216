//! A volume of a segment behind the device: one that dies is followed by another, and nobody notices.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::bridge::Bridge;
use crate::driver::{DISCARD, FLUSH, Guest, IN, OUT};
use crate::volume::{Seen, VOLUME_BYTES, Volume};

fn pattern(seed: u8, len: usize) -> Vec<u8> {
    let byte = |at: usize| (at as u8).wrapping_mul(13).wrapping_add(seed);
    (0..len).map(byte).collect()
}

#[test]
fn a_guest_reads_and_writes_a_volume_through_buffers_of_the_segment() {
    // W1, BRIDGE-2
    let volume = Volume::new();
    let _bridge = Bridge::start(&volume);
    let mut guest = Guest::new();
    let link = guest.connect_to(&volume.socket(), 4);
    let config = link.config(60);
    assert_eq!(config[..8], (VOLUME_BYTES / 512).to_le_bytes());
    assert_eq!(config[34..36], 4u16.to_le_bytes());
    // Across the end of a piece, and of sizes that are no power of two.
    let sector = 64 * 2 - 7;
    let bytes = pattern(1, 27 * 512);
    assert_eq!(guest.perform(&link, OUT, sector, &bytes, 0), 0);
    assert_eq!(guest.read(&link, sector, 27 * 512), bytes);
    assert_eq!(guest.perform(&link, FLUSH, 0, &[], 0), 0);
    assert_eq!(Seen::count(&volume.seen.flushes), 1);
    let mut segment = sector.to_le_bytes().to_vec();
    segment.extend([3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(guest.perform(&link, DISCARD, 0, &segment, 0), 0);
    let read = guest.read(&link, sector, 27 * 512);
    assert_eq!(read[..3 * 512], [0; 3 * 512]);
    assert_eq!(read[3 * 512..], bytes[3 * 512..]);
    let end = VOLUME_BYTES / 512;
    assert_eq!(guest.perform(&link, IN, end, &[], 512), 1);
}

#[test]
fn a_new_bridge_waits_for_what_the_dead_one_had_asked_for() {
    // BEFORE-1, S7, S8, INFLIGHT-1
    let volume = Volume::new();
    let mut bridge = Bridge::start(&volume);
    let mut guest = Guest::new();
    let link = guest.connect_to(&volume.socket(), 4);
    assert_eq!(guest.perform(&link, OUT, 0, &[1; 512], 0), 0);
    volume.seen.is_held.store(true, Ordering::SeqCst);
    guest.submit(&link, 0, OUT, 0, &[2; 512], 0);
    guest.submit(&link, 1, OUT, 8, &[3; 512], 0);
    while Seen::count(&volume.seen.writes) < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    bridge.kill();
    let mut next = Bridge::begin(&volume);
    while Seen::count(&volume.seen.opens) < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    // It has the volume in use, and does not serve it: the dead one's writes are still with the composer.
    std::thread::sleep(Duration::from_millis(100));
    let late = std::os::unix::net::UnixStream::connect(volume.socket());
    assert!(
        late.is_err(),
        "nobody listens before the writes of the dead one have ended"
    );
    assert_eq!(Seen::count(&volume.seen.answered), 1);
    volume.seen.is_held.store(false, Ordering::SeqCst);
    next.hear("ready");
    assert_eq!(Seen::count(&volume.seen.answered), 3);
    // They are done again, and answered.
    let link = guest.connect_to(&volume.socket(), 4);
    for _ in 0..2 {
        assert_eq!(guest.reap(&link).1, 0);
    }
    assert_eq!(Seen::count(&volume.seen.answered), 5);
    assert_eq!(guest.read(&link, 0, 512), [2; 512]);
    assert_eq!(guest.read(&link, 8, 512), [3; 512]);
}

#[test]
fn a_volume_is_given_up_when_its_server_is_drained() {
    // VHOST-6, USING-3
    let volume = Volume::new();
    let mut bridge = Bridge::start(&volume);
    let mut guest = Guest::new();
    let link = guest.connect_to(&volume.socket(), 4);
    assert_eq!(guest.perform(&link, OUT, 0, &[1; 512], 0), 0);
    drop(link);
    let link = guest.connect_to(&volume.socket(), 4);
    let _channel = link.channel();
    assert_eq!(
        Seen::count(&volume.seen.opens),
        1,
        "one use, also between two front ends"
    );
    bridge.tell("drain");
    bridge.hear("drained");
    assert!(link.receive().is_none());
    while Seen::count(&volume.seen.closes) < 1 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn no_chain_waits_for_a_kick_that_nobody_asked_for() {
    // VHOST-10, WATCH-1, WATCH-2, QUEUE-4
    let volume = Volume::new();
    let _bridge = Bridge::start(&volume);
    let mut guest = Guest::new();
    let link = guest.connect_to(&volume.socket(), 4);
    let (mut other, other_link) = (guest.beside(), link.beside());
    other.start(&other_link, 1);
    // From both rings; and pauses in which the server falls asleep, or is about to.
    for round in 0..2000_u64 {
        let (many, few) = ((round % 5) as u16, (round / 5 % 5) as u16);
        for slot in 0..many {
            guest.submit(&link, slot, IN, u64::from(slot), &[], 512);
        }
        for slot in 0..few {
            other.submit(&other_link, 5 + slot, IN, u64::from(slot), &[], 512);
        }
        for _ in 0..few {
            assert_eq!(other.reap(&other_link).1, 0);
        }
        for _ in 0..many {
            assert_eq!(guest.reap(&link).1, 0);
        }
        if round % 3 == 0 {
            std::thread::sleep(Duration::from_micros(round % 50));
        }
    }
}
