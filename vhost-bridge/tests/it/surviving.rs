//! Connections and servers that end with requests in flight: each request is answered once, and none is lost.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use archipelago_vhost::message::{Message, RingState};

use crate::driver::{Guest, OUT};
use crate::held::Hold;
use crate::serving::serve;

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
