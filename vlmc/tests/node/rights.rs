//! What hosts may do, what they have inherited, and who they are.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Node, until};

/// Of the flags in `/proc/PID/stat`: memory is had without waiting for write-back.
const NO_IO: u64 = 0x0008_0000;
/// Of the capabilities: CAP_SYS_RESOURCE.
const RESOURCES: u64 = 1 << 24;

fn status(pid: impl std::fmt::Display, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap().trim().to_owned()
}

/// Of all threads.
fn flags(pid: i32) -> Vec<u64> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let flags = threads.map(|thread| {
        let text = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
        let (_, fields) = text.rsplit_once(')').unwrap();
        let mut fields = fields.split_whitespace();
        fields.nth(6).unwrap().parse().unwrap()
    });
    flags.collect()
}

/// What serves a device of its own machine must not wait for memory that is written back to that device.
#[test]
fn hosts_do_not_wait_for_write_back_where_they_may_have_that() {
    let capabilities = u64::from_str_radix(&status("self", "CapEff"), 16).unwrap();
    let may = capabilities & RESOURCES != 0;
    let node = Node::started("[hosts]\nisolate = true\n");
    let pids = node.pids();
    assert_eq!(pids.len(), 4);
    for pid in pids {
        let flags = flags(pid);
        let has = flags.iter().all(|flags| flags & NO_IO != 0);
        assert_eq!(has, may, "{pid}: {flags:x?}");
    }
}

/// P3. As root, as who alone may start a host as somebody else.
#[test]
fn a_host_keeps_none_of_roots_groups() {
    assert!(
        rustix::process::geteuid().is_root(),
        "only root can start hosts as another user: run the tests as root"
    );
    let node = Node::new("user = \"nobody\"");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(node.path(""), open).unwrap();
    node.archipelago(&["start"]).ok();
    let pid = node.pids()[0];
    let group = must_be_a_number(&status(pid, "Gid"));
    assert_ne!(group, "0");
    assert_eq!(status(pid, "Groups"), group);
    node.vlmc(&["create", "disk", "--size", "8"]).ok();
}

fn must_be_a_number(ids: &str) -> String {
    let mut ids: Vec<&str> = ids.split_whitespace().collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids[0].to_owned()
}

/// SUP-2: the kernel keeps no ends of children for a process that was told by its parent to ignore them.
#[test]
fn a_supervisor_whose_parent_ignored_the_ends_of_children_starts_hosts_again() {
    let node = Node::new("");
    let mut parent = Command::new("env");
    parent.arg("--ignore-signal=CHLD");
    parent.arg(env!("CARGO_BIN_EXE_archipelago"));
    parent.arg("--config").arg(node.config()).arg("supervise");
    parent.stdin(Stdio::null()).stderr(Stdio::null());
    let mut supervisor = parent.spawn().unwrap();
    until("it runs", || node.archipelago(&["status"]).code == 0);
    let ignored = u64::from_str_radix(&status(supervisor.id(), "SigIgn"), 16).unwrap();
    assert_ne!(ignored & 1 << 16, 0, "it was not told to");
    let pid = node.pids()[0];
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    until("another one runs", || {
        node.archipelago(&["status"]).code == 0 && node.pids()[0] != pid
    });
    node.archipelago(&["stop"]).ok();
    assert!(supervisor.wait().unwrap().success());
}
