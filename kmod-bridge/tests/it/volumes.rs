//! Volumes over the segment: a composer of the test's own behind the real exports, with few and small buffers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use archipelago_front::{Disk as _, DiskName, Disks as _};
use archipelago_nbd::ServerOptions;
use archipelago_nbd::wire::{CommandCode, ReplyMode, command_flags};

use archipelago_runtime::{Reactor, ReactorOptions};
use xseg::{BindOptions, CreateOptions, Geometry};

use crate::support::{
    Asked, FAILS_AT, FAILS_LENGTH, FULL_AT, RawClient, SHORT_AT, Served, compose, connect, image,
    run, serve_with, text,
};

const SIZE: u64 = 64 << 20;

fn serve_volume(mode_max: ReplyMode) -> (Served, Arc<Asked>) {
    let options = ServerOptions {
        mode_max,
        piece_bytes_max: 64 << 10,
        receiving_max: 4,
        sending_max: 4,
        ..ServerOptions::default()
    };
    let asked = Arc::new(Asked::default());
    let theirs = asked.clone();
    let served = serve_with(options, |handle| compose(handle, SIZE, theirs));
    (served, asked)
}

#[test]
fn a_volume_is_copied_there_and_back_through_a_handful_of_buffers() {
    // BRIDGE-1, BRIDGE-3, WRITE-3: far more and longer requests than there are buffers
    for mode in [ReplyMode::Simple, ReplyMode::Structured] {
        let (served, asked) = serve_volume(mode);
        let directory = tempfile::tempdir().unwrap();
        let (image, back) = (image(directory.path()), directory.path().join("back"));
        let uri = served.uri("disk");
        let many = ["--request-size=4194304", "--requests=16", "--connections=4"];
        let there = [&many[..], &["--flush", text(&image), &uri]].concat();
        run("nbdcopy", &there);
        assert!(asked.flushes.load(Ordering::SeqCst) > 0);
        run("nbdcopy", &[&many[..], &[&uri, text(&back)]].concat());
        run("cmp", &[text(&image), text(&back)]);
    }
}

#[test]
fn qemu_speaks_to_a_volume_with_extended_headers() {
    let (served, asked) = serve_volume(ReplyMode::Extended);
    let directory = tempfile::tempdir().unwrap();
    let image = image(directory.path());
    let uri = served.uri("disk");
    let raw = ["-f", "raw", "-O", "raw"];
    let convert = [&["convert", "-n"], &raw[..], &[text(&image), &uri]].concat();
    run("qemu-img", &convert);
    let compare = ["compare", "-f", "raw", "-F", "raw", text(&image), &uri];
    assert!(run("qemu-img", &compare).contains("identical"));
    let commands = [
        "-c",
        "write -f -P 1 0 1M",
        "-c",
        "write -z -u 1M 1M",
        "-c",
        "discard 2M 1M",
    ];
    let read = [
        "-c",
        "flush",
        "-c",
        "read -P 1 0 1M",
        "-c",
        "read -P 0 1M 2M",
        &uri,
    ];
    let arguments = [&["-f", "raw", "-d", "unmap"], &commands[..], &read[..]].concat();
    let said = run("qemu-io", &arguments);
    assert!(!said.contains("rror") && !said.contains("fail"), "{said}");
    for counter in [
        &asked.flushes,
        &asked.discards,
        &asked.zeroes,
        &asked.durable,
    ] {
        assert!(counter.load(Ordering::SeqCst) > 0, "{asked:?}");
    }
}

#[test]
fn volumes_are_listed_page_by_page_and_opened_by_name() {
    let (served, _) = serve_volume(ReplyMode::Extended);
    let listed = run("nbdinfo", &["--list", &served.uri("")]);
    for expected in [
        r#"export="disk""#,
        r#"export="frozen""#,
        "volume of 67108864 bytes",
        "snapshot of 67108864 bytes",
    ] {
        assert!(listed.contains(expected), "{expected} in {listed}");
    }
    for snapshot in ["frozen", "disk@frozen"] {
        run("nbdinfo", &["--is", "read-only", &served.uri(snapshot)]);
    }
    for (name, reply) in [
        ("nowhere", 1 << 31 | 6),
        ("other@frozen", 1 << 31 | 6),
        ("", 1 << 31 | 6),
        ("a@b@c", 1 << 31 | 6),
        ("busy", 1 << 31 | 2),
    ] {
        let mut client = connect(&served);
        client.option(7, &RawClient::go_payload(name));
        assert_eq!(client.option_reply(), reply, "{name}");
    }
}

#[test]
fn the_map_of_a_volume_is_put_together_from_short_answers() {
    let (served, _) = serve_volume(ReplyMode::Structured);
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    for page in 0..6 {
        client.request(CommandCode::WRITE, page, page * 131_072, 65536);
        client.write(&[1; 65536]);
        assert_eq!(client.reply(0).error, 0);
    }
    let map = run("nbdinfo", &["--map", "--json", &served.uri("disk")]);
    let spaceless: String = map.split_whitespace().collect();
    for page in 0..6 {
        let data = format!(r#""offset":{},"length":65536,"type":0,"#, page * 131_072);
        let hole = r#""length":65536,"type":3,"#;
        assert!(spaceless.contains(&data), "{data} in {map}");
        assert_eq!(spaceless.matches(hole).count(), 5, "{map}");
    }
}

#[test]
fn wrong_answers_are_errors_and_never_wrong_bytes() {
    // BRIDGE-2, F22, F25, F28
    let (served, _) = serve_volume(ReplyMode::Simple);
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    for (at, read, written) in [(SHORT_AT, 5, 5), (FAILS_AT, 5, 5), (FULL_AT, 0, 28)] {
        client.request(CommandCode::READ, 1, at, 512);
        assert_eq!(client.reply(512).error, read, "read at {at}");
        client.request(CommandCode::WRITE, 2, at, 512);
        client.write(&[1; 512]);
        assert_eq!(client.reply(0).error, written, "write at {at}");
    }
}

#[test]
fn a_failure_in_the_middle_of_a_long_read_is_told_in_every_dialect() {
    let (served, _) = serve_volume(ReplyMode::Structured);
    // The second piece is the one that fails.
    let (offset, length) = (1 << 20, (64 << 10) + FAILS_LENGTH);
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    client.request(CommandCode::READ, 1, offset, length);
    assert_eq!(client.reply(0).error, 5);
    let mut client = connect(&served).go("disk", ReplyMode::Structured);
    client.request(CommandCode::READ, 1, offset, length);
    // The good piece may come before the error; the error ends it.
    let mut chunks = vec![client.chunk()];
    while !chunks.last().unwrap().is_last {
        chunks.push(client.chunk());
    }
    let kinds: Vec<u16> = chunks.iter().map(|chunk| chunk.kind).collect();
    assert!(kinds == [1, 0x8001] || kinds == [0x8001], "{kinds:?}");
}

#[test]
fn zeroes_that_must_take_space_are_written() {
    let (served, asked) = serve_volume(ReplyMode::Simple);
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    let no_hole = command_flags::NO_HOLE;
    client.flagged(no_hole, CommandCode::WRITE_ZEROES, 1, 4096, 200_000);
    assert_eq!(client.reply(0).error, 0);
    assert_eq!(asked.zeroes.load(Ordering::SeqCst), 0);
    client.request(CommandCode::WRITE_ZEROES, 1, 4096, 200_000);
    assert_eq!(client.reply(0).error, 0);
    assert_eq!(asked.zeroes.load(Ordering::SeqCst), 1);
}

#[test]
fn buffers_of_clients_that_vanish_come_back() {
    // OUTBOX-2, F76, F78: there are 16 buffers
    let (served, _) = serve_volume(ReplyMode::Simple);
    for round in 0..40 {
        let mut client = connect(&served).go("disk", ReplyMode::Simple);
        if round % 2 == 0 {
            client.request(CommandCode::READ, 2, 0, 1 << 20);
        }
        client.request(CommandCode::WRITE, 1, 0, 1 << 20);
        client.write(&vec![round; 100_000]);
        drop(client);
    }
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    client.request(CommandCode::READ, 1, 1 << 20, 1 << 20);
    assert_eq!(client.reply(1 << 20).data, vec![0; 1 << 20]);
}

#[test]
fn readers_that_do_not_read_leave_the_buffers_to_others() {
    // OUTBOX-3, F75: there are 16 buffers, and these clients ask for thousands
    let (served, _) = serve_volume(ReplyMode::Simple);
    let mut slow: Vec<RawClient> = (0..40)
        .map(|_| {
            let mut client = connect(&served).go("disk", ReplyMode::Simple);
            for cookie in 0..100 {
                client.request(CommandCode::READ, cookie, 0, 65536);
            }
            client
        })
        .collect();
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    for cookie in 0..100 {
        client.request(CommandCode::WRITE, cookie, 1 << 21, 65536);
        client.write(&[3; 65536]);
        assert_eq!(client.reply(0).error, 0);
    }
    // Those who come back get all of it.
    for _ in 0..100 {
        assert_eq!(slow[0].reply(65536).data, [0; 65536]);
    }
}

#[test]
fn a_volume_is_opened_for_nobody_else_while_requests_of_who_left_are_done() {
    // ORPHAN-1: whatever attaches it
    let geometry = Geometry::new(4, 4, 64).and_then(|geometry| geometry.with_buffers(1 << 16, 16));
    let segment = CreateOptions::new(geometry.unwrap()).create_private();
    let port = segment.unwrap().bind(0, &BindOptions::default()).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let handle = reactor.handle();
    reactor.block_on(async move {
        let disks = compose(&handle, SIZE, Arc::default());
        let name: DiskName = "disk".parse().unwrap();
        let left = disks.open(&name).await.unwrap();
        let used = disks.open(&name).await.unwrap();
        left.leave();
        let another = disks.clone();
        let mut opening = handle.spawn(async move { another.open(&name).await.is_ok() });
        let early = handle.timeout(Duration::from_millis(20), &mut opening);
        assert!(early.await.is_err());
        let other: DiskName = "frozen".parse().unwrap();
        disks.open(&other).await.unwrap();
        drop(left);
        assert!(opening.await);
        drop(used);
    });
}

#[test]
fn writers_that_stop_in_the_middle_leave_buffers_to_others() {
    // WRITE-2, F76: there are 16 buffers
    let (served, _) = serve_volume(ReplyMode::Simple);
    let mut stopped: Vec<RawClient> = (0..40_u64)
        .map(|index| {
            let mut client = connect(&served).go("disk", ReplyMode::Simple);
            client.request(CommandCode::WRITE, index, index * 65536, 65536);
            client.write(&vec![index as u8; 40_000]);
            client
        })
        .collect();
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    for cookie in 0..100 {
        client.request(CommandCode::WRITE, cookie, SIZE / 2, 65536);
        client.write(&[3; 65536]);
        assert_eq!(client.reply(0).error, 0);
    }
    // They go on in the end, and nothing of theirs is lost.
    for (index, client) in stopped.iter_mut().enumerate().rev() {
        client.write(&vec![index as u8; 65536 - 40_000]);
        assert_eq!(client.reply(0).error, 0);
        client.request(CommandCode::READ, 1, index as u64 * 65536, 65536);
        assert_eq!(client.reply(65536).data, [index as u8; 65536]);
    }
}

/// Until the composer was told so often.
fn told(counter: &std::sync::atomic::AtomicU64, count: u64) {
    let give_up = Instant::now() + Duration::from_secs(60);
    while counter.load(Ordering::SeqCst) < count {
        assert!(Instant::now() < give_up, "{counter:?} of {count}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_volume_is_used_as_long_as_the_connection_lasts() {
    // USING-1, USING-3
    let (served, asked) = serve_volume(ReplyMode::Simple);
    for round in 1..=5 {
        let mut client = connect(&served).go("disk", ReplyMode::Simple);
        client.request(CommandCode::WRITE, 1, 0, 4096);
        client.write(&[1; 4096]);
        assert_eq!(client.reply(0).error, 0);
        assert_eq!(asked.opens.load(Ordering::SeqCst), round);
        assert_eq!(asked.closes.load(Ordering::SeqCst), round - 1);
        // In the middle of a request, and without a word.
        client.request(CommandCode::WRITE, 2, 0, 4096);
        drop(client);
        told(&asked.closes, round);
    }
    // What was only looked at is not used.
    run("nbdinfo", &["--size", &served.uri("frozen")]);
    let opens = asked.opens.load(Ordering::SeqCst);
    told(&asked.closes, opens);
}

#[test]
fn a_composer_that_leaves_is_followed_by_one_that_knows_the_users() {
    // USING-2
    let (served, asked) = serve_volume(ReplyMode::Simple);
    asked.leaves.store(3, Ordering::SeqCst);
    let _client = connect(&served).go("disk", ReplyMode::Simple);
    told(&asked.opens, 1);
    assert_eq!(asked.leaves.load(Ordering::SeqCst), 0);
}

#[test]
fn what_will_be_read_soon_is_looked_for_and_not_read() {
    let (served, asked) = serve_volume(ReplyMode::Simple);
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    for page in 0..200 {
        client.request(CommandCode::WRITE, page, page * 131_072, 4096);
        client.write(&[1; 4096]);
        assert_eq!(client.reply(0).error, 0);
    }
    client.request(CommandCode::CACHE, 1, 4096, 1 << 20);
    assert_eq!(client.reply(0).error, 0);
    // Sixteen runs, three of which are told at a time.
    assert_eq!(asked.statuses.load(Ordering::SeqCst), 6);
    // Of a range without end it is tried for a while.
    client.request(CommandCode::CACHE, 2, 0, SIZE);
    assert_eq!(client.reply(0).error, 0);
    assert_eq!(asked.statuses.load(Ordering::SeqCst), 6 + 64);
    for (offset, length, error) in [(0, 0, 0), (SIZE, 1, 22)] {
        client.request(CommandCode::CACHE, 3, offset, length);
        assert_eq!(client.reply(0).error, error);
    }
}
