//! A store without space: new places are refused, and nothing else is (D5).
//!
//! The store is a file system of a few MiB, mounted where nobody else sees it: the test runs once more in namespaces of
//! its own.

use std::path::Path;
use std::process::Command;

use crate::nbd::{Ask, Client, Outcome};
use crate::sectors::fill;
use crate::support::{Node, until};

const INSIDE: &str = "NODE_FULL_INSIDE";
const BLOCK: u64 = 4096;
const ENOSPC: u32 = 28;
/// So many blocks are written before the snapshot: less than the file system has.
const FIRST: u64 = 2048;
const STORE_BYTES: u64 = 14 << 20;
/// Room for a reserve of several parts: the journal of what fills the store may take some of it.
const BOTH_BYTES: u64 = 48 << 20;

/// Blocks of a volume that does not fit into that.
const BIG_BLOCKS: u64 = 64 * 256;

/// Runs this test again with a mount table of its own. Tells whether this is that second run.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} inside: {status}");
    false
}

fn mount(at: &Path, bytes: u64) {
    std::fs::create_dir_all(at).unwrap();
    let size = format!("size={bytes},mode=0700");
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &size, "none"])
        .arg(at)
        .status()
        .unwrap();
    assert!(status.success());
}

fn data(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    (0..BLOCK / 512).for_each(|_| fill(value, &mut bytes));
    bytes
}

/// The blocks that could be written, out of these; the others were refused for want of space.
fn write(client: &mut Client, blocks: impl Iterator<Item = u64>, value: u64) -> Vec<u64> {
    let mut written = Vec::new();
    for block in blocks {
        let ask = Ask::Write {
            at: block * BLOCK,
            data: data(value + block),
        };
        match client.ask_all(&[ask]).pop().unwrap() {
            Outcome::Done(_) => written.push(block),
            Outcome::Refused(ENOSPC) => {}
            other => panic!("block {block}: {other:?}"),
        }
    }
    written
}

#[track_caller]
fn check(client: &mut Client, block: u64, value: u64) {
    let ask = Ask::Read {
        at: block * BLOCK,
        bytes: BLOCK as u32,
    };
    match client.ask_all(&[ask]).pop().unwrap() {
        Outcome::Done(found) => assert!(found == data(value + block), "block {block}"),
        other => panic!("block {block}: {other:?}"),
    }
}

/// D5, RESERVE-1: with maps and data on one full file system, what gives space back goes on.
#[test]
fn what_gives_space_back_needs_none() {
    if !is_inside("full::what_gives_space_back_needs_none") {
        return;
    }
    let node = Node::new("trash_ttl = \"0s\"\n");
    mount(&node.path("store"), BOTH_BYTES);
    for store in ["blocks", "maps"] {
        let (from, to) = (node.path("store").join(store), node.path(store));
        std::fs::create_dir_all(&from).unwrap();
        std::fs::create_dir_all(&to).unwrap();
        let status = Command::new("mount")
            .arg("--bind")
            .args([from, to])
            .status();
        assert!(status.unwrap().success());
    }
    node.archipelago(&["start"]).ok();
    for name in ["big", "never", "source", "idle"] {
        node.vlmc(&["create", name, "--size", "64"]).ok();
    }
    node.vlmc(&["snapshot", "source", "monday"]).ok();
    node.vlmc(&["lock", "idle"]).ok();
    let socket = node.path("run/nbd.sock");
    let mut big = Client::connect(&socket, "big").unwrap();
    let written = write(&mut big, 0..BIG_BLOCKS, 1 << 40);
    assert!((written.len() as u64) < BIG_BLOCKS, "the store is not full");
    node.vlmc(&["unlock", "idle"]).ok();
    for name in ["idle", "monday", "source", "never"] {
        node.vlmc(&["remove", name]).ok();
    }
    node.vlmc(&["gc"]).ok();
    big.leave();
    node.vlmc(&["remove", "big"]).ok();
    until("the space is back", || node.objects("blocks").is_empty());
}

/// D5, F21, F23
#[test]
fn a_full_store_refuses_copies_up_and_everything_else_goes_on() {
    if !is_inside("full::a_full_store_refuses_copies_up_and_everything_else_goes_on") {
        return;
    }
    let node = Node::new("trash_ttl = \"0s\"\n");
    mount(&node.path("blocks"), STORE_BYTES);
    node.archipelago(&["start"]).ok();
    node.vlmc(&["create", "disk", "--size", "32"]).ok();
    let socket = node.path("run/nbd.sock");
    let mut disk = Client::connect(&socket, "disk").unwrap();
    let first = write(&mut disk, 0..FIRST, 1 << 40);
    assert_eq!(first.len() as u64, FIRST);
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
    // Copies up, as long as there is space.
    let second = write(&mut disk, 0..FIRST, 2 << 40);
    assert!(
        !second.is_empty() && second.len() < first.len(),
        "{}",
        second.len()
    );
    // What is there is read, and written again.
    let mut monday = Client::connect(&socket, "monday").unwrap();
    for block in 0..FIRST {
        check(&mut monday, block, 1 << 40);
        let is_new = second.binary_search(&block).is_ok();
        check(&mut disk, block, if is_new { 2 << 40 } else { 1 << 40 });
    }
    monday.leave();
    let again = write(&mut disk, second.iter().copied(), 3 << 40);
    assert_eq!(again, second);
    // ROOM-1
    until("the log tells how full it is", || {
        let flushed = disk.ask_all(&[Ask::Flush]);
        assert!(matches!(flushed[..], [Outcome::Done(_)]));
        node.logs().contains("the store is almost full")
    });
    // The refusal is gone with its reason.
    until("the snapshot is removed", || {
        node.vlmc(&["remove", "monday"]).code == 0
    });
    until("its space is back", || {
        let more = write(&mut disk, 0..FIRST, 4 << 40);
        more.len() as u64 == FIRST
    });
    (0..FIRST).for_each(|block| check(&mut disk, block, 4 << 40));
    disk.leave();
}
