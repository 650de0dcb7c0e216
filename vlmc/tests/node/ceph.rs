//! A node whose objects lie in a Ceph cluster.

use std::fs;
use std::process::Command;

use archipelago_ceph::{Cluster, ClusterOptions};

use crate::ceph_costs;
use crate::kills::kill;
use crate::stores;
use crate::support::{Node, must, until};

/// One with the pools that nodes want.
pub fn cluster() -> Cluster {
    let cluster = ClusterOptions::default().start().unwrap();
    for pool in ["blocks", "maps"] {
        cluster.create_pool(pool).unwrap();
    }
    cluster
}

fn node(cluster: &Cluster, settings: &str) -> Node {
    let conf = cluster.conf().display().to_string();
    Node::with_blockers(settings, |place| stores::rados_settings(place, &conf))
}

/// Bytes without a pattern.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn fill(node: &Node, volume: &str, content: &[u8]) {
    let file = node.path("in");
    fs::write(&file, content).unwrap();
    must(
        "nbdcopy",
        &["--flush", file.to_str().unwrap(), &node.uri(volume)],
    );
}

#[track_caller]
fn expect(node: &Node, volume: &str, content: &[u8]) {
    let file = node.path("out");
    let _ = fs::remove_file(&file);
    must("nbdcopy", &[&node.uri(volume), file.to_str().unwrap()]);
    assert!(
        fs::read(&file).unwrap() == content,
        "{volume} is not what was written"
    );
}

#[test]
fn a_node_keeps_its_volumes_in_a_cluster_through_restarts_and_crashes() {
    let mut cluster = cluster();
    for settings in ["", "[hosts]\nisolate = true\n"] {
        volumes_live_in_the_cluster(&mut cluster, settings);
    }
    what_is_wrong_is_said(&cluster);
    ceph_costs::do_not_depend_on_the_size(&cluster);
}

fn volumes_live_in_the_cluster(cluster: &mut Cluster, settings: &str) {
    const LEN: usize = 24 << 20;
    let node = node(cluster, settings);
    node.archipelago(&["config", "check"]).ok();
    node.archipelago(&["start"]).ok();
    let (first, second) = (bytes(1, LEN), bytes(2, LEN));
    node.vlmc(&["create", "disk", "--size", "24"]).ok();
    fill(&node, "disk", &first);
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
    node.vlmc(&["clone", "disk", "second"]).ok();
    fill(&node, "disk", &second);
    expect(&node, "second", &first);
    node.archipelago(&["restart"]).ok();
    expect(&node, "disk", &second);
    expect(&node, "monday", &first);

    // What was answered is there after all hosts were killed; the old instances are fenced (S6, S8).
    let third = [&bytes(3, 70_000)[..], &second[70_000..]].concat();
    fill(&node, "disk", &third);
    let before = node.pids();
    before.iter().copied().for_each(kill);
    until("other hosts serve", || {
        let now = node.pids();
        let is_new = now.len() == before.len() && now.iter().all(|pid| !before.contains(pid));
        is_new && node.vlmc(&["info", "disk"]).code == 0
    });
    expect(&node, "disk", &third);
    let fenced = cluster.ceph(&["osd", "blocklist", "ls"]).unwrap();
    assert!(fenced.lines().count() >= 2, "{fenced}");

    cluster.kill("osd.1").unwrap();
    fill(&node, "second", &third);
    expect(&node, "second", &third);
    cluster.revive("osd.1").unwrap();
    expect(&node, "monday", &first);

    for volume in ["second", "monday", "disk"] {
        node.vlmc(&["remove", volume]).ok();
    }
    node.vlmc(&["gc"]).ok();
    node.archipelago(&["stop"]).ok();
    assert_ne!(node.archipelago(&["status"]).code, 0);
}

fn what_is_wrong_is_said(cluster: &Cluster) {
    let node = node(cluster, "");
    let conf = fs::read_to_string(node.config()).unwrap();
    fs::write(node.config(), conf.replace("\"blocks\"", "\"nowhere\"")).unwrap();
    let said = node.archipelago(&["start"]);
    assert_ne!(said.code, 0);
    let all = format!("{}{}{}", said.stdout, said.stderr, node.logs());
    assert!(all.contains("ceph osd pool create nowhere"), "{all}");
}

/// What nodes do, whatever they keep their objects in (S6, S8, L1, L2, L4).
const STORIES: &[&str] = &[
    "commands::every_command_of_the_guide",
    "disks::",
    "drill::clients_of_a_host_that_lives",
    "kills::a_snapshot",
    "kills::what_was_answered",
    "migration::",
    "nodes::a_volume_goes_from_node_to_node",
    "nodes_storm::",
];
const KILLS: &str = "2";
const ROUNDS: &str = "6";

/// The tests that nodes pass on directories, each with namespaces of its own.
#[test]
fn what_holds_of_nodes_on_a_directory_holds_on_a_cluster() {
    let cluster = cluster();
    let mut stories = Command::new(std::env::current_exe().unwrap());
    stories.args(["--test-threads=2"]).args(STORIES);
    stories.env(stores::CEPH_CONF, cluster.conf());
    stories.env("NODE_KILLS", KILLS).env("NODES_ROUNDS", ROUNDS);
    let output = stories.output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}
