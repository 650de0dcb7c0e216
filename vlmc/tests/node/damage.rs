//! Bytes of the store that are not what was written: named, never believed, and in nobody else's way.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Node, must};

/// The one object of this kind that has `text` in it.
fn object(node: &Node, kind: &str, text: &str) -> PathBuf {
    let all = node.object_paths("maps");
    let is_meant = |path: &&PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(path).unwrap();
        let text = text.as_bytes();
        name.starts_with(kind) && bytes.windows(text.len()).any(|part| part == text)
    };
    all.iter()
        .find(is_meant)
        .unwrap_or_else(|| panic!("no {kind} of {text}: {all:?}"))
        .clone()
}

/// Another bit in one byte.
fn flip(path: &PathBuf, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 4;
    std::fs::write(path, bytes).unwrap();
}

fn write(node: &Node, volume: &str, pattern: u32) {
    let write = format!("write -P {pattern} 0 256k");
    must(
        "qemu-io",
        &["-f", "raw", "-c", &write, "-c", "flush", &node.uri(volume)],
    );
}

#[track_caller]
fn reads(node: &Node, volume: &str, pattern: u32) {
    let read = format!("read -P {pattern} 0 256k");
    let said = must(
        "qemu-io",
        &["-f", "raw", "-r", "-c", &read, &node.uri(volume)],
    );
    assert!(!said.contains("Pattern verification failed"), "{said}");
}

/// Each volume with its own pattern; closed, so that all there is to know is in the store.
fn two_volumes() -> Node {
    let node = Node::started("");
    for (volume, pattern) in [("bad", 5), ("good", 6)] {
        node.vlmc(&["create", volume, "--size", "8"]).ok();
        write(&node, volume, pattern);
        node.vlmc(&["close", volume]).ok();
    }
    node
}

/// F32
#[test]
fn a_damaged_head_is_named_and_the_other_volumes_go_on() {
    let node = two_volumes();
    let head = object(&node, "head+", "bad");
    node.archipelago(&["stop"]).ok();
    flip(&head, 40);
    node.archipelago(&["start"]).ok();
    for command in ["info", "open", "remove"] {
        let said = node.vlmc(&["--json", command, "bad"]);
        said.fails(8, "integrity");
        let error = &said.json()["error"];
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("head/"), "{said:?}");
        assert_ne!(error["remedy"], Value::from(""), "{said:?}");
    }
    let listed = node.vlmc(&["--json", "list"]).json();
    assert_eq!(listed["damaged"][0]["name"], "bad", "{listed}");
    assert_eq!(node.names(), ["good"]);
    reads(&node, "good", 6);
    write(&node, "good", 7);
    reads(&node, "good", 7);
    // Restored, it is as it was.
    flip(&head, 40);
    reads(&node, "bad", 5);
}

/// F32
#[test]
fn a_damaged_page_is_an_error_and_never_wrong_bytes() {
    let node = two_volumes();
    let id = node.vlmc(&["--json", "info", "bad"]).json()["volume"]["id"].clone();
    let page = format!("page+{}", id.as_str().unwrap());
    let all = node.object_paths("maps");
    let is_meant = |path: &&PathBuf| path.to_string_lossy().contains(&page);
    let page = all.iter().find(is_meant).unwrap().clone();
    node.archipelago(&["stop"]).ok();
    flip(&page, 100);
    node.archipelago(&["start"]).ok();
    let read = ["-f", "raw", "-r", "-c", "read 0 256k", &node.uri("bad")];
    let output = std::process::Command::new("qemu-io")
        .args(read)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Input/output error"), "{said}");
    reads(&node, "good", 6);
    flip(&page, 100);
    reads(&node, "bad", 5);
}

/// LOG-3, LOG-5, F32: what was complete once is not the end of a journal that a crash cut off.
#[test]
fn a_damaged_journal_is_named_and_nothing_is_made_of_it() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "8"]).ok();
    write(&node, "disk", 5);
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
    write(&node, "disk", 6);
    // Whoever stops a node folds its journals.
    let supervisor = std::fs::read_to_string(node.path("run/supervisor.lock")).unwrap();
    let pids = [supervisor.trim().parse().unwrap()];
    pids.into_iter()
        .chain(node.pids())
        .for_each(crate::kills::kill);
    let logs = node.object_paths("maps").into_iter().filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("log+") && std::fs::read(path).unwrap().iter().any(|byte| *byte != 0)
    });
    let first = logs.min_by_key(|path| path.file_name().unwrap().to_owned());
    let first = first.unwrap();
    flip(&first, 50);
    node.archipelago(&["start"]).ok();
    let said = node.vlmc(&["--json", "create", "twin", "--snap", "monday"]);
    said.fails(8, "integrity");
    let message = said.json()["error"]["message"].to_string();
    assert!(message.contains("log/"), "{message}");
    // What the volume itself needs of it is folded already, or it does not open either.
    let opened = node.vlmc(&["--json", "open", "disk"]);
    match opened.code {
        0 => reads(&node, "disk", 6),
        _ => opened.fails(8, "integrity"),
    }
    flip(&first, 50);
    node.vlmc(&["open", "disk"]).ok();
    reads(&node, "disk", 6);
    reads(&node, "monday", 5);
}
