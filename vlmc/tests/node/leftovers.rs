//! What dead nodes, other configurations and strangers leave behind, and what `start` and `stop` make of it.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Node, until};

fn kill(pid: i32) {
    let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL); // it may be gone already
}

/// Everything of the node, at once, as when the memory runs out.
fn kill_all(node: &Node) {
    let status = node.archipelago(&["--json", "status"]).json();
    let supervisor = status["supervisor_pid"].as_i64().unwrap() as i32;
    let hosts = node.pids();
    kill(supervisor);
    hosts.into_iter().for_each(kill);
    until("nothing runs", || {
        let status = node.archipelago(&["--json", "status"]).json();
        status["supervisor_pid"].is_null() && node.pids().is_empty()
    });
}

fn segment(node: &Node) -> PathBuf {
    let status = node.archipelago(&["--json", "status"]).json();
    Path::new("/dev/shm").join(status["segment"].as_str().unwrap())
}

fn reconfigure(node: &Node, from: &str, to: &str) {
    let text = std::fs::read_to_string(node.config()).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(node.config(), text.replace(from, to)).unwrap();
}

/// F19
#[test]
fn files_of_the_dead_mean_nothing() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    kill_all(&node);
    let record = r#"{"pid":1,"start_ticks":3,"started_ms":5,"is_ready":true}"#;
    std::fs::write(node.path("run/host-main.lock"), record).unwrap();
    std::fs::write(node.path("run/supervisor.lock"), "1").unwrap();
    assert_eq!(node.archipelago(&["status"]).code, 9);
    node.archipelago(&["start"]).ok();
    assert_eq!(node.names(), ["disk"]);
    node.archipelago(&["stop"]).ok();
    assert!(!segment(&node).exists());
    node.archipelago(&["stop"]).ok();
}

/// SERVED-1: whoever waited for a dead node would wait for a day here.
#[test]
fn a_dead_node_is_told_from_a_slow_one_at_once() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let list = ["--json", "--timeout", "86400", "list"];
    let doctor = node.archipelago(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
    kill_all(&node);
    for command in [&list[..], &["--json", "--timeout", "86400", "info", "disk"]] {
        let said = node.vlmc(command);
        said.fails(9, "unavailable");
        assert!(said.stdout.contains("not running"), "{said:?}");
        assert!(said.stdout.contains("`archipelago start`"), "{said:?}");
    }
    let doctor = node.archipelago(&["doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert!(doctor.stdout.contains("leftovers: "), "{doctor:?}");
    // While somebody waits, too.
    node.archipelago(&["start"]).ok();
    let status = node.archipelago(&["--json", "status"]).json();
    let supervisor = status["supervisor_pid"].as_i64().unwrap() as i32;
    let host = node.pids()[0];
    kill_process(Pid::from_raw(host).unwrap(), Signal::STOP).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| node.vlmc(&list));
        until("it waits", || {
            let top = std::fs::read_dir("/proc").unwrap().flatten();
            let config = node.config();
            let mut commands = top.map(|entry| entry.path().join("cmdline"));
            commands.any(|path| {
                let words = std::fs::read(path).unwrap_or_default();
                let words = String::from_utf8_lossy(&words).into_owned();
                words.contains(config.to_str().unwrap()) && words.contains("86400")
            })
        });
        // Stopped, or it would start another host; and first, or the kernel would wake its stopped child.
        kill_process(Pid::from_raw(supervisor).unwrap(), Signal::STOP).unwrap();
        kill(host);
        kill(supervisor);
        waiting.join().unwrap().fails(9, "unavailable");
    });
    node.archipelago(&["start"]).ok();
    // A host that was stopped is not waited for either; one that is about to be started again is.
    node.archipelago(&["stop"]).ok();
    reconfigure(&node, "[segment]", "[hosts]\nisolate = true\n[segment]");
    node.archipelago(&["start"]).ok();
    node.archipelago(&["stop", "blockerm"]).ok();
    let said = node.vlmc(&list);
    said.fails(9, "unavailable");
    assert!(said.stdout.contains("blockerm is not running"), "{said:?}");
    assert_eq!(node.archipelago(&["doctor"]).code, 1);
    node.archipelago(&["start", "blockerm"]).ok();
    kill(node.pid_of("mapperd").unwrap());
    assert_eq!(node.names(), ["disk"]);
}

#[test]
fn the_segment_of_a_dead_node_is_made_anew_if_it_is_damaged_or_has_another_size() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let segment = segment(&node);
    let bytes = || segment.metadata().unwrap().len();
    let small = bytes();
    kill_all(&node);
    reconfigure(&node, "size = \"64MiB\"", "size = \"80MiB\"");
    node.archipelago(&["start"]).ok();
    assert!(bytes() > small);
    assert_eq!(node.names(), ["disk"]);
    kill_all(&node);
    let file = std::fs::File::options().write(true).open(&segment).unwrap();
    file.set_len(64).unwrap();
    node.archipelago(&["start"]).ok();
    assert!(bytes() > small);
    assert_eq!(node.names(), ["disk"]);
}

#[test]
fn a_file_in_the_segments_place_that_is_none_is_named_and_left_alone() {
    let node = Node::new("");
    let place = segment(&node);
    std::fs::write(&place, "x".repeat(1 << 20)).unwrap();
    let said = node.archipelago(&["--json", "start"]);
    said.fails(9, "unavailable");
    assert!(said.stdout.contains(place.to_str().unwrap()), "{said:?}");
    assert_eq!(node.archipelago(&["status"]).code, 9);
    assert_eq!(std::fs::read(&place).unwrap().len(), 1 << 20);
    std::fs::remove_file(place).unwrap();
    node.archipelago(&["start"]).ok();
}

#[test]
fn hosts_of_an_earlier_configuration_are_not_joined_but_stopped_when_asked() {
    let isolated = "[hosts]\nisolate = true\n";
    let node = Node::started(isolated);
    let status = node.archipelago(&["--json", "status"]).json();
    kill(status["supervisor_pid"].as_i64().unwrap() as i32);
    until("it is gone", || {
        let status = node.archipelago(&["--json", "status"]).json();
        status["supervisor_pid"].is_null()
    });
    reconfigure(&node, isolated, "");
    let said = node.archipelago(&["--json", "start"]);
    said.fails(9, "unavailable");
    assert!(
        said.stdout
            .contains("the configuration has none of that name"),
        "{said:?}"
    );
    node.archipelago(&["stop"]).ok();
    node.archipelago(&["start"]).ok();
    assert_eq!(node.pids().len(), 1);
}

#[test]
fn a_supervisor_with_an_older_configuration_is_told_apart() {
    let node = Node::started("");
    reconfigure(&node, "[segment]", "[hosts]\nisolate = true\n[segment]");
    let said = node.archipelago(&["start"]);
    assert_eq!(said.code, 9, "{said:?}");
    assert!(said.stdout.contains("`archipelago restart`"), "{said:?}");
    node.archipelago(&["restart"]).ok();
    assert_eq!(node.pids().len(), 4);
}

/// F20
#[test]
fn a_host_that_cannot_start_says_why_where_the_administrator_looks() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let node = Node::new(&format!("nbd.listen = \"{address}\"\n"));
    let said = node.archipelago(&["start"]);
    assert_eq!(said.code, 9, "{said:?}");
    assert!(said.stdout.contains(&address.to_string()), "{said:?}");
    let said = node.archipelago(&["--json", "start"]);
    said.fails(9, "unavailable");
    assert!(said.json()["roles"].is_array(), "{said:?}");
    drop(taken);
    node.archipelago(&["start"]).ok();
    assert_eq!(node.archipelago(&["status"]).code, 0);
}

/// Nobody finds the hosts by their locks any more; what they serve is safe all the same.
#[test]
fn a_run_directory_that_was_removed_while_its_node_ran_lets_no_second_node_at_the_volumes() {
    let node = Node::started("");
    let host = node.pids()[0];
    std::fs::remove_dir_all(node.path("run")).unwrap();
    let said = node.archipelago(&["start"]);
    assert_eq!(said.code, 9, "{said:?}");
    assert!(said.stdout.contains(&format!("process {host}")), "{said:?}");
    let said = node.archipelago(&["--json", "stop"]);
    said.fails(5, "busy");
    assert!(said.stdout.contains(&format!("process {host}")), "{said:?}");
    // Its supervisor lost its directory as well, and starts it again: it goes by a signal.
    let parent = rustix::process::Pid::from_raw(host).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{host}/status")).unwrap();
    let supervisor = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    let supervisor = supervisor.unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(supervisor).unwrap(), Signal::TERM).unwrap();
    until("both are gone", || {
        rustix::process::test_kill_process(parent).is_err()
    });
    node.archipelago(&["start"]).ok();
}
