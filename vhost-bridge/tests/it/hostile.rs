//! Guests and front ends that make no sense: they are left alone, and the next one is served.

use std::os::fd::AsFd;
use std::path::Path;

use archipelago_vhost::message::{Message, RingState};

use crate::driver::{Guest, Link, OUT, wait};
use crate::held::Hold;
use crate::serving::serve;

fn works(path: &Path) {
    let mut guest = Guest::new();
    let link = guest.connect(path);
    assert_eq!(guest.perform(&link, OUT, 0, &[7; 512], 0), 0);
    assert_eq!(guest.read(&link, 0, 512), [7; 512]);
}

/// A guest spoils its ring; its front end is told, and can still speak.
fn broken_by(spoil: impl FnOnce(&mut Guest) + Send + 'static) {
    serve(&Hold::default(), |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        assert_eq!(guest.perform(&link, OUT, 0, &[1; 512], 0), 0);
        spoil(&mut guest);
        rustix::io::write(&link.kick, &1u64.to_ne_bytes()).unwrap();
        wait(&link.err);
        let ring = RingState { index: 0, value: 0 };
        link.send(&Message::GetBase(ring), &[]);
        assert!(link.receive().is_some());
        drop(link);
        works(path);
    });
}

#[test]
fn a_chain_that_goes_in_circles_breaks_its_ring() {
    // VHOST-3, F85
    broken_by(|guest| {
        guest.describe(5, 0, 16, 1, 5);
        guest.offer(5);
    });
}

#[test]
fn an_address_outside_the_table_breaks_its_ring() {
    // VHOST-3, F85
    broken_by(|guest| {
        guest.describe(5, 1 << 50, 16, 0, 0);
        guest.offer(5);
    });
}

#[test]
fn an_index_that_jumps_breaks_its_ring() {
    // VHOST-3, F85
    broken_by(|guest| guest.publish(1000));
}

#[test]
fn a_request_without_room_for_its_status_breaks_its_ring() {
    // VHOST-3, F85
    broken_by(|guest| {
        guest.describe(5, 0, 16, 0, 0);
        guest.offer(5);
    });
}

#[test]
fn messages_that_make_no_sense_end_their_connection_only() {
    // VHOST-3, F85
    serve(&Hold::default(), |path| {
        let garbage: [&[u8]; 4] = [
            &[0xff; 64],
            &[99, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            &[2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3],
            &[5, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        ];
        for bytes in garbage {
            let link = Link::connect(path);
            link.send_bytes(bytes, &[]);
            assert!(link.receive().is_none(), "{bytes:?}");
        }
        // Descriptors that do not belong to a message, and more than any has.
        for count in [1, 9] {
            let guest = Guest::new();
            let link = Link::connect(path);
            let fds = vec![guest.memory.as_fd(); count];
            link.send_bytes(&Message::GetFeatures.to_bytes(false), &fds);
            assert!(link.receive().is_none(), "{count}");
        }
        // Cut in the middle.
        let link = Link::connect(path);
        link.send_bytes(&[1, 0, 0], &[]);
        drop(link);
        works(path);
    });
}

#[test]
fn memory_that_is_not_there_is_refused() {
    // F85
    serve(&Hold::default(), |path| {
        let guest = Guest::new();
        let link = Link::connect(path);
        link.negotiate();
        let mut regions = Guest::regions();
        regions[1].file_offset += 4096;
        let fds = [guest.memory.as_fd(), guest.memory.as_fd()];
        let refusal = link.ensure(&Message::SetMemory(regions), &fds);
        assert_eq!(refusal, 1);
        guest.share_memory(&link);
        drop(link);
        works(path);
    });
}
