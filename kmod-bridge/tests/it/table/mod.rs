//! A table of malformed and odd exchanges, each with the answer that the protocol text demands. All of it goes through one
//! server, and all the while a good client of that server reads and writes and never sees an error (F70 to F74).

mod cuts;
mod extended;
mod greetings;
mod options;
mod requests;
mod row;
mod run;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use archipelago_front::{DiskName, Features, MemDisk, MemDisks};
use archipelago_nbd::ServerOptions;
use archipelago_nbd::wire::{CommandCode, ReplyMode};

use crate::support::{Served, connect, serve_with};
use row::Row;
use run::{PATTERN_AT, pattern};

/// All exports but the empty one have this size.
pub const SIZE: u64 = 64 << 20;

/// `disk`, `frozen` (read-only), `plain` (which can nothing but read and write), `empty`, and `good` for the good client.
fn serve_table() -> Served {
    serve_with(ServerOptions::default(), |_| {
        let exports = MemDisks::new();
        let name = |name: &str| name.parse::<DiskName>().unwrap();
        let disk = MemDisk::new(SIZE);
        disk.put(PATTERN_AT, &pattern(PATTERN_AT, 1 << 20));
        disk.snapshot(name("monday"));
        disk.put(0, &[1; 4096]);
        exports.insert(name("frozen"), disk.read_only());
        exports.insert(name("disk"), disk);
        let plain = MemDisk::with(SIZE, Features::default());
        plain.put(PATTERN_AT, &pattern(PATTERN_AT, 1 << 20));
        exports.insert(name("plain"), plain);
        exports.insert(name("empty"), MemDisk::new(0));
        exports.insert(name("good"), MemDisk::new(SIZE));
        exports
    })
}

/// Writes and reads, and compares, until it is told to stop. Counts its rounds.
fn be_good(served: &Served, stop: &AtomicBool, rounds: &AtomicU64) {
    let mut client = connect(served).go("good", ReplyMode::Simple);
    while !stop.load(Ordering::SeqCst) {
        let round = rounds.load(Ordering::SeqCst);
        let (offset, len) = (round * 7919 % (SIZE - 70_000), 1 + round * 31 % 70_000);
        let bytes = pattern(round * 77, len as usize);
        client.request(CommandCode::WRITE, 2 * round, offset, len);
        client.write(&bytes);
        let written = client.reply(0);
        assert_eq!((written.cookie, written.error), (2 * round, 0));
        client.request(CommandCode::READ, 2 * round + 1, offset, len);
        let read = client.reply(len as usize);
        assert_eq!((read.cookie, read.error), (2 * round + 1, 0));
        assert!(read.data == bytes, "round {round}");
        rounds.fetch_add(1, Ordering::SeqCst);
    }
}

fn table() -> Vec<Row> {
    [
        greetings::rows(),
        options::rows(),
        requests::rows(),
        extended::rows(),
        cuts::rows(),
    ]
    .concat()
}

#[test]
fn bad_clients_get_what_the_protocol_says_and_a_good_one_notices_nothing() {
    // HANDSHAKE-1, READER-1, READER-3, ADMISSION-3, F70, F71, F72, F73, F74, F79, F82
    let served = serve_table();
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let rows = table();
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names.len(), rows.len(), "two rows of one name");
    assert!(rows.len() >= 150, "{} rows", rows.len());
    let mut wrong = Vec::new();
    std::thread::scope(|threads| {
        let good = threads.spawn(|| be_good(&served, &stop, &rounds));
        for row in &rows {
            let before = rounds.load(Ordering::SeqCst);
            if catch_unwind(AssertUnwindSafe(|| run::run(&served, row))).is_err() {
                wrong.push(&row.name);
            }
            // The good client is served while and after each row.
            while rounds.load(Ordering::SeqCst) == before && !good.is_finished() {
                std::thread::yield_now();
            }
        }
        stop.store(true, Ordering::SeqCst);
        good.join().expect("the good client saw an error");
    });
    println!("{} exchanges, {rounds:?} rounds beside them", rows.len());
    assert!(wrong.is_empty(), "{} rows: {wrong:#?}", wrong.len());
}
