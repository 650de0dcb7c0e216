//! What one client may have in flight.

use std::time::Duration;

use archipelago_front::MemDisk;
use archipelago_nbd::ServerOptions;
use archipelago_nbd::wire::{CommandCode, ReplyMode};

use crate::support::{RawClient, Served, SlowExports, Tap, connect, serve, serve_with};

#[test]
fn no_more_requests_are_begun_than_are_allowed() {
    // FLOW-1
    let tap = Tap::default();
    let theirs = tap.clone();
    let options = ServerOptions {
        requests_max: 3,
        ..ServerOptions::default()
    };
    let served = serve_with(options, |handle| SlowExports {
        handle: handle.clone(),
        tap: theirs,
        disk: MemDisk::new(1 << 20),
    });
    let mut client = connect(&served).go("v", ReplyMode::Simple);
    for cookie in 0..10 {
        client.request(CommandCode::READ, cookie, 0, 512);
    }
    tap.wait_begun(3);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(tap.begun(), 3);
    tap.open();
    tap.wait_done(10);
}

#[test]
fn a_reader_that_does_not_read_gets_only_so_much_memory() {
    // FLOW-1, F75
    let tap = Tap::default();
    tap.open();
    let theirs = tap.clone();
    let options = ServerOptions {
        bytes_max: 2 << 20,
        ..ServerOptions::default()
    };
    let served = serve_with(options, |handle| {
        let disk = MemDisk::new(4 << 20);
        disk.put(0, &vec![1; 4 << 20]);
        SlowExports {
            handle: handle.clone(),
            tap: theirs,
            disk,
        }
    });
    let mut slow = connect(&served).go("v", ReplyMode::Simple);
    for cookie in 0..100 {
        slow.request(CommandCode::READ, cookie, 0, 1 << 20);
    }
    // The socket swallows some, two are in flight, and no more are begun.
    tap.wait_begun(2);
    std::thread::sleep(Duration::from_millis(100));
    assert!(tap.begun() < 10, "{}", tap.begun());
    // Others are not affected, and the slow one gets all of it in the end.
    let mut other = connect(&served).go("v", ReplyMode::Simple);
    other.request(CommandCode::READ, 1, 0, 512);
    assert_eq!(other.reply(512).data, [1; 512]);
    for _ in 0..100 {
        let reply = slow.reply(1 << 20);
        assert!(reply.data.iter().all(|byte| *byte == 1));
    }
}

#[test]
fn oversize_payloads_are_skipped_and_the_connection_goes_on() {
    // F73
    let served = serve(ServerOptions {
        payload_bytes_max: 65536,
        ..ServerOptions::default()
    });
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    client.request(CommandCode::WRITE, 1, 0, 70_000);
    client.write(&[1; 70_000]);
    assert_eq!(client.reply(0).error, 22);
    client.request(CommandCode(77), 2, 0, 0);
    assert_eq!(client.reply(0).error, 22);
    client.request(CommandCode::READ, 3, 0, 65536);
    assert_eq!(client.reply(65536).data, [0; 65536]);
}

const KIB: usize = 1 << 10;

/// A server with memory for few requests, of 64 KiB at most, in all.
fn serve_little(tap: &Tap, stall_timeout: Duration) -> Served {
    let options = ServerOptions {
        connections_max: 32,
        memory_max: 1024 * KIB,
        payload_bytes_max: 64 * KIB as u32,
        piece_bytes_max: 64 * KIB as u32,
        stall_timeout,
        ..ServerOptions::default()
    };
    let theirs = tap.clone();
    serve_with(options, |handle| {
        let disk = MemDisk::new(4 << 20);
        disk.put(0, &vec![7; 4 << 20]);
        SlowExports {
            handle: handle.clone(),
            tap: theirs,
            disk,
        }
    })
}

/// Asks for a lot, and takes nothing.
fn greedy(served: &Served) -> RawClient {
    let mut client = connect(served).go("v", ReplyMode::Simple);
    for cookie in 0..100 {
        client.request(CommandCode::READ, cookie, 0, 64 * KIB as u64);
    }
    client
}

#[test]
fn clients_that_take_all_memory_leave_others_their_part() {
    // BUDGET-1, BUDGET-2, NBDREAD-1, F75
    let tap = Tap::default();
    let served = serve_little(&tap, Duration::from_secs(600));
    let _greedy: Vec<_> = (0..12).map(|_| greedy(&served)).collect();
    // What their sockets swallow is not held; before anything is read nothing is swallowed.
    tap.wait_begun(5);
    std::thread::sleep(Duration::from_millis(100));
    let begun = tap.begun();
    assert!(begun * 64 * KIB <= 1024 * KIB, "{begun} at once");
    let mut writer = connect(&served).go("v", ReplyMode::Simple);
    writer.request(CommandCode::WRITE, 1, 0, 64 * KIB as u64); // and stops
    tap.open();
    let mut good = connect(&served).go("v", ReplyMode::Simple);
    let part = 16 * KIB;
    for cookie in 0..100 {
        good.request(CommandCode::READ, cookie, 0, part as u64);
        assert_eq!(good.reply(part).data, vec![7; part]);
        good.request(CommandCode::WRITE, cookie, 0, part as u64);
        good.write(&vec![7; part]);
        assert_eq!(good.reply(0).error, 0);
    }
}

#[test]
fn who_waits_for_memory_gets_it_when_those_who_take_nothing_are_cut_off() {
    // BUDGET-3, F75, F76
    let tap = Tap::default();
    tap.open();
    let served = serve_little(&tap, Duration::from_millis(100));
    let mut greedy: Vec<_> = (0..12).map(|_| greedy(&served)).collect();
    let mut good = connect(&served).go("v", ReplyMode::Structured);
    for cookie in 0..20 {
        good.request(CommandCode::READ, cookie, 0, 64 * KIB as u64);
        let chunk = good.chunk();
        assert!(chunk.is_last && chunk.payload.len() == 64 * KIB + 8);
        good.request(CommandCode::WRITE, cookie, 0, 64 * KIB as u64);
        good.write(&vec![7; 64 * KIB]);
        assert!(good.chunk().is_last);
    }
    while served.connections() > 1 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut last = greedy.pop().unwrap();
    let mut rest = Vec::new();
    let _ended = std::io::Read::read_to_end(&mut last.stream, &mut rest); // an end, or a reset
    assert!(rest.len() < 100 * 64 * KIB);
}
