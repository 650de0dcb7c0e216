//! What is mapped is mapped as it was asked for, by whatever name it is called later.

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use crate::nbd::{Ask, Client, Outcome};
use crate::support::{Node, until};

const EPERM: u32 = 1;

fn write(node: &Node) -> Outcome {
    let mut client = Client::connect(&node.path("run/nbd.sock"), "disk").unwrap();
    let ask = Ask::Write {
        at: 0,
        data: vec![7; 512],
    };
    let outcome = client.ask_all(&[ask]).pop().unwrap();
    client.leave();
    outcome
}

/// MAPPED-1, F82
#[test]
fn nobody_writes_to_a_volume_that_is_mapped_read_only() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "8"]).ok();
    assert!(matches!(write(&node), Outcome::Done(_)));
    let uri = node.vlmc(&["map", "--read-only", "disk"]).ok();
    assert!(matches!(write(&node), Outcome::Refused(EPERM)));
    node.vlmc(&["unmap", uri.trim()]).ok();
    assert!(matches!(write(&node), Outcome::Done(_)));
    // Who is there already may write: then it cannot be mapped so.
    let client = Client::connect(&node.path("run/nbd.sock"), "disk").unwrap();
    let refused = node.vlmc(&["--json", "map", "--read-only", "disk"]);
    refused.fails(5, "busy");
    client.leave();
    assert!(
        matches!(write(&node), Outcome::Done(_)),
        "nothing is left of that"
    );
}

/// MAPPED-1, F82: a record that cannot be understood says neither.
#[test]
fn nobody_writes_to_a_volume_whose_record_is_damaged() {
    let node = Node::started("");
    for volume in ["disk", "other"] {
        node.vlmc(&["create", volume, "--size", "8"]).ok();
    }
    let map = ["map", "disk", "--read-only", "--type", "nbd-socket"];
    node.vlmc(&map).ok();
    let record = node.path("run/mapped").join("6469736b");
    std::fs::write(&record, "").unwrap();
    let socket = node.path("run/nbd.sock");
    assert!(Client::connect(&socket, "disk").is_err(), "it is served");
    Client::connect(&socket, "other").unwrap().leave();
    let named = record.display().to_string();
    for command in [&["unmap", "disk"][..], &map, &["remove", "disk"]] {
        let refused = node.vlmc(command);
        assert_ne!(refused.code, 0, "{refused:?}");
        assert!(refused.stderr.contains(&named), "{refused:?}");
    }
    std::fs::remove_file(&record).unwrap();
    assert!(matches!(write(&node), Outcome::Done(_)));
}

/// MAPPED-1, ATTACHMENT-4: after a boot the export listens before all is attached again.
#[test]
fn nobody_writes_to_a_volume_that_is_yet_to_be_mapped_read_only_again() {
    let node = Node::new("");
    let text = std::fs::read_to_string(node.config()).unwrap();
    let state = node.path("state").display().to_string();
    std::fs::write(node.config(), format!("state_dir = \"{state}\"\n{text}")).unwrap();
    node.archipelago(&["start"]).ok();
    node.vlmc(&["create", "disk", "--size", "8"]).ok();
    let map = ["map", "disk", "-r", "--persist", "--type", "nbd-socket"];
    let uri = node.vlmc(&map).ok();
    node.archipelago(&["stop", "--force"]).ok();
    std::fs::remove_dir_all(node.path("run/mapped")).unwrap();
    // Whoever attaches waits for this one.
    let lock = std::fs::File::open(node.path("run/mapped.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    node.archipelago(&["start"]).ok();
    assert!(matches!(write(&node), Outcome::Refused(EPERM)));
    assert!(!node.path("run/mapped").exists(), "nothing is attached yet");
    drop(lock);
    until("it is attached again", || {
        node.path("run/mapped/6469736b").exists()
    });
    assert!(matches!(write(&node), Outcome::Refused(EPERM)));
    node.vlmc(&["unmap", uri.trim()]).ok();
    assert!(matches!(write(&node), Outcome::Done(_)));
}

#[test]
fn a_mapped_snapshot_is_not_taken_away_under_its_other_name() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "8"]).ok();
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
    let uri = node.vlmc(&["map", "disk@monday"]).ok();
    for command in [
        &["remove", "monday"][..],
        &["remove", "disk@monday"],
        &["map", "monday"],
        &["rename", "monday", "tuesday"],
    ] {
        let command = [&["--json"], command].concat();
        node.vlmc(&command).fails(5, "busy");
    }
    node.vlmc(&["unmap", uri.trim()]).ok();
    node.vlmc(&["remove", "monday"]).ok();
}

/// SERVE-6: whoever was told that nobody answered finds nothing done long after that.
#[test]
fn a_removal_that_nobody_waits_for_any_more_is_not_begun() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "8"]).ok();
    let pid = Pid::from_raw(node.pid_of("mapperd").unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let late = node.vlmc(&["--json", "remove", "disk", "--timeout", "1"]);
    kill_process(pid, Signal::CONT).unwrap();
    late.fails(7, "timeout");
    // What comes behind it is answered, so it was taken out of the inbox.
    until("the mapper answers", || node.vlmc(&["list"]).code == 0);
    node.vlmc(&["info", "disk"]).ok();
}
