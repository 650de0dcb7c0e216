//! What snapshots, clones and removals cost: operations that OSDs count, whatever the size of the volume (M3).

use archipelago_ceph::Cluster;
use serde_json::Value;

use crate::nbd::{Ask, Client, Outcome};
use crate::stores;
use crate::support::Node;

const OSDS: usize = 3;
const GIB: u64 = 1 << 30;
const PLACES: u64 = 64;
/// A tree of 10 TiB has two levels more than one of 1 GiB; and a node that is asked nothing now and then looks after its volumes.
const MORE_AT_MOST: u64 = 20;
/// What else the node does meanwhile only adds: of so many the least is what a command costs.
const TRIES_MAX: usize = 8;

/// Operations of clients that all OSDs have seen.
fn operations(cluster: &Cluster) -> u64 {
    let of_one = |number: usize| {
        let counters = cluster.counters(&format!("osd.{number}")).unwrap();
        let counters: Value = serde_json::from_str(&counters).unwrap();
        counters["osd"]["op"].as_u64().unwrap()
    };
    (0..OSDS).map(of_one).sum()
}

/// Data at many places, far apart.
fn write_everywhere(node: &Node, volume: &str, bytes: u64) {
    let mut client = Client::connect(&node.path("run/nbd.sock"), volume).unwrap();
    let write = |place: u64| Ask::Write {
        at: place * (bytes / PLACES),
        data: vec![place as u8 + 1; 4096],
    };
    let writes: Vec<Ask> = (0..PLACES).map(write).chain([Ask::Flush]).collect();
    let outcomes = client.ask_all(&writes);
    let is_done = |outcome: &Outcome| matches!(outcome, Outcome::Done(_));
    assert!(outcomes.iter().all(is_done), "{outcomes:?}");
    client.leave();
}

/// What each command costs with a volume of this size; the data are not given back before `trash_ttl` is over.
fn costs(cluster: &Cluster, node: &Node, name: &str, bytes: u64) -> Vec<u64> {
    let (snapshot, clone) = (format!("{name}-snapshot"), format!("{name}-clone"));
    let gib = format!("{}G", bytes / GIB);
    node.vlmc(&["create", name, "--size", &gib]).ok();
    write_everywhere(node, name, bytes);
    let commands: [&[&str]; 5] = [
        &["snapshot", name, &snapshot],
        &["clone", &snapshot, &clone],
        &["remove", &clone],
        &["remove", &snapshot],
        &["remove", name],
    ];
    let cost = |command: &&[&str]| {
        let before = operations(cluster);
        node.vlmc(command).ok();
        operations(cluster) - before
    };
    let costs: Vec<u64> = commands.iter().map(cost).collect();
    println!(
        "RADOS operations of snapshot, clone, remove of clone, snapshot and volume ({gib}): {costs:?}"
    );
    costs
}

pub fn do_not_depend_on_the_size(cluster: &Cluster) {
    let conf = cluster.conf().display().to_string();
    // Each in stores of its own: what is removed waits there, and is looked at with the next one.
    let once = |bytes: u64| {
        let node = Node::with_blockers("trash_ttl = \"1h\"\n", |place| {
            stores::rados_settings(place, &conf)
        });
        node.archipelago(&["start"]).ok();
        costs(cluster, &node, "disk", bytes)
    };
    let least = |known: &mut Vec<u64>, found: Vec<u64>| {
        let pairs = known.iter().zip(&found);
        *known = pairs.map(|(known, found)| *known.min(found)).collect();
    };
    let (mut small, mut large) = (once(GIB), once(10 * 1024 * GIB));
    for tries in 1.. {
        let mut pairs = small.iter().zip(&large);
        if pairs.all(|(small, large)| *large <= small + MORE_AT_MOST) {
            break;
        }
        assert!(tries < TRIES_MAX, "{small:?}, {large:?}");
        least(&mut small, once(GIB));
        least(&mut large, once(10 * 1024 * GIB));
    }
    assert!(small.iter().all(|cost| *cost > 0), "{small:?}");
}
