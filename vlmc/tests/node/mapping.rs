//! What is mapped is mapped as it was asked for, by whatever name it is called later.

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
