//! A thousand random operations on twenty volumes: each says what it must, and nothing is left when all are removed.

use crate::random::{number, seed};
use crate::support::{Node, until};
use crate::worker::Worker;

/// M4, M5, M7, WORK-1, WORK-2
#[test]
fn after_a_thousand_operations_volumes_equal_their_models_and_space_is_given_back() {
    let node = Node::started("trash_ttl = \"0s\"\n");
    let mut worker = Worker::new(&node, "v", 20, seed());
    let steps = number("NODE_STEPS", 1000);
    for step in 1..=steps {
        worker.step();
        if step % 100 == 0 {
            node.archipelago(&["restart"]).ok();
        }
    }
    worker.check_all();
    let mut names = worker.names();
    names.sort();
    assert_eq!(node.names(), names);
    println!("{:?}", worker.tally);
    // Closed, volumes have given back what they displaced: nothing takes space that no map names.
    node.archipelago(&["restart"]).ok();
    let found = node.vlmc(&["--json", "gc", "--dry-run"]).json()["gc"].clone();
    assert!(found["looked_at"].as_u64() > Some(0), "{found}");
    assert!(found["found"] == 0 && found["bytes"] == 0, "{found}");
    worker.remove_all();
    until("all space is given back", || {
        node.objects("blocks").is_empty() && node.objects("maps").is_empty()
    });
}
