//! Several nodes that share a store.

use std::thread::JoinHandle;
use std::time::Duration;

use archipelago_filed::Presence;
use archipelago_store::LockOwner;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::kills::kill;
use crate::nbd::{Ask, Client, Outcome};
use crate::stores;
use crate::support::{Node, Said, must, until};

#[track_caller]
pub fn reads(node: &Node, pattern: u8, range: &str) {
    let read = format!("read -P {pattern} {range}");
    let said = must(
        "qemu-io",
        &["-f", "raw", "-r", "-c", &read, &node.uri("disk")],
    );
    assert!(!said.contains("Pattern verification failed"), "{said}");
}

#[track_caller]
pub fn writes(node: &Node, pattern: u8, range: &str) {
    let write = format!("write -P {pattern} {range}");
    let args = ["-f", "raw", "-c", &write, "-c", "flush", &node.uri("disk")];
    must("qemu-io", &args);
}

fn message(said: &Said) -> (String, String) {
    let error: Value = said.json()["error"].clone();
    let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    (text("message"), text("remedy"))
}

pub fn signal(pids: &[i32], signal: Signal) {
    for pid in pids {
        kill_process(Pid::from_raw(*pid).unwrap(), signal).unwrap();
    }
}

/// L1, L2, L4: one writes at a time; the other one reads, and goes on after the close.
#[test]
fn a_volume_goes_from_node_to_node_by_close_and_open() {
    let one = Node::started("node = \"one\"\n");
    let two = Node::beside(&one, "two", "");
    one.vlmc(&["create", "disk", "--size", "64"]).ok();
    assert_eq!(two.names(), ["disk"]);
    for round in 1..=4_u8 {
        let (here, there) = if round % 2 == 0 {
            (&two, &one)
        } else {
            (&one, &two)
        };
        here.vlmc(&["open", "disk"]).ok();
        writes(here, round, "0 1M");
        writes(here, round, "40k 8k");
        reads(there, round, "0 1M");
        let said = there.vlmc(&["--json", "open", "disk"]);
        said.fails(5, "locked");
        let owner = if round % 2 == 0 { "two" } else { "one" };
        let (said, _) = message(&said);
        assert!(said.contains(&format!(" on {owner} since ")), "{said}");
        here.vlmc(&["close", "disk"]).ok();
    }
    reads(&one, 4, "0 1M");
}

/// L3, F16, F49: neither the lock of a node that works is broken nor that of one that is stopped and may go on.
#[test]
fn the_lock_of_a_node_that_lives_is_not_broken() {
    let one = Node::started("node = \"one\"\n[hosts]\nisolate = true\n");
    let two = Node::beside(&one, "two", "");
    one.vlmc(&["create", "disk", "--size", "64"]).ok();
    one.vlmc(&["open", "disk"]).ok();
    writes(&one, 1, "0 1M");
    let refused = || {
        let said = two.vlmc(&["--json", "unlock", "-f", "disk"]);
        said.fails(5, "locked");
        let (message, remedy) = message(&said);
        assert!(
            message.contains(" on one since 2") && message.ends_with(", which runs"),
            "{message}"
        );
        assert!(
            remedy.contains("stop that node") && remedy.contains("--fence"),
            "{remedy}"
        );
    };
    refused();
    let pids = one.pids();
    signal(&pids, Signal::STOP);
    refused();
    signal(&pids, Signal::CONT);
    // One process that may still write is enough.
    let blocker = one.pid_of("blockerm").unwrap();
    kill(blocker);
    refused();
    until("another blocker serves", || {
        let now = one.pid_of("blockerm");
        now.is_some_and(|now| now != blocker)
    });
    writes(&one, 2, "0 64k");
    reads(&one, 2, "0 64k");
    assert_eq!(
        two.vlmc(&["--json", "locks"]).json()["locks"][0]["node"],
        "one"
    );
    one.vlmc(&["close", "disk"]).ok();
    writes(&two, 3, "0 64k");
}

/// F7, F46: what the dead node had answered is there; when it comes back it is not the owner any more.
#[test]
fn the_lock_of_a_node_that_is_dead_is_broken_and_nothing_is_lost() {
    let one = Node::started("node = \"one\"\n");
    let two = Node::beside(&one, "two", "");
    one.vlmc(&["create", "disk", "--size", "64"]).ok();
    one.vlmc(&["lock", "disk"]).ok();
    writes(&one, 1, "0 4M");
    let said = two.vlmc(&["--json", "evict-node", "one"]);
    said.fails(5, "locked"); // EVICT-1
    assert!(message(&said).0.ends_with(", which runs"), "{said:?}");
    two.vlmc(&["--json", "evict-node", "two"])
        .fails(2, "invalid");
    let supervisor = one.archipelago(&["--json", "status"]).json()["supervisor_pid"]
        .as_i64()
        .unwrap();
    kill(supervisor as i32);
    let hosts = one.pids();
    hosts.iter().copied().for_each(kill);
    until("all of it is dead", || one.pids().is_empty());
    let lock = two.vlmc(&["--json", "locks"]).json()["locks"][0].clone();
    assert_eq!(
        (&lock["node"], &lock["lives"]),
        (&"one".into(), &false.into())
    );
    let found = two.archipelago(&["--json", "doctor"]).json()["findings"].clone();
    let locks = found.as_array().unwrap().iter();
    let locks = locks.clone().find(|one| one["check"] == "locks").unwrap();
    let text = |key: &str| locks[key].as_str().unwrap().to_owned();
    assert!(text("message").contains(" on one does not live"), "{locks}");
    assert!(text("remedy").contains("vlmc evict-node one"), "{locks}");
    let broken = two.vlmc(&["--json", "evict-node", "one"]).json()["broken"].clone();
    assert_eq!(broken[0]["volume"], "disk", "{broken}");
    let said = two.vlmc(&["evict-node", "one"]).ok();
    assert!(said.contains("has no locks"), "{said}");
    reads(&two, 1, "0 4M");
    writes(&two, 2, "0 64k");
    two.vlmc(&["open", "disk"]).ok();
    one.archipelago(&["start"]).ok();
    let said = one.vlmc(&["--json", "open", "disk"]);
    said.fails(5, "locked");
    for node in [&one, &two] {
        reads(node, 2, "0 64k");
        reads(node, 1, "64k 1M");
    }
    two.vlmc(&["close", "disk"]).ok();
    writes(&one, 3, "0 4k");
    reads(&two, 3, "0 4k");
}

/// F52: a copy of a machine, or a container with the name of another.
#[test]
fn a_node_does_not_start_while_another_one_of_its_name_lives() {
    let node = Node::started("node = \"same\"\n");
    node.vlmc(&["create", "disk", "--size", "8"]).ok();
    node.vlmc(&["lock", "disk"]).ok();
    let lock = node.vlmc(&["--json", "locks"]).json()["locks"][0].clone();
    let text = |key: &str| lock[key].as_str().unwrap().to_owned();
    let owner = LockOwner {
        node: text("node"),
        deployment: text("deployment"),
    };
    assert_eq!(owner.node, "same");
    node.archipelago(&["stop"]).ok();
    let maps = node.path("maps");
    let other = Presence::announce(&maps, None, &owner, 42).unwrap();
    let said = node.archipelago(&["start"]);
    assert_ne!(said.code, 0, "{said:?}");
    assert!(node.logs().contains("calls itself"), "{}", node.logs());
    node.archipelago(&["stop", "--force"]).ok();
    drop(other);
    node.archipelago(&["start"]).ok();
    let lock = node.vlmc(&["--json", "locks"]).json()["locks"][0].clone();
    assert_eq!(lock["is_ours"], true, "{lock}");
}

/// F49, LOST-1, TAKEN-2: as on a file system whose locks end at the machine, or by somebody who is sure, and errs.
#[test]
fn a_node_whose_lock_is_broken_though_it_lives_drops_the_volume_and_refuses_those_who_used_it() {
    let one = Node::started("node = \"one\"\n");
    let two = Node::beside(&one, "two", "");
    one.vlmc(&["create", "disk", "--size", "64"]).ok();
    writes(&one, 1, "0 1M");
    let mut client = Client::connect(&one.path("run/nbd.sock"), "disk").unwrap();
    let mut is_refused = |ask: Ask| match client.ask_all(&[ask]).pop() {
        Some(Outcome::Done(_)) => false,
        Some(Outcome::Refused(_)) => true,
        other => panic!("{other:?}"),
    };
    let write = || Ask::Write {
        at: 0,
        data: vec![2; 4096],
    };
    assert!(!is_refused(write()));
    two.vlmc(&["--json", "unlock", "-f", "disk"])
        .fails(5, "locked");
    let said = two.vlmc(&["unlock", "--force-unsafe", "disk"]).ok();
    assert!(
        said.contains("of archipelago-test-") && said.contains("at risk"),
        "{said}"
    );
    two.vlmc(&["open", "disk"]).ok();
    writes(&two, 3, "0 64k");
    until("it is told", || is_refused(Ask::Flush));
    assert!(is_refused(write()) && is_refused(Ask::Flush));
    reads(&one, 3, "0 64k");
    let status = one.archipelago(&["--json", "status"]).json();
    let lost = status["lost"][0].as_str().unwrap();
    assert!(
        lost.contains("disk was taken from this node") && lost.contains(" on two now"),
        "{lost}"
    );
    let doctor = one.archipelago(&["--json", "doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert!(doctor.stdout.contains("lost volumes"), "{doctor:?}");
    assert_eq!(
        one.vlmc(&["--json", "locks"]).json()["lost"][0]["volume"],
        "disk"
    );
    two.vlmc(&["close", "disk"]).ok();
    assert!(
        is_refused(write()),
        "it is free, and yet nothing that this one knows"
    );
    drop(client);
    until("nobody is there any more who used it", || {
        one.vlmc(&["--json", "locks"]).json()["lost"] == serde_json::json!([])
    });
    writes(&one, 5, "0 4k");
    reads(&two, 5, "0 4k");
    reads(&two, 3, "4k 60k");
}

/// A write of a client that is not waited for.
pub fn begin_write(mut client: Client, byte: u8) -> JoinHandle<(Client, Outcome)> {
    std::thread::spawn(move || {
        let data = vec![byte; 4096];
        let outcome = client.ask_all(&[Ask::Write { at: 0, data }]).pop();
        (client, outcome.expect("an outcome for each"))
    })
}

/// UNDER-1, UNDER-2, FENCE-1, F16, F47, F49: what it was asked when it stood still is not answered as done, and nothing else is disturbed.
#[test]
fn a_node_that_is_fenced_while_it_stands_still_answers_nothing_late() {
    if stores::fences() {
        return; // the cluster refuses it
    }
    let one = Node::started("node = \"one\"\n[hosts]\nisolate = true\n");
    let two = Node::beside(&one, "two", "");
    let connect = |volume: &str| Client::connect(&one.path("run/nbd.sock"), volume).unwrap();
    let mut clients = Vec::new();
    for volume in ["disk", "other"] {
        one.vlmc(&["create", volume, "--size", "64"]).ok();
        let (client, written) = begin_write(connect(volume), 1).join().unwrap();
        assert!(matches!(written, Outcome::Done(_)));
        clients.push(client);
    }
    let pids = one.pids();
    signal(&pids, Signal::STOP);
    let asked: Vec<_> = clients
        .into_iter()
        .map(|client| begin_write(client, 2))
        .collect();
    let said = two.vlmc(&["unlock", "--fence", "disk"]).ok();
    assert!(said.contains("at risk"), "{said}");
    writes(&two, 3, "0 64k");
    signal(&pids, Signal::CONT);
    let outcomes: Vec<_> = asked
        .into_iter()
        .map(|asked| asked.join().unwrap())
        .collect();
    assert!(matches!(outcomes[0].1, Outcome::Refused(_))); // UNDER-2
    assert!(
        matches!(outcomes[1].1, Outcome::Done(_)),
        "its lock is its own"
    );
    for node in [&one, &two] {
        reads(node, 3, "0 64k");
    }
    let locks = one.vlmc(&["--json", "locks"]).json();
    assert_eq!(locks["lost"][0]["volume"], "disk", "{locks}");
    let other = &locks["locks"][1];
    assert_eq!(
        (&other["volume"], &other["is_ours"]),
        (&"other".into(), &true.into())
    );
    assert!(other["lease_ms"].is_number(), "{locks}");
    drop(outcomes);
    two.vlmc(&["close", "disk"]).ok();
    until("nobody is there any more who used it", || {
        one.vlmc(&["--json", "locks"]).json()["lost"] == serde_json::json!([])
    });
    writes(&one, 5, "0 4k");
    reads(&two, 5, "0 4k");
}

/// UNDER-1, F16: longer than the lease's term, and nobody broke its lock.
#[test]
fn a_node_that_stood_still_for_longer_than_its_lease_goes_on_without_an_error() {
    let one = Node::started("node = \"one\"\n[hosts]\nisolate = true\n");
    one.vlmc(&["create", "disk", "--size", "64"]).ok();
    let mut client = Client::connect(&one.path("run/nbd.sock"), "disk").unwrap();
    for byte in 1..=3 {
        let pids = one.pids();
        signal(&pids, Signal::STOP);
        let asked = begin_write(client, byte);
        std::thread::sleep(Duration::from_millis(2500));
        signal(&pids, Signal::CONT);
        let (now, written) = asked.join().unwrap();
        assert!(matches!(written, Outcome::Done(_)), "{written:?}"); // UNDER-1
        client = now;
    }
    reads(&one, 3, "0 4k");
    assert_eq!(
        one.vlmc(&["--json", "locks"]).json()["lost"],
        serde_json::json!([])
    );
}

/// FENCE-1: whoever broke it died over that. The one that lost the lock ends it, or whoever breaks it next.
#[test]
fn a_lock_whose_breaker_died_halfway_becomes_free_all_the_same() {
    if stores::fences() {
        return;
    }
    let one = Node::started("node = \"one\"\n");
    let two = Node::beside(&one, "two", "");
    one.vlmc(&["create", "disk", "--size", "64"]).ok();
    for is_stopped in [true, false] {
        one.vlmc(&["open", "disk"]).ok();
        writes(&one, 1, "0 64k");
        let pids = one.pids();
        if is_stopped {
            signal(&pids, Signal::STOP);
        }
        let breaking = || two.vlmc(&["--json", "--timeout", "1", "unlock", "--fence", "disk"]);
        std::thread::scope(|scope| {
            let broken = scope.spawn(breaking);
            until("it is marked", || {
                let locks = two.vlmc(&["--json", "locks"]).json();
                let lock = &locks["locks"][0];
                lock.is_null() || lock["is_being_broken"] == true
            });
            two.pids().into_iter().for_each(kill);
            drop(broken.join());
        });
        until("its hosts run again", || {
            two.vlmc(&["info", "disk"]).code == 0
        });
        if is_stopped {
            // Though it lives: it has lost the lock already.
            let broken = two.vlmc(&["--json", "unlock", "-f", "disk"]);
            assert!(
                broken.code == 0 || message(&broken).0.contains("is not locked"),
                "{broken:?}"
            );
            signal(&pids, Signal::CONT);
        }
        until("it is free", || two.vlmc(&["open", "disk"]).code == 0);
        writes(&two, 2, "0 64k");
        reads(&one, 2, "0 64k");
        two.vlmc(&["close", "disk"]).ok();
    }
}
