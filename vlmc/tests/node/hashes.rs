//! Content by its hash, end to end.

use crate::support::{Node, must};

fn write(node: &Node, volume: &str, from: &str, pattern: &str) {
    let write = format!("write -P {pattern} {from}");
    must(
        "qemu-io",
        &["-f", "raw", "-c", &write, "-c", "flush", &node.uri(volume)],
    );
}

#[track_caller]
fn reads(node: &Node, volume: &str, from: &str, pattern: &str) {
    let read = format!("read -P {pattern} {from}");
    let said = must("qemu-io", &["-f", "raw", "-c", &read, &node.uri(volume)]);
    assert!(!said.contains("failed"), "{volume}, {from}: {said}");
}

fn hash(node: &Node, snapshot: &str) -> String {
    let json = node.vlmc(&["--json", "hash", snapshot]).json();
    let hash = json["hash"].as_str().unwrap().to_owned();
    assert_eq!(hash.len(), 64, "{json}");
    hash
}

/// HASHING-1, HASHING-2, COLLECTING-1
#[test]
fn a_clone_of_a_hash_has_its_content_and_leaves_it_as_it_is() {
    let node = Node::started("");
    for volume in ["one", "two", "three"] {
        node.vlmc(&["create", volume, "--size", "32"]).ok();
        write(&node, volume, "5M 6M", "7");
        write(&node, volume, "20M 4k", "8");
    }
    write(&node, "three", "30M 512", "9");
    for (volume, snapshot) in [("one", "first"), ("two", "second"), ("three", "third")] {
        node.vlmc(&["snapshot", volume, snapshot]).ok();
    }
    let name = hash(&node, "first");
    assert_eq!(hash(&node, "second"), name);
    assert_ne!(hash(&node, "third"), name);
    assert_eq!(
        node.vlmc(&["hash", "one@first"]).ok(),
        format!("Hash name: {name}\n")
    );
    node.vlmc(&["--json", "hash", "one"]).fails(2, "invalid");
    assert!(!node.names().contains(&name));
    for volume in ["one", "two", "three", "first", "second", "third"] {
        node.vlmc(&["remove", volume]).ok();
    }
    node.vlmc(&["create", "clone", "--from-hash", &name, "--size", "64"])
        .ok();
    node.vlmc(&["create", "twin", "--from-hash", &name]).ok();
    for (from, pattern) in [
        ("0 5M", "0"),
        ("5M 6M", "7"),
        ("11M 9M", "0"),
        ("20M 4k", "8"),
        ("24M 40M", "0"),
    ] {
        reads(&node, "clone", from, pattern);
    }
    write(&node, "clone", "5000k 1k", "5");
    write(&node, "clone", "8M 4M", "5");
    write(&node, "clone", "40M 1M", "6");
    must(
        "qemu-io",
        &["-f", "raw", "-c", "discard 20M 4M", &node.uri("clone")],
    );
    node.archipelago(&["restart"]).ok();
    for (from, pattern) in [
        ("5M 3M", "7"),
        ("8M 4M", "5"),
        ("20M 4k", "0"),
        ("40M 1M", "6"),
    ] {
        reads(&node, "clone", from, pattern);
    }
    reads(&node, "twin", "5M 6M", "7");
    reads(&node, "twin", "20M 4k", "8");
    node.vlmc(&["remove", "--hash", &name]).ok();
    node.vlmc(&["--json", "create", "late", "--from-hash", &name])
        .fails(3, "not-found");
    node.vlmc(&["--json", "remove", "--hash", &name])
        .fails(3, "not-found");
    reads(&node, "twin", "5M 6M", "7");
    let found = node.vlmc(&["--json", "gc", "--dry-run"]).json();
    assert_eq!(found["dry_run"], true, "{found}");
    let said = node.vlmc(&["gc"]).ok();
    assert!(said.contains("given back"), "{said}");
    assert!(node.vlmc(&["gc", "--dry-run"]).ok().contains("names: 0;"));
    reads(&node, "twin", "5M 6M", "7");
    reads(&node, "clone", "5M 3M", "7");
    node.vlmc(&["snapshot", "twin", "again"]).ok();
    assert_eq!(hash(&node, "again"), name);
}
