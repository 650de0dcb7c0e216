//! Connections and servers that end with requests in flight: each request is answered once, and none is lost.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use archipelago_vhost::message::{Message, RingState};

use crate::driver::{Guest, IN, Link, OUT};
use crate::held::Hold;
use crate::serving::{REQUESTS_MAX, serve};

fn held() -> Hold {
    let hold = Hold::default();
    hold.is_held.store(true, Ordering::SeqCst);
    hold
}

fn wait_for(hold: &Hold, count: usize) {
    while hold.waiting.load(Ordering::SeqCst) < count {
        std::thread::yield_now();
    }
}

fn write_three(guest: &mut Guest, link: &crate::driver::Link) {
    for slot in 0..3u16 {
        guest.submit(link, slot, OUT, u64::from(slot), &[slot as u8 + 1; 512], 0);
    }
}

fn reap_three(guest: &mut Guest, link: &crate::driver::Link) {
    let mut slots: Vec<u16> = (0..3)
        .map(|_| {
            let (slot, status, _) = guest.reap(link);
            assert_eq!(status, 0);
            slot
        })
        .collect();
    slots.sort_unstable();
    assert_eq!(slots, [0, 1, 2]);
    for slot in 0..3u16 {
        let read = guest.read(link, u64::from(slot), 512);
        assert_eq!(read, [slot as u8 + 1; 512]);
    }
}

#[test]
fn a_new_connection_waits_for_the_requests_of_the_last_one() {
    // VHOST-1, VHOST-4, S7
    let hold = held();
    let own = hold.clone();
    serve(&hold, move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        write_three(&mut guest, &link);
        wait_for(&own, 3);
        drop(link);
        let next = crate::driver::Link::connect(path);
        next.send(&Message::GetFeatures, &[]);
        assert_eq!(own.written.load(Ordering::SeqCst), 0);
        own.is_held.store(false, Ordering::SeqCst);
        next.receive().unwrap();
        assert_eq!(own.written.load(Ordering::SeqCst), 3);
        drop(next);
        let link = guest.connect(path);
        reap_three(&mut guest, &link);
        assert_eq!(own.written.load(Ordering::SeqCst), 3, "none was done twice");
    });
}

#[test]
fn a_front_end_that_noted_its_index_too_early_gets_nothing_done_twice() {
    // VHOST-1, QUEUE-5
    for has_region in [true, false] {
        let hold = held();
        let own = hold.clone();
        serve(&hold, move |path| {
            let mut guest = Guest::new();
            let link = guest.connect(path);
            write_three(&mut guest, &link);
            wait_for(&own, 3);
            drop(link);
            let noted = guest.used_index();
            own.is_held.store(false, Ordering::SeqCst);
            if !has_region {
                guest.region = None; // another one, which knows of nothing
            }
            let link = guest.introduce(path);
            guest.start_at(&link, 0, noted);
            reap_three(&mut guest, &link);
            assert_eq!(own.written.load(Ordering::SeqCst), 3);
        });
    }
}

#[test]
fn a_second_front_end_is_refused_and_the_first_notices_nothing() {
    // VHOST-1
    let hold = Hold::default();
    let own = hold.clone();
    serve(&hold, move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        own.look();
        assert_eq!(own.front_ends.load(Ordering::SeqCst), 1);
        let second = crate::driver::Link::connect(path);
        assert!(second.receive().is_none());
        write_three(&mut guest, &link);
        reap_three(&mut guest, &link);
        drop(link);
        while own.front_ends.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_drain_answers_what_was_taken_and_leaves_the_rest_to_the_next_server() {
    // VHOST-5, VHOST-6
    let first = held();
    let own = first.clone();
    let mut guest = serve(&first, move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        for slot in 0..10u16 {
            guest.submit(&link, slot, OUT, u64::from(slot), &[slot as u8 + 1; 512], 0);
        }
        wait_for(&own, REQUESTS_MAX);
        own.look();
        assert_eq!(own.requests.load(Ordering::SeqCst), REQUESTS_MAX);
        own.drains.store(true, Ordering::SeqCst);
        while own.drains.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        own.is_held.store(false, Ordering::SeqCst);
        assert!(link.receive().is_none(), "the connection ends");
        while !own.is_drained.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        guest
    });
    let done = first.written.load(Ordering::SeqCst);
    assert_eq!(usize::from(guest.used_index()), done, "each has its answer");
    assert_eq!(done, REQUESTS_MAX);
    let second = Hold::default();
    let own = second.clone();
    serve(&second, move |path| {
        let link = guest.connect(path);
        for _ in 0..10 {
            assert_eq!(guest.reap(&link).1, 0);
        }
        assert_eq!(own.written.load(Ordering::SeqCst), 10 - done);
    });
}

/// The device must not answer this message before the writes in flight are done.
fn is_answered_when_all_is_done(message: &Message, with_memory: bool) {
    let hold = held();
    let own = hold.clone();
    let message = message.clone();
    serve(&hold, move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        write_three(&mut guest, &link);
        wait_for(&own, 3);
        let memory = guest.memory.as_fd();
        let fds: &[BorrowedFd<'_>] = if with_memory { &[memory, memory] } else { &[] };
        link.send_bytes(&message.to_bytes(true), fds);
        let releasing = own.clone();
        let release = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            let written = releasing.written.load(Ordering::SeqCst);
            releasing.is_held.store(false, Ordering::SeqCst);
            written
        });
        link.receive().unwrap();
        assert_eq!(own.written.load(Ordering::SeqCst), 3);
        assert_eq!(release.join().unwrap(), 0);
        if with_memory {
            reap_three(&mut guest, &link);
        }
    });
}

#[test]
fn memory_is_changed_when_nothing_is_in_flight() {
    // VHOST-2, F85
    is_answered_when_all_is_done(&Message::SetMemory(Guest::regions()), true);
}

#[test]
fn a_ring_is_stopped_when_nothing_is_in_flight() {
    // VHOST-2
    let ring = RingState { index: 0, value: 0 };
    is_answered_when_all_is_done(&Message::GetBase(ring), false);
}

#[test]
fn a_new_server_does_again_what_the_dead_one_had_in_flight() {
    let first = held();
    let own = first.clone();
    let mut guest = serve(&first, move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        write_three(&mut guest, &link);
        wait_for(&own, 3);
        guest
    });
    // The reactor has ended with all of its tasks: the writes were never done.
    assert_eq!(first.written.load(Ordering::SeqCst), 0);
    let second = Hold::default();
    let own = second.clone();
    serve(&second, move |path| {
        let link = guest.connect(path);
        reap_three(&mut guest, &link);
        assert_eq!(own.written.load(Ordering::SeqCst), 3);
    });
}

/// While one ring of a connection is waited for, the others take nothing more.
fn rests_beside_a_ring_that_is_slow(end: impl FnOnce(&Link, &Guest) + Send + 'static) {
    let hold = held();
    let own = hold.clone();
    serve(&hold, move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        let (mut other, other_link) = (guest.beside(), link.beside());
        other.start(&other_link, 1);
        guest.submit(&link, 0, OUT, 0, &[1; 512], 0);
        wait_for(&own, 1);
        end(&link, &guest);
        own.look();
        other.submit(&other_link, 5, OUT, 1, &[2; 512], 0);
        own.look();
        assert_eq!(own.waiting.load(Ordering::SeqCst), 1);
        own.is_held.store(false, Ordering::SeqCst);
        link.receive();
    });
}

#[test]
fn memory_is_not_changed_under_rings_that_go_on() {
    // VHOST-2
    rests_beside_a_ring_that_is_slow(|link, guest| {
        let fds = [guest.memory.as_fd(), guest.memory.as_fd()];
        link.send_bytes(&Message::SetMemory(Guest::regions()).to_bytes(true), &fds);
    });
}

#[test]
fn a_reset_stops_all_rings_before_it_waits_for_one() {
    // VHOST-2
    rests_beside_a_ring_that_is_slow(|link, _| {
        link.send_bytes(&Message::ResetDevice.to_bytes(true), &[]);
    });
}

#[test]
fn all_rings_of_a_front_end_that_has_left_stop_at_once() {
    // VHOST-1
    rests_beside_a_ring_that_is_slow(|link, _| {
        link.socket.shutdown(std::net::Shutdown::Both).unwrap();
    });
}

#[test]
fn memory_of_a_guest_that_a_drain_has_disconnected_is_not_touched_again() {
    // VHOST-6
    let first = Hold::default();
    first.are_reads_held.store(true, Ordering::SeqCst);
    first.drains_at_once.store(true, Ordering::SeqCst);
    let own = first.clone();
    let mut guest = serve(&first, move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        guest.submit(&link, 0, IN, 0, &[], 512);
        wait_for(&own, 1);
        own.drains.store(true, Ordering::SeqCst);
        assert!(link.receive().is_none(), "the connection ends");
        let before = guest.all();
        own.are_reads_held.store(false, Ordering::SeqCst);
        while !own.is_drained.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        assert!(guest.all() == before);
        guest
    });
    // And nothing is lost: the next server does it.
    serve(&Hold::default(), move |path| {
        let link = guest.connect(path);
        assert_eq!(guest.reap(&link), (0, 0, 513));
        assert_eq!(guest.data(0, 512), [0; 512]);
    });
}
