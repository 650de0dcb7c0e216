//! Locks live in the store: they outlive the processes, and belong to a deployment of a node (L1).

use crate::support::Node;

/// The same store, seen by another deployment.
fn other_deployment(node: &Node) {
    let config = std::fs::read_to_string(node.config()).unwrap();
    std::fs::write(
        node.config(),
        config.replace("archipelago-test-", "archipelago-other-"),
    )
    .unwrap();
}

#[test]
fn a_foreign_lock_is_named_and_broken_only_by_force() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "8"]).ok();
    node.vlmc(&["lock", "disk"]).ok();
    let mine = node.vlmc(&["--json", "locks"]).json()["locks"][0].clone();
    assert_eq!(
        (&mine["volume"], &mine["is_ours"]),
        (&"disk".into(), &true.into())
    );
    node.archipelago(&["restart"]).ok();
    // Idempotent for its owner, also after a restart.
    node.vlmc(&["lock", "disk"]).ok();
    node.archipelago(&["stop"]).ok();
    other_deployment(&node);
    node.archipelago(&["start"]).ok();
    let theirs = node.vlmc(&["--json", "locks"]).json()["locks"][0].clone();
    assert_eq!(theirs["is_ours"], false, "{theirs}");
    assert_eq!(theirs["deployment"], mine["deployment"]);
    for args in [
        &["unlock", "disk"][..],
        &["lock", "disk"],
        &["snapshot", "disk", "monday"],
        &["remove", "disk"],
        &["rename", "disk", "other"],
        &["resize", "disk", "--size", "9"],
    ] {
        let said = node.vlmc(&[&["--json"], args].concat());
        assert!([5, 6].contains(&said.code), "{args:?}: {said:?}");
        let message = said.json()["error"]["message"].to_string();
        let owner = mine["deployment"].as_str().unwrap();
        assert!(
            message.contains(owner),
            "{args:?} names no owner: {message}"
        );
    }
    node.vlmc(&["info", "disk"]).ok();
    assert_eq!(node.names(), ["disk"]);
    node.vlmc(&["unlock", "-f", "disk"]).ok();
    node.vlmc(&["lock", "disk"]).ok();
    node.vlmc(&["unlock", "disk"]).ok();
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
}
