//! The life of hosts: signals, logs, levels, ports, and what they may open.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::nbd::{Ask, Client};
use crate::support::{Node, must, until};

const ISOLATED: &str = "[hosts]\nisolate = true\n";

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Also a dead one counts while nobody has reaped it; supervisors' orphans are reaped by init.
fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_zombie = stat
        .rsplit_once(')')
        .is_some_and(|(_, rest)| rest.starts_with(" Z"));
    test_kill_process(Pid::from_raw(pid).unwrap()).is_ok() && !is_zombie
}

fn supervisor(node: &Node) -> i32 {
    let status = node.archipelago(&["--json", "status"]).json();
    status["supervisor_pid"].as_i64().unwrap() as i32
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn level(node: &Node, role: &str) -> i64 {
    let status = node.archipelago(&["--json", "status"]).json();
    let roles = status["roles"].as_array().unwrap().clone();
    let role = roles.iter().find(|status| status["role"] == role).unwrap();
    role["log_level"].as_i64().unwrap_or(-1)
}

#[test]
fn a_roles_log_level_changes_alone_and_until_its_host_is_restarted() {
    let node = Node::started("");
    let debugs = |role: &str| {
        read(&node.path(&format!("log/{role}.log")))
            .matches("DEBUG")
            .count()
    };
    // Fails at the mapper, which says so at this level only.
    let fail = || assert_ne!(node.vlmc(&["info", "nothing"]).code, 0);
    fail();
    assert_eq!((debugs("mapperd"), level(&node, "mapperd")), (0, 2));
    node.archipelago(&["log-level", "mapperd", "3"]).ok();
    assert_eq!([level(&node, "mapperd"), level(&node, "blockerm")], [3, 2]);
    fail();
    until("the mapper says more", || debugs("mapperd") > 0);
    for role in ["blockerb", "blockerm", "vlmcd"] {
        assert_eq!(debugs(role), 0, "{role}");
    }
    node.archipelago(&["log-level", "mapperd", "0"]).ok();
    let before = debugs("mapperd");
    fail();
    assert_eq!((debugs("mapperd"), level(&node, "mapperd")), (before, 0));
    node.archipelago(&["restart", "mapperd"]).ok();
    assert_eq!(level(&node, "mapperd"), 2, "as configured");
    node.archipelago(&["stop"]).ok();
    node.archipelago(&["--json", "log-level", "mapperd", "3"])
        .fails(9, "unavailable");
}

#[test]
fn the_supervisor_stops_its_hosts_in_order_when_it_is_told_to_end() {
    for order in [Signal::TERM, Signal::INT] {
        let node = Node::started(ISOLATED);
        node.vlmc(&["create", "disk", "--size", "64"]).ok();
        let (supervisor, hosts) = (supervisor(&node), node.pids());
        assert_eq!(hosts.len(), 4);
        signal(supervisor, order);
        until("everybody is gone", || {
            !lives(supervisor) && !hosts.iter().any(|pid| lives(*pid))
        });
        let log = read(&node.path("log/supervisor.log"));
        let ends: Vec<usize> = ["vlmcd", "mapperd", "blockerm", "blockerb"]
            .map(|host| {
                let line = |line: &str| {
                    line.contains("ended") && line.contains(&format!("host=\"{host}\""))
                };
                log.lines()
                    .position(line)
                    .unwrap_or_else(|| panic!("{host}: {log}"))
            })
            .into();
        assert!(ends.is_sorted(), "{log}");
        assert!(!log.contains("KILL") && !log.contains("signal 9"), "{log}");
        for host in ["vlmcd", "mapperd", "blockerm", "blockerb"] {
            assert!(
                read(&node.path(&format!("log/host-{host}.log"))).contains("stopping"),
                "{host}"
            );
        }
        node.archipelago(&["start"]).ok();
        assert_eq!(node.names(), ["disk"]);
    }
}

/// S8, F15
#[test]
fn hosts_outlive_a_killed_supervisor_and_the_next_one_adopts_them() {
    let node = Node::started(ISOLATED);
    let (first, hosts) = (supervisor(&node), node.pids());
    signal(first, Signal::KILL);
    until("it is gone", || !lives(first));
    let status = node.archipelago(&["--json", "status"]);
    for role in status.json()["roles"].as_array().unwrap() {
        assert_eq!(role["state"], "running", "{status:?}");
    }
    assert_eq!(status.code, 9, "nobody would start them again: {status:?}");
    let doctor = node.archipelago(&["doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert!(doctor.stdout.contains("what dies stays dead"), "{doctor:?}");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    node.archipelago(&["start"]).ok();
    assert_eq!(node.pids(), hosts);
    assert_ne!(supervisor(&node), first);
    signal(supervisor(&node), Signal::TERM);
    until("the adopted are gone", || {
        !hosts.iter().any(|pid| lives(*pid))
    });
}

/// F89: a client's request that does not end holds the stop up for a while, and not when one says it twice.
#[test]
fn who_is_told_twice_to_stop_does_not_wait_for_clients() {
    let node = Node::started(ISOLATED);
    node.vlmc(&["create", "disk", "--size", "8"]).ok();
    let (first, hosts) = (supervisor(&node), node.pids());
    let blocker = node.pid_of("blockerb").unwrap();
    let mut client = Client::connect(&node.path("run/nbd.sock"), "disk").unwrap();
    signal(blocker, Signal::STOP);
    let write = Ask::Write {
        at: 0,
        data: vec![7; 4096],
    };
    let client = std::thread::spawn(move || client.ask_all(&[write]));
    std::thread::sleep(std::time::Duration::from_millis(500)); // until it is on its way
    let log = || node.logs();
    signal(first, Signal::TERM);
    until("a host stops", || log().contains("stopping"));
    signal(first, Signal::TERM);
    until("it is told again", || {
        log().contains("told again: clients are not waited for")
    });
    signal(blocker, Signal::CONT);
    client.join().unwrap();
    until("all are gone", || !hosts.iter().any(|pid| lives(*pid)));
}

#[test]
fn log_files_are_opened_anew_when_the_supervisor_hangs_up() {
    let node = Node::started("");
    let files =
        ["supervisor.log", "host-main.log", "mapperd.log"].map(|name| node.path("log").join(name));
    for file in &files {
        let inode = file
            .metadata()
            .unwrap_or_else(|error| panic!("{file:?}: {error}"))
            .ino();
        assert_ne!(inode, 0);
        std::fs::rename(file, file.with_extension("log.1")).unwrap();
    }
    let (pids, supervisor) = (node.pids(), supervisor(&node));
    signal(supervisor, Signal::HUP);
    until("all files are there again", || {
        files.iter().all(|file| file.exists())
    });
    node.archipelago(&["log-level", "mapperd", "3"]).ok();
    node.vlmc(&["info", "nothing"]);
    until("the mapper logs into the new file", || {
        read(&files[2]).contains("DEBUG")
    });
    assert!(!read(&files[2].with_extension("log.1")).contains("DEBUG"));
    assert_eq!(node.pids(), pids, "nobody died of it");
}

/// CONFINE-1: a host that is made to open a file outside of its directories cannot. Its log file is what it opens when told.
#[test]
fn a_host_opens_nothing_outside_of_its_directories() {
    let node = Node::started("");
    let (log, outside) = (node.path("log/mapperd.log"), node.path("outside"));
    std::fs::write(&outside, "").unwrap();
    std::fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink(&outside, &log).unwrap();
    signal(supervisor(&node), Signal::HUP);
    until("it says that it cannot", || {
        read(&node.path("log/host-main.log")).contains("the log file cannot be opened")
    });
    node.archipelago(&["log-level", "mapperd", "3"]).ok();
    node.vlmc(&["info", "nothing"]);
    assert_eq!(read(&outside), "");
    let status = read(Path::new(&format!("/proc/{}/status", node.pids()[0])));
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
}

/// What leads to the journal is told by `JOURNAL_STREAM`; here a file stands in for it.
#[test]
fn with_a_journal_everything_goes_there_with_its_level() {
    let node = Node::new("");
    let directory = node.path("log");
    std::fs::create_dir_all(node.path("blocks")).unwrap();
    std::fs::create_dir_all(node.path("maps")).unwrap();
    std::fs::create_dir_all(node.path("run")).unwrap();
    std::fs::create_dir_all(&directory).unwrap();
    let journal = std::fs::File::options()
        .append(true)
        .create(true)
        .open(node.path("journal"))
        .unwrap();
    let about = journal.metadata().unwrap();
    let mut supervisor = Command::new(env!("CARGO_BIN_EXE_archipelago"))
        .arg("--config")
        .arg(node.config())
        .arg("supervise")
        .env("JOURNAL_STREAM", format!("{}:{}", about.dev(), about.ino()))
        .stdin(Stdio::null())
        .stderr(journal)
        .spawn()
        .unwrap();
    until("it runs", || node.archipelago(&["status"]).code == 0);
    node.archipelago(&["log-level", "mapperd", "3"]).ok();
    node.vlmc(&["info", "nothing"]);
    let journal = || read(&node.path("journal"));
    until("the mapper's line is there", || {
        journal().contains("\n<7>mapperd: ")
    });
    assert!(journal().contains("<6>"), "{}", journal());
    assert_eq!(
        std::fs::read_dir(&directory).unwrap().count(),
        0,
        "no files beside the journal"
    );
    node.archipelago(&["stop"]).ok();
    assert!(supervisor.wait().unwrap().success());
}

#[test]
fn a_host_that_hangs_is_told_from_one_that_runs() {
    let node = Node::started("");
    let pid = node.pids()[0];
    signal(pid, Signal::STOP);
    let status = node.archipelago(&["--json", "status"]);
    assert_eq!(status.code, 9, "{status:?}");
    for role in status.json()["roles"].as_array().unwrap() {
        assert_eq!(
            (&role["state"], &role["pid"]),
            (&"hung".into(), &pid.into())
        );
    }
    node.archipelago(&["--json", "log-level", "mapperd", "3"])
        .fails(9, "unavailable");
    let late = node.vlmc(&["--json", "--timeout", "1", "info", "disk"]);
    late.fails(7, "timeout");
    assert!(late.stdout.contains("info of disk"), "{late:?}");
    signal(pid, Signal::CONT);
    until("it runs again", || node.archipelago(&["status"]).code == 0);
}

/// As a service manager does that tells all processes of a service at once, in no order.
#[test]
fn hosts_that_are_all_told_to_end_at_once_end_and_nothing_is_lost() {
    let node = Node::started(ISOLATED);
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    must(
        "qemu-io",
        &["-f", "raw", "-c", "write -P 7 4k 64k", &node.uri("disk")],
    );
    let mut all = node.pids();
    all.push(supervisor(&node));
    for pid in &all {
        signal(*pid, Signal::TERM);
    }
    until("everybody is gone", || !all.iter().any(|pid| lives(*pid)));
    until("also who was started meanwhile", || {
        node.archipelago(&["--json", "status"]).json()["supervisor_pid"].is_null()
    });
    assert_eq!(node.pids(), Vec::<i32>::new());
    node.archipelago(&["start"]).ok();
    let read = must(
        "qemu-io",
        &[
            "-f",
            "raw",
            "-r",
            "-c",
            "read -P 7 4k 64k",
            &node.uri("disk"),
        ],
    );
    assert!(!read.contains("failed"), "{read}");
}

#[test]
fn a_role_logs_where_its_own_logfile_is() {
    let node = Node::new("");
    let text = std::fs::read_to_string(node.config()).unwrap();
    let own = node.path("elsewhere/m.log");
    let text = format!(
        "{text}[role.mapperd]\nlog_level = 3\nlogfile = \"{}\"\n[role.vlmcd]\nlogfile = \"/dev/null\"\n",
        own.display()
    );
    std::fs::write(node.config(), text).unwrap();
    node.archipelago(&["config", "check"]).ok();
    node.archipelago(&["start"]).ok();
    node.vlmc(&["info", "nothing"]);
    until("the mapper's line is there", || {
        read(&own).contains("DEBUG")
    });
    assert!(!node.path("log/mapperd.log").exists());
    assert_eq!(level(&node, "mapperd"), 3);
    // Rotated there as well.
    std::fs::rename(&own, own.with_extension("old")).unwrap();
    signal(supervisor(&node), Signal::HUP);
    until("the file is there again", || own.exists());
    node.archipelago(&["stop"]).ok();
    std::fs::remove_dir_all(node.path("elsewhere")).unwrap();
    std::fs::write(node.path("elsewhere"), "").unwrap();
    let said = node.archipelago(&["config", "check"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("role.mapperd.logfile"), "{said:?}");
}
