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
        said.fails(5, "locked");
        let error = said.json()["error"].clone();
        let message = error["message"].as_str().unwrap();
        let owner = mine["deployment"].as_str().unwrap();
        // L2: who, and since when.
        assert!(
            message.starts_with("disk is locked by ")
                && message.contains(owner)
                && message.contains(" since 2"),
            "{args:?}: {message}"
        );
        let remedy = error["remedy"].to_string();
        assert!(remedy.contains("vlmc unlock -f disk"), "{remedy}");
    }
    node.vlmc(&["info", "disk"]).ok();
    assert_eq!(node.names(), ["disk"]);
    let said = node.vlmc(&["unlock", "-f", "disk"]).ok();
    for part in ["broken: the lock on disk of ", " (token ", "at risk: "] {
        assert!(said.contains(part), "{said}");
    }
    node.vlmc(&["lock", "disk"]).ok();
    node.vlmc(&["unlock", "disk"]).ok();
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
}

#[test]
fn an_unlock_that_cannot_be_says_why_by_the_volumes_name() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "8"]).ok();
    for args in [
        &["--json", "unlock", "disk"][..],
        &["--json", "unlock", "-f", "disk"],
    ] {
        let said = node.vlmc(args);
        said.fails(1, "failed");
        let error = &said.json()["error"];
        assert_eq!(error["message"], "disk is not locked");
        assert!(error["remedy"].as_str().unwrap().contains("vlmc locks"));
    }
    node.vlmc(&["open", "disk"]).ok();
    let said = node.vlmc(&["--json", "unlock", "disk"]);
    said.fails(5, "busy");
    let error = &said.json()["error"];
    assert_eq!(error["message"], "disk is open here");
    let remedy = error["remedy"].as_str().unwrap();
    assert!(
        remedy.contains("vlmc close disk") && !remedy.contains("-f"),
        "{remedy}"
    );
    node.vlmc(&["close", "disk"]).ok();
}
