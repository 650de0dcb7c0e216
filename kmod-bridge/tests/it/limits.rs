//! What one client may have in flight.

use std::time::Duration;

use archipelago_front::MemDisk;
use archipelago_nbd::ServerOptions;
use archipelago_nbd::wire::{CommandCode, ReplyMode};

use crate::support::{SlowExports, Tap, connect, serve, serve_with};

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
