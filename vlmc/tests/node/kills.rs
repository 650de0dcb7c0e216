//! Hosts are killed at moments that matter: nothing that was answered is lost (S8).

use rustix::process::{Pid, Signal, kill_process};

use crate::nbd::{Ask, Client, Outcome};
use crate::support::{Node, must, until};

pub fn kill(pid: i32) {
    let pid = Pid::from_raw(pid).unwrap();
    let _ = kill_process(pid, Signal::KILL); // it may be gone already
}

/// With all roles in one host the client's socket dies too: it connects again, and everything answered is there.
#[test]
fn what_was_answered_is_there_after_the_host_was_killed() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    for round in 1..=10_u64 {
        let at = round * 3 * 4096 + 512;
        let (write, read) = (
            format!("write -P {round} {at} 20k"),
            format!("read -P {round} {at} 20k"),
        );
        must("qemu-io", &["-f", "raw", "-c", &write, &node.uri("disk")]);
        if round == 5 {
            node.vlmc(&["snapshot", "disk", "monday"]).ok();
        }
        let before = node.pids();
        before.iter().copied().for_each(kill);
        until("another host serves", || {
            let now = node.pids();
            !now.is_empty() && now != before && node.vlmc(&["info", "disk"]).code == 0
        });
        let said = must(
            "qemu-io",
            &["-f", "raw", "-r", "-c", &read, &node.uri("disk")],
        );
        assert!(!said.contains("Pattern verification failed"), "{said}");
    }
    assert_eq!(node.names(), ["disk", "monday"]);
}

/// A composer goes on with what the dead mapper had told it: the next mapper takes that back before it makes a snapshot.
#[test]
fn a_snapshot_after_the_mappers_death_does_not_change_under_a_client_that_writes_on() {
    let node = Node::started("[hosts]\nisolate = true\n");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let script = "\
import os, subprocess
vlmc = [os.environ['VLMC'], '--config', os.environ['CONFIG']]
h.connect_uri(os.environ['URI'])
h.pwrite(b'a' * 65536, 0)
h.pwrite(b'a' * 65536, 0)
os.kill(int(os.environ['MAPPER']), 9)
subprocess.run(vlmc + ['snapshot', 'disk', 'monday'], check=True)
h.pwrite(b'b' * 65536, 0)
h.flush()
assert h.pread(65536, 0) == b'b' * 65536
h.shutdown()
";
    let mapper = node.pid_of("mapperd").unwrap().to_string();
    // The packages' own Python knows their modules.
    let path = std::env::var("PATH").unwrap_or_default();
    let output = std::process::Command::new("nbdsh")
        .args(["-c", script])
        .env("PATH", format!("/usr/bin:/bin:{path}"))
        .env("VLMC", env!("CARGO_BIN_EXE_vlmc"))
        .env("CONFIG", node.config())
        .env("URI", node.uri("disk"))
        .env("MAPPER", mapper)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let read = [
        "-f",
        "raw",
        "-r",
        "-c",
        "read -P 97 0 64k",
        &node.uri("monday"),
    ];
    let read = must("qemu-io", &read);
    assert!(!read.contains("Pattern verification failed"), "{read}");
}

/// Each role in a process of its own: whoever but the one with the client's socket is killed, the client sees no
/// error, only latency (S8).
#[test]
fn a_client_sees_no_error_when_the_hosts_behind_its_own_are_killed() {
    let node = Node::started("[hosts]\nisolate = true\n");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let uri = format!("--uri={}", node.uri("disk"));
    let mut load = std::process::Command::new("fio")
        .args([
            "--name=verified",
            "--ioengine=nbd",
            &uri,
            "--rw=randwrite",
            "--bs=4k",
            "--size=48M",
        ])
        .args([
            "--iodepth=8",
            "--verify=crc32c",
            "--verify_fatal=1",
            "--fsync=64",
        ])
        .args(["--rate_iops=1500", "--output=fio.out"])
        .current_dir(node.path(""))
        .spawn()
        .unwrap();
    let victims = ["blockerb", "mapperd", "blockerm"];
    let mut kills = 0;
    // A few times each; then the load has time to end.
    while kills < 15 && load.try_wait().unwrap().is_none() {
        let victim = victims[kills % victims.len()];
        if let Some(pid) = node.pid_of(victim) {
            kill(pid);
            kills += 1;
            until("another host serves", || {
                node.pid_of(victim).is_some_and(|now| now != pid)
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    let said = std::fs::read_to_string(node.path("fio.out")).unwrap_or_default();
    assert!(load.wait().unwrap().success(), "{said}");
    assert!(kills >= 3, "{kills} kills, {said}");
}

/// P1, F65: the writes have all large buffers of the segment, and end only when the next mapper has opened the volume: which needs
/// buffers too.
#[test]
fn writes_that_hold_all_large_buffers_are_answered_after_the_mappers_death() {
    const WRITE_BYTES: u64 = 4 << 20;
    const DEPTH: u64 = 8;
    let node = Node::started("[hosts]\nisolate = true\n");
    node.vlmc(&["create", "disk", "--size", "256"]).ok();
    let mut client = Client::connect(&node.path("run/nbd.sock"), "disk").unwrap();
    for round in 0..client.size / (WRITE_BYTES * DEPTH) {
        let writes: Vec<Ask> = (0..DEPTH)
            .map(|number| Ask::Write {
                at: (round * DEPTH + number) * WRITE_BYTES,
                data: vec![round as u8 + 1; WRITE_BYTES as usize],
            })
            .collect();
        let before = node.pid_of("mapperd").unwrap();
        let outcomes = std::thread::scope(|scope| {
            let writing = scope.spawn(|| client.ask_all(&writes));
            // At a different moment of the writes in each round.
            std::thread::sleep(std::time::Duration::from_millis(10 + 10 * round));
            kill(before);
            writing.join().unwrap()
        });
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::Done(_));
        assert!(outcomes.iter().all(is_done), "round {round}: {outcomes:?}");
        until("another mapper serves", || {
            node.pid_of("mapperd").is_some_and(|now| now != before)
        });
    }
    client.leave();
}
