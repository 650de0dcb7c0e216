//! Clients that go, politely and otherwise, and servers that do.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use archipelago_front::MemDisk;
use archipelago_nbd::ServerOptions;
use archipelago_nbd::wire::{CommandCode, ReplyMode};

use crate::support::{RawClient, Served, SlowExports, Tap, connect, greet, serve, serve_with};

fn serve_slowly(options: ServerOptions) -> (Served, Tap) {
    let tap = Tap::default();
    let theirs = tap.clone();
    let served = serve_with(options, |handle| SlowExports {
        handle: handle.clone(),
        tap: theirs,
        disk: MemDisk::new(1 << 20),
    });
    (served, tap)
}

#[test]
fn what_was_asked_before_the_leave_is_answered() {
    // CONNECTION-2
    let (served, tap) = serve_slowly(ServerOptions::default());
    let mut client = connect(&served).go("v", ReplyMode::Simple);
    client.request(CommandCode::FLUSH, 1, 0, 0);
    client.request(CommandCode::READ, 2, 0, 512);
    client.request(CommandCode::DISC, 3, 0, 0);
    tap.wait_begun(2);
    tap.open();
    let mut cookies = Vec::new();
    for _ in 0..2 {
        let head = client.read(16);
        cookies.push(head[15]);
        if head[15] == 2 {
            client.read(512);
        }
    }
    cookies.sort_unstable();
    assert_eq!(cookies, [1, 2]);
    assert!(client.is_closed());
}

#[test]
fn requests_of_a_client_that_vanished_are_finished_and_nobody_else_is_let_in_before() {
    // CONNECTION-1, ORPHAN-1, F78
    let (served, tap) = serve_slowly(ServerOptions::default());
    let mut client = connect(&served).go("v", ReplyMode::Simple);
    client.request(CommandCode::WRITE, 1, 0, 512);
    client.write(&[7; 512]);
    client.request(CommandCode::READ, 2, 0, 65536);
    tap.wait_begun(2);
    drop(client);

    let mut next = connect(&served);
    next.option(7, &RawClient::go_payload("v"));
    let mut other = connect(&served);
    other.option(7, &RawClient::go_payload("w"));
    while other.option_reply() != 1 {}
    assert_eq!((tap.opened(), tap.done()), (2, 0));
    tap.open();
    while next.option_reply() != 1 {}
    assert_eq!(tap.done(), 2);
    next.request(CommandCode::READ, 3, 0, 512);
    assert_eq!(next.reply(512).data, [7; 512]);
}

#[test]
fn what_a_client_that_vanished_had_sent_and_nobody_has_looked_at_is_done_first_too() {
    // ORPHAN-1: the second write waits in the socket until the first one is done
    let (served, tap) = serve_slowly(ServerOptions {
        requests_max: 1,
        ..ServerOptions::default()
    });
    let mut client = connect(&served).go("v", ReplyMode::Simple);
    for (cookie, value) in [(1, 7), (2, 8)] {
        client.request(CommandCode::WRITE, cookie, 0, 512);
        client.write(&[value; 512]);
    }
    tap.wait_begun(1);
    drop(client);
    let mut next = connect(&served);
    next.option(7, &RawClient::go_payload("v"));
    // Somebody else's, that the server has had time to open it.
    let mut other = connect(&served);
    other.option(7, &RawClient::go_payload("w"));
    while other.option_reply() != 1 {}
    assert_eq!((tap.opened(), tap.begun()), (2, 1));
    tap.open();
    while next.option_reply() != 1 {}
    assert_eq!(tap.done(), 2);
    next.request(CommandCode::READ, 3, 0, 512);
    assert_eq!(next.reply(512).data, [8; 512]);
}

#[test]
fn who_waits_too_long_for_an_export_is_told_so() {
    // GREETING-1
    let (served, tap) = serve_slowly(ServerOptions {
        handshake_timeout: Duration::from_millis(500),
        ..ServerOptions::default()
    });
    let mut client = connect(&served).go("v", ReplyMode::Simple);
    client.request(CommandCode::READ, 1, 0, 512);
    tap.wait_begun(1);
    drop(client);
    let mut next = connect(&served);
    next.option(7, &RawClient::go_payload("v"));
    let refusal = next.option_reply();
    assert!(refusal & (1 << 31) != 0, "{refusal:#x}");
    assert!(next.is_closed(), "and sent away");
    tap.open();
}

#[test]
fn who_waits_for_an_export_is_not_sent_away_for_silent_strangers() {
    // HALL-1: of the two places for strangers it has left the one that it had
    let (served, tap) = serve_slowly(ServerOptions {
        connections_max: 8,
        ..ServerOptions::default()
    });
    let mut client = connect(&served).go("v", ReplyMode::Simple);
    client.request(CommandCode::READ, 1, 0, 512);
    tap.wait_begun(1);
    drop(client);
    let mut next = connect(&served);
    next.option(7, &RawClient::go_payload("v"));
    // Each of these is let in once one of those before them has had his second.
    let strangers: Vec<RawClient> = (0..5).map(|_| greet(&served)).collect();
    tap.open();
    while next.option_reply() != 1 {}
    next.request(CommandCode::READ, 2, 0, 512);
    assert_eq!(next.reply(512).data, [0; 512]);
    drop(strangers);
}

#[test]
fn what_a_client_that_takes_no_answers_had_asked_behind_them_is_not_begun() {
    // CONNECTION-3, OUTBOX-4
    let served = serve(ServerOptions {
        stall_timeout: Duration::from_millis(300),
        requests_max: 16,
        ..ServerOptions::default()
    });
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    for cookie in 0..100 {
        client.request(CommandCode::READ, cookie, 0, 1 << 20);
    }
    client.request(CommandCode::WRITE, 100, 0, 512);
    client.write(&[7; 512]);
    let mut next = connect(&served).go("disk", ReplyMode::Simple);
    while served.connections() > 1 {
        std::thread::sleep(Duration::from_millis(10));
    }
    next.request(CommandCode::READ, 1, 0, 512);
    assert_eq!(next.reply(512).data, [0; 512]);
}

#[test]
fn a_write_that_was_only_half_sent_holds_up_nobody() {
    // WRITE-1, F76
    let served = serve(ServerOptions::default());
    let mut stalled: Vec<RawClient> = (0..20)
        .map(|_| {
            let mut client = connect(&served).go("disk", ReplyMode::Simple);
            client.request(CommandCode::WRITE, 1, 0, 32 << 20);
            client.write(&vec![1; 100_000]);
            client
        })
        .collect();
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    client.request(CommandCode::WRITE, 2, 40 << 20, 512);
    client.write(&[2; 512]);
    assert_eq!(client.reply(0).error, 0);
    // Half of them go, the others send the rest.
    for half_sent in stalled.drain(..10) {
        half_sent.stream.shutdown(Shutdown::Both).unwrap();
    }
    let rest = vec![1; (32 << 20) - 100_000];
    stalled[0].write(&rest);
    assert_eq!(stalled[0].reply(0).error, 0);
    client.request(CommandCode::READ, 3, (32 << 20) - 512, 512);
    assert_eq!(client.reply(512).data, [1; 512]);
}

#[test]
fn a_write_that_is_never_finished_ends_after_a_while() {
    // F76
    let served = serve(ServerOptions {
        stall_timeout: Duration::from_millis(50),
        ..ServerOptions::default()
    });
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    client.request(CommandCode::WRITE, 1, 0, 65536);
    client.write(&[1; 1000]);
    assert!(client.is_closed());
}

#[test]
fn a_half_open_handshake_is_sent_away() {
    // GREETING-1
    let served = serve(ServerOptions {
        handshake_timeout: Duration::from_millis(50),
        ..ServerOptions::default()
    });
    let mut silent = connect(&served);
    silent.write(b"IHAVE");
    assert!(silent.is_closed());
    // Who has chosen may be silent for ever.
    let mut idle = connect(&served).go("disk", ReplyMode::Simple);
    std::thread::sleep(Duration::from_millis(200));
    idle.request(CommandCode::READ, 1, 0, 512);
    assert_eq!(idle.reply(512).error, 0);
}

#[test]
fn garbage_costs_only_the_connection_that_sent_it() {
    // F70
    let served = serve(ServerOptions::default());
    let mut good = connect(&served).go("disk", ReplyMode::Simple);
    for round in 0..20u8 {
        let mut bad = connect(&served);
        bad.write(&[round.wrapping_mul(37); 300]);
        assert!(bad.is_closed());
        let mut bad = connect(&served).go("disk", ReplyMode::Structured);
        bad.write(&[round.wrapping_mul(91); 300]);
        assert!(bad.is_closed());
    }
    good.request(CommandCode::READ, 1, 0, 512);
    assert_eq!(good.reply(512).error, 0);
}

#[test]
fn a_drain_refuses_what_is_new_and_answers_what_is_in_flight() {
    // SERVER-1, F89
    let (mut served, tap) = serve_slowly(ServerOptions::default());
    let mut client = connect(&served).go("v", ReplyMode::Simple);
    let mut undecided = connect(&served);
    client.request(CommandCode::FLUSH, 1, 0, 0);
    tap.wait_begun(1);
    let ended = served.drain();
    // The drain has begun when a new request is refused.
    let mut cookie = 2;
    loop {
        client.request(CommandCode::WRITE_ZEROES, cookie, 0, 512);
        let reply = client.reply(0);
        assert_eq!(reply.cookie, cookie);
        cookie += 1;
        match reply.error {
            108 => break,
            // What this export says as long as it is asked.
            error => assert_eq!(error, 28),
        }
    }
    undecided.option(7, &RawClient::go_payload("v"));
    assert_eq!(undecided.option_reply(), 1 << 31 | 7);
    tap.open();
    let reply = client.reply(0);
    assert_eq!((reply.cookie, reply.error), (1, 0));
    assert!(client.is_closed());
    assert!(undecided.is_closed());
    ended();
}

#[test]
fn requests_that_fail_below_are_reported_as_what_they_are() {
    let (served, _tap) = serve_slowly(ServerOptions::default());
    let mut client = connect(&served).go("v", ReplyMode::Simple);
    for (command, error) in [
        (CommandCode::TRIM, 5),
        (CommandCode::WRITE_ZEROES, 28),
        (CommandCode::CACHE, 95),
    ] {
        client.request(command, 1, 0, 512);
        assert_eq!(client.reply(0).error, error);
    }
}

#[test]
fn a_pipe_of_requests_that_ends_within_one_is_done_up_to_there() {
    let served = serve(ServerOptions::default());
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    client.request(CommandCode::WRITE, 1, 0, 512);
    client.write(&[9; 512]);
    assert_eq!(client.reply(0).error, 0);
    client.stream.write_all(&[0x25, 0x60]).unwrap();
    drop(client);
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    client.request(CommandCode::READ, 1, 0, 512);
    assert_eq!(client.reply(512).data, [9; 512]);
}

#[test]
fn a_drain_does_not_wait_for_a_client_that_does_not_take_its_answers() {
    // SERVER-1, OUTBOX-2
    let served = serve(ServerOptions::default());
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    for cookie in 0..10 {
        client.request(CommandCode::READ, cookie, 0, 8 << 20);
    }
    client.read(1000); // they are on their way
    drop(served); // a drain of a tenth of a second, and the thread's end
    drop(client);
}
