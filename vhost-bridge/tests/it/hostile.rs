//! Guests and front ends that make no sense: they are left alone, and the next one is served.

use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use archipelago_vhost::message::{Message, RingState};
use rustix::fs::ftruncate;

use crate::driver::{Guest, Link, OUT, wait};
use crate::held::Hold;
use crate::serving::{other_of, serve};

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
        link.negotiate(2);
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

#[test]
fn a_front_end_that_takes_its_memory_away_disturbs_no_other_guest() {
    // GUEST-4, VHOST-3, F61
    let hold = Hold::default();
    hold.is_held.store(true, Ordering::SeqCst);
    let own = hold.clone();
    serve(&hold, move |path| {
        let mut other = Guest::new();
        let other_link = other.connect(&other_of(path));
        let mut guest = Guest::new();
        let link = guest.connect(path);
        for slot in 0..3 {
            guest.submit(&link, slot, OUT, u64::from(slot), &[1; 4096], 0);
        }
        while own.waiting.load(Ordering::SeqCst) < 3 {
            std::thread::yield_now();
        }
        assert_eq!(other.perform(&other_link, OUT, 0, &[7; 512], 0), 0);
        ftruncate(&guest.memory, 0).unwrap();
        own.is_held.store(false, Ordering::SeqCst);
        wait(&link.err);
        assert_eq!(other.read(&other_link, 0, 512), [7; 512]);
        assert!(link.ask(&Message::GetFeatures) > 0, "it can still speak");
        drop(link);
        works(path);
        assert_eq!(other.read(&other_link, 0, 512), [7; 512]);
    });
}

#[test]
fn memory_that_goes_away_before_a_write_is_read_leaves_the_disk_as_it_was() {
    // GUEST-4, F61
    serve(&Hold::default(), |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        assert_eq!(guest.perform(&link, OUT, 0, &[1; 4096], 0), 0);
        // Rings and headers stay; the data are in the second half, which goes.
        guest.describe(0, 0x8000, 16, 1, 1);
        guest.describe(1, (1 << 30) + 0x4_0000, 4096, 1, 2);
        guest.describe(2, 0x8010, 1, 2, 0);
        guest.put(
            0x8000,
            &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff],
        );
        ftruncate(&guest.memory, 512 << 10).unwrap();
        guest.offer(0);
        rustix::io::write(&link.kick, &1u64.to_ne_bytes()).unwrap();
        guest.wait_used(&link);
        let mut status = [0xff];
        rustix::io::pread(&guest.memory, &mut status, 0x8010).unwrap();
        assert_eq!(status, [1], "an error of the request");
        drop(link);
        let mut next = Guest::new();
        let link = next.connect(path);
        assert_eq!(next.read(&link, 0, 4096), [1; 4096]);
    });
}

#[test]
fn descriptors_that_could_make_it_wait_are_refused() {
    // VHOST-8
    serve(&Hold::default(), |path| {
        let guest = Guest::new();
        let link = Link::connect(path);
        link.negotiate(2);
        let (pipe, _end) = rustix::pipe::pipe().unwrap();
        let (index, has_fd) = (0, true);
        for message in [
            Message::SetCall { index, has_fd },
            Message::SetErr { index, has_fd },
        ] {
            for fd in [pipe.as_fd(), guest.memory.as_fd()] {
                assert_eq!(link.ensure(&message, &[fd]), 1);
            }
            assert_eq!(link.ensure(&message, &[link.call.as_fd()]), 0);
        }
        drop(link);
        works(path);
    });
}

#[test]
fn a_guest_that_breaks_its_ring_gets_the_answers_of_what_made_sense() {
    // VHOST-3
    let hold = Hold::default();
    hold.is_held.store(true, Ordering::SeqCst);
    let own = hold.clone();
    serve(&hold, move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        guest.submit(&link, 0, OUT, 0, &[1; 512], 0);
        while own.waiting.load(Ordering::SeqCst) < 1 {
            std::thread::yield_now();
        }
        guest.publish(1000);
        rustix::io::write(&link.kick, &1u64.to_ne_bytes()).unwrap();
        wait(&link.err);
        own.is_held.store(false, Ordering::SeqCst);
        assert_eq!(guest.reap(&link).1, 0);
    });
}

/// A descriptor that nobody closes in less than an hour: a connection with bytes that its other end, the second, does not take. What
/// a file of a file system does whose server does not answer, without the rights to mount one.
fn unclosable() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let theirs = listener.accept().unwrap().0;
    ours.set_nonblocking(true).unwrap();
    while std::io::Write::write(&mut ours, &[0; 1 << 16]).is_ok() {}
    rustix::net::sockopt::set_socket_linger(&ours, Some(Duration::from_secs(3600))).unwrap();
    (ours.into(), theirs)
}

#[test]
fn descriptors_that_cannot_be_closed_keep_nobody_from_going_on() {
    // VHOST-8, F85
    serve(&Hold::default(), |path| {
        let mut guest = Guest::new();
        let mut link = guest.connect(path);
        let mut others = Vec::new();
        let (index, has_fd) = (0, true);
        let messages = [
            (Message::SetCall { index, has_fd }, 1),
            (Message::SetErr { index, has_fd }, 1),
            (Message::SetKick { index, has_fd }, 1),
            (Message::SetMemory(Guest::regions()), 2),
            (Message::SetBackendFd, 1),
        ];
        for (message, count) in messages {
            let (fds, theirs): (Vec<_>, Vec<_>) = (0..count).map(|_| unclosable()).unzip();
            // All of them are the device's before it can say anything, so that its copies are the last.
            let bytes = message.to_bytes(true);
            link.send_bytes(&bytes[..1], &borrowed(&fds));
            drop(fds);
            link.send_bytes(&bytes[1..], &[]);
            let (payload, _) = link.receive().expect("a refusal");
            assert_eq!(payload, 1u64.to_le_bytes(), "{message:?}");
            others.extend(theirs);
        }
        assert_eq!(guest.perform(&link, OUT, 0, &[7; 512], 0), 0);
        // Where no message has one, and more than any has.
        for count in [1, 9, 40] {
            let (fds, theirs): (Vec<_>, Vec<_>) = (0..count).map(|_| unclosable()).unzip();
            link.send_bytes(&Message::GetFeatures.to_bytes(false), &borrowed(&fds));
            std::thread::spawn(move || drop(fds)); // if the device was quicker, these are the last
            assert!(link.receive().is_none(), "{count}");
            others.extend(theirs);
            link = guest.connect(path);
        }
        // And what was never read.
        let (fd, theirs) = unclosable();
        link.send_bytes(&[0xff; 12], &[]);
        let features = Message::GetFeatures.to_bytes(false);
        let _ = link.try_send_bytes(&features, &[fd.as_fd()]); // it may have ended the connection by now
        std::thread::spawn(move || drop(fd));
        drop(link);
        works(path);
        drop((others, theirs));
    });
}

fn borrowed(fds: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    fds.iter().map(AsFd::as_fd).collect()
}

#[test]
fn an_event_that_its_front_end_fills_and_has_wait_stops_no_other_guest() {
    // VHOST-8, F85
    serve(&Hold::default(), |path| {
        let mut other = Guest::new();
        let other_link = other.connect(&other_of(path));
        let mut guest = Guest::new();
        let link = guest.connect(path);
        assert_eq!(guest.perform(&link, OUT, 0, &[1; 512], 0), 0);
        for event in [&link.call, &link.err, &link.kick] {
            rustix::io::ioctl_fionbio(event, false).unwrap();
        }
        for event in [&link.call, &link.err] {
            // What a signal of before has left there would not fit beside it.
            rustix::io::write(event, &1u64.to_ne_bytes()).unwrap();
            rustix::io::read(event, &mut [0u8; 8]).unwrap();
            rustix::io::write(event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        }
        guest.submit(&link, 1, OUT, 1, &[2; 512], 0);
        while guest.used_index() < 2 {
            std::thread::yield_now();
        }
        guest.publish(1000);
        rustix::io::write(&link.kick, &1u64.to_ne_bytes()).unwrap();
        assert_eq!(other.perform(&other_link, OUT, 0, &[7; 512], 0), 0);
        assert!(link.ask(&Message::GetFeatures) > 0, "it can still speak");
        assert_eq!(other.read(&other_link, 0, 512), [7; 512]);
    });
}
