//! What is in use is not taken away: volumes with clients that are connected, mapped or not.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::nbd::{Ask, Client as Connection, Outcome};
use crate::support::{Node, must, until};

/// A client that stays connected.
struct Client(Child);

impl Client {
    fn of(node: &Node, volume: &str, is_read_only: bool) -> Self {
        let mut command = Command::new("qemu-io");
        command.args(["-f", "raw"]);
        if is_read_only {
            command.arg("-r");
        }
        command.arg(node.uri(volume));
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn say(&mut self, line: &str) {
        let stdin = self.0.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    fn leave(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }

    fn die(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn clients(node: &Node) -> Vec<u64> {
    let shown = node.vlmc(&["--json", "showmapped"]).json();
    let all = shown["attachments"].as_array().unwrap().clone();
    all.iter()
        .map(|one| one["clients"].as_u64().unwrap())
        .collect()
}

fn check_that_nothing_is_taken_away(node: &Node) {
    for command in [
        vec!["remove", "disk"],
        vec!["rename", "disk", "other"],
        vec!["resize", "disk", "--size", "50", "--allow-shrink"],
    ] {
        let command = [&["--json"], &command[..]].concat();
        node.vlmc(&command).fails(5, "busy");
    }
    for command in ["stop", "restart"] {
        node.archipelago(&["--json", command]).fails(5, "busy");
    }
}

/// USERS-1, USING-3, LETGO-2
#[test]
fn a_volume_is_its_clients_until_they_are_gone() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "100"]).ok();
    node.vlmc(&["map", "disk"]).ok();
    assert_eq!(clients(&node), [0]);
    let mut first = Client::of(&node, "disk", false);
    let second = Client::of(&node, "disk", false);
    until("both clients are counted", || clients(&node) == [2]);
    node.vlmc(&["--json", "unmap", "disk"]).fails(5, "busy");
    second.die();
    until("the dead one is forgotten", || clients(&node) == [1]);
    node.vlmc(&["--json", "unmap", "disk"]).fails(5, "busy");
    check_that_nothing_is_taken_away(&node);
    // What takes nothing away is done.
    node.vlmc(&["resize", "disk", "--size", "200"]).ok();
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
    first.say("write -P 7 0 64k");
    first.leave();
    // Whoever has just left is in nobody's way.
    node.vlmc(&["unmap", "disk"]).ok();
    let read = [
        "-r",
        "-f",
        "raw",
        "-c",
        "read -P 7 0 64k",
        &node.uri("disk"),
    ];
    let said = must("qemu-io", &read);
    assert!(!said.contains("fail"), "{said}");
    node.vlmc(&["remove", "disk"]).ok();
    assert_eq!(node.names(), ["monday"]);
    node.archipelago(&["stop"]).ok();
}

/// USERS-1: snapshots count as well.
#[test]
fn a_snapshot_that_is_read_is_not_removed() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "100"]).ok();
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
    node.vlmc(&["map", "disk@monday"]).ok();
    let client = Client::of(&node, "disk@monday", true);
    until("it is in use", || clients(&node) == [1]);
    node.vlmc(&["--json", "unmap", "disk@monday"])
        .fails(5, "busy");
    node.vlmc(&["--json", "remove", "monday"]).fails(5, "busy");
    node.vlmc(&["--json", "rename", "monday", "sunday"])
        .fails(5, "busy");
    client.leave();
    node.vlmc(&["unmap", "disk@monday"]).ok();
    node.vlmc(&["remove", "monday"]).ok();
}

/// LETGO-2: the mapper that asks who uses a volume is not the one that was asked for it.
#[test]
fn who_uses_a_volume_is_known_to_the_mappers_successor() {
    let node = Node::started("[hosts]\nisolate = true\n");
    node.vlmc(&["create", "disk", "--size", "100"]).ok();
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
    node.vlmc(&["map", "disk"]).ok();
    node.vlmc(&["map", "monday"]).ok();
    let volume = Client::of(&node, "disk", false);
    let snapshot = Client::of(&node, "monday", true);
    until("the clients are counted", || clients(&node) == [1, 1]);
    let pid = node.pid_of("mapperd").unwrap();
    must("kill", &["-9", &pid.to_string()]);
    for name in ["disk", "monday"] {
        node.vlmc(&["--json", "unmap", name]).fails(5, "busy");
    }
    check_that_nothing_is_taken_away(&node);
    volume.leave();
    snapshot.leave();
    for name in ["disk", "monday"] {
        node.vlmc(&["unmap", name]).ok();
        node.vlmc(&["remove", name]).ok();
    }
}

/// What a restart costs clients is what the refusal says that it does.
#[test]
fn a_forced_restart_ends_connections_and_keeps_what_was_answered() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "16"]).ok();
    let socket = node.path("run/nbd.sock");
    let mut client = Connection::connect(&socket, "disk").unwrap();
    let write = Ask::Write {
        at: 0,
        data: vec![7; 4096],
    };
    let read = Ask::Read { at: 0, bytes: 4096 };
    let outcomes = client.ask_all(std::slice::from_ref(&write));
    assert!(matches!(&outcomes[..], [Outcome::Done(_)]), "{outcomes:?}");
    for args in [&["restart"][..], &["restart", "mapperd"], &["stop"]] {
        let said = node.archipelago(&[&["--json"], args].concat());
        said.fails(5, "busy");
        let remedy = said.json()["error"]["remedy"].to_string();
        assert!(remedy.contains("lose their connections"), "{remedy}");
    }
    node.archipelago(&["restart", "--force"]).ok();
    let outcomes = client.ask_all(std::slice::from_ref(&read));
    assert!(matches!(&outcomes[..], [Outcome::Unknown]), "{outcomes:?}");
    let mut client = Connection::connect(&socket, "disk").unwrap();
    let outcomes = client.ask_all(std::slice::from_ref(&read));
    match &outcomes[..] {
        [Outcome::Done(data)] => assert_eq!(data, &[7; 4096]),
        other => panic!("{other:?}"),
    }
    client.leave();
    // What is mapped and not used is in no restart's way.
    node.vlmc(&["map", "disk"]).ok();
    node.archipelago(&["restart"]).ok();
}

#[test]
fn clients_only_wait_while_a_host_is_restarted_that_does_not_hold_their_connections() {
    let node = Node::started("[hosts]\nisolate = true\n");
    node.vlmc(&["create", "disk", "--size", "16"]).ok();
    let mut client = Connection::connect(&node.path("run/nbd.sock"), "disk").unwrap();
    for role in ["mapperd", "blockerm", "blockerb"] {
        node.archipelago(&["restart", role]).ok();
        let outcomes = client.ask_all(&[Ask::Write {
            at: 0,
            data: vec![7; 4096],
        }]);
        assert!(matches!(&outcomes[..], [Outcome::Done(_)]), "{outcomes:?}");
    }
    node.archipelago(&["--json", "restart", "vlmcd"])
        .fails(5, "busy");
    client.leave();
    node.archipelago(&["restart", "vlmcd"]).ok();
}
