//! The commands of the guide, with its usages.

use crate::support::{Node, must, until};

#[test]
fn every_command_of_the_guide_does_what_the_guide_says() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "100"]).ok();
    assert!(node.vlmc(&["info", "disk"]).ok().contains("104857600"));
    node.vlmc(&["open", "disk"]).ok();
    node.vlmc(&["open", "disk"]).ok();
    assert_eq!(
        node.vlmc(&["snapshot", "disk", "monday"]).ok(),
        "Snapshot name: monday\n"
    );
    node.vlmc(&["create", "copy", "--snap", "monday"]).ok();
    node.vlmc(&["create", "larger", "--snap", "monday", "--size", "200"])
        .ok();
    assert!(node.vlmc(&["info", "copy"]).ok().contains("104857600"));
    assert!(node.vlmc(&["info", "larger"]).ok().contains("209715200"));
    assert_eq!(node.names(), ["copy", "disk", "larger", "monday"]);
    node.vlmc(&["close", "disk"]).ok();
    node.vlmc(&["--json", "close", "disk"]).fails(1, "failed");
    node.vlmc(&["lock", "disk"]).ok();
    node.vlmc(&["lock", "disk"]).ok();
    node.vlmc(&["unlock", "disk"]).ok();
    node.vlmc(&["rename", "copy", "twin"]).ok();
    node.vlmc(&["resize", "twin", "--size", "300"]).ok();
    node.vlmc(&["clone", "disk", "second"]).ok();
    let children = node.vlmc(&["--json", "children", "monday"]).json();
    assert_eq!(
        children["volumes"].as_array().unwrap().len(),
        2,
        "{children}"
    );
    node.vlmc(&["remove", "twin"]).ok();
    node.vlmc(&["rm", "monday"]).ok();
    assert_eq!(node.names(), ["disk", "larger", "second"]);
    let mapped = node.vlmc(&["--json", "map", "disk"]).json();
    assert_eq!(mapped["attachment"]["uri"], node.uri("disk"), "{mapped}");
    assert!(node.vlmc(&["showmapped"]).ok().contains("disk"));
    node.vlmc(&["--json", "remove", "disk"]).fails(5, "busy");
    node.archipelago(&["--json", "stop"]).fails(5, "busy");
    node.vlmc(&["unmap", &node.uri("disk")]).ok();
    node.vlmc(&["remove", "disk"]).ok();
    node.archipelago(&["restart"]).ok();
    assert_eq!(node.names(), ["larger", "second"]);
    assert_eq!(node.archipelago(&["status"]).code, 0);
    node.archipelago(&["stop"]).ok();
    assert_ne!(node.archipelago(&["status"]).code, 0);
    node.vlmc(&["--json", "list"]).fails(9, "unavailable");
}

#[test]
fn quickstart_may_be_said_twice_and_says_what_to_do_next() {
    let node = Node::new("");
    let first = node.archipelago(&["quickstart"]).ok();
    assert!(first.contains("what to do next"), "{first}");
    let second = node.archipelago(&["quickstart"]).ok();
    assert!(second.contains("there already"), "{second}");
    assert_eq!(node.names(), ["first"]);
    assert_eq!(node.archipelago(&["doctor"]).code, 0);
    // What it says to type works as it stands, in a shell that finds none of our programs.
    let told = node.archipelago(&["--json", "quickstart"]).json()["quickstart"].clone();
    assert_eq!(told["uri"], node.uri("first"), "{told}");
    let config = format!(" -c {}", node.config().display());
    let next = told["next"].as_array().unwrap();
    let ours = next.iter().filter_map(serde_json::Value::as_str);
    let ours: Vec<&str> = ours.filter(|line| line.contains(&config)).collect();
    assert_eq!(ours.len(), 3, "{told}");
    for line in ours {
        assert!(first.contains(line), "{first}");
        must("env", &["PATH=/usr/bin:/bin", "sh", "-c", line]);
    }
    assert_eq!(
        node.archipelago(&["status"]).code,
        9,
        "the last one is a stop"
    );
}

/// START-1, STOP-1: whoever comes second gets what was asked for, whatever the first is doing.
#[test]
fn a_node_that_is_started_while_it_stops_runs_in_the_end_and_both_say_so() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    for _ in 0..3 {
        std::thread::scope(|scope| {
            let stop = scope.spawn(|| node.archipelago(&["stop"]));
            until("it is about to stop, or has", || {
                let status = node.archipelago(&["--json", "status"]).json();
                status["roles"][0]["state"] != "running"
            });
            node.archipelago(&["start"]).ok();
            stop.join().unwrap().ok();
        });
        assert_eq!(node.archipelago(&["status"]).code, 0);
        assert_eq!(node.names(), ["disk"]);
    }
}

#[test]
fn one_role_of_a_node_that_does_not_run_is_started_alone() {
    let node = Node::new("[hosts]\nisolate = true\n");
    let said = node.archipelago(&["start", "blockerm"]).ok();
    assert!(!said.contains("shares"), "{said}");
    assert_eq!(node.pids().len(), 1);
    assert!(node.pid_of("blockerm").is_some());
    node.archipelago(&["start"]).ok();
    assert_eq!(node.pids().len(), 4);
    let shared = Node::new("");
    let said = shared.archipelago(&["start", "mapperd"]).ok();
    assert!(said.contains("shares the host main with"), "{said}");
}
