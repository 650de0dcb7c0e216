//! What NBD clients learn of a volume that changes: what was written since a snapshot, and another size.

use std::process::Command;

use serde_json::Value;

use crate::nbd::{Ask, Client, Outcome};
use crate::support::{Node, must};

fn ask(node: &Node, asks: &[Ask]) {
    let mut client = Client::connect(&node.path("run/nbd.sock"), "disk").unwrap();
    for outcome in client.ask_all(asks) {
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
    client.leave();
}

fn write(at: u64, bytes: usize) -> Ask {
    let data = vec![7; bytes];
    Ask::Write { at, data }
}

/// Offset, length and whether it changed, of each run.
fn map(uri: &str, since: &str) -> Vec<(u64, u64, bool)> {
    let context = format!("--map=archipelago:changed-since:{since}");
    let told: Value = serde_json::from_str(&must("nbdinfo", &["--json", &context, uri])).unwrap();
    let number = |run: &Value, field: &str| run[field].as_u64().unwrap();
    let runs = told.as_array().unwrap().iter();
    runs.map(|run| {
        let is_changed = number(run, "type") == 1;
        (number(run, "offset"), number(run, "length"), is_changed)
    })
    .collect()
}

#[test]
fn a_backup_learns_what_changed_since_a_snapshot_and_reads_the_next_one() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let size = 64_u64 << 20;
    ask(&node, &[write(0, 1 << 20), write(32 << 20, 4096)]);
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
    let uri = node.uri("disk");
    assert_eq!(map(&uri, "monday"), [(0, size, false)]);
    let (at, trimmed) = (40 << 20, 65536);
    ask(
        &node,
        &[
            write(at, 4096),
            Ask::Trim {
                at: 0,
                bytes: trimmed,
            },
        ],
    );
    let trimmed = u64::from(trimmed);
    let expected = [
        (0, trimmed, true),
        (trimmed, at - trimmed, false),
        (at, 4096, true),
        (at + 4096, size - at - 4096, false),
    ];
    assert_eq!(map(&uri, "monday"), expected);
    // The volume goes on; the next snapshot stands still, and is read by its full name.
    node.vlmc(&["snapshot", "disk", "tuesday"]).ok();
    ask(&node, &[write(50 << 20, 4096)]);
    let tuesday = node.uri("disk@tuesday");
    assert_eq!(map(&tuesday, "monday"), expected);
    must("nbdinfo", &["--is", "read-only", &tuesday]);
    assert_eq!(map(&uri, "tuesday").iter().filter(|run| run.2).count(), 1);
    // Without the snapshot, or with a volume in its place, there is no such context.
    node.vlmc(&["create", "other", "--size", "64"]).ok();
    for since in ["nowhere", "other", "disk"] {
        let context = format!("archipelago:changed-since:{since}");
        let map = format!("--map={context}");
        let told = Command::new("nbdinfo").args([&map, &uri]).output().unwrap();
        let said = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(
            !told.status.success() && said.contains("context"),
            "{since}: {said}"
        );
    }
}

/// F83
#[test]
fn a_volume_that_grows_can_be_used_whole_by_new_clients_and_by_those_who_are_there() {
    const EINVAL: u32 = 22;
    const ENOSPC: u32 = 28;
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "8"]).ok();
    let socket = node.path("run/nbd.sock");
    let mut old = Client::connect(&socket, "disk").unwrap();
    let before = 8_u64 << 20;
    node.vlmc(&["resize", "disk", "--size", "16"]).ok();
    let mut new = Client::connect(&socket, "disk").unwrap();
    assert_eq!((old.size, new.size), (before, 2 * before));
    let end = before - 4096;
    let told = old.ask_all(&[
        write(end, 4096),
        write(2 * before, 4096),
        Ask::Read {
            at: 2 * before - 256,
            bytes: 512,
        },
        Ask::Read {
            at: before,
            bytes: 512,
        },
    ]);
    assert!(matches!(
        told[..],
        [
            Outcome::Done(_),
            Outcome::Refused(ENOSPC),
            Outcome::Refused(EINVAL),
            Outcome::Done(_),
        ]
    ));
    let told = new.ask_all(&[Ask::Read {
        at: end,
        bytes: 8192,
    }]);
    let expected = [vec![7; 4096], vec![0; 4096]].concat();
    assert!(matches!(&told[..], [Outcome::Done(bytes)] if *bytes == expected));
    old.leave();
    new.leave();
}
