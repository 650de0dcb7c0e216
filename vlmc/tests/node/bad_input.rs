//! What cannot be done is refused with a code, a name and the way out, and changes nothing.

use crate::support::Node;

#[test]
fn names_sizes_and_states_that_cannot_be_are_refused_with_their_own_errors() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
    let long = "x".repeat(256);
    for name in ["a/b", "..", "", "a\nb", long.as_str()] {
        node.vlmc(&["--json", "create", name, "--size", "1"])
            .fails(2, "invalid");
    }
    for size in ["0", "-5", "99999999999999999999", "12Q", "1.5.2"] {
        let size = format!("--size={size}");
        node.vlmc(&["--json", "create", "other", &size])
            .fails(2, "invalid");
    }
    node.vlmc(&["--json", "create", "other"])
        .fails(2, "invalid");
    node.vlmc(&["--json", "create", "disk", "--size", "1"])
        .fails(4, "exists");
    node.vlmc(&["--json", "snapshot", "disk", "monday"])
        .fails(4, "exists");
    node.vlmc(&["--json", "snapshot", "disk", "disk"])
        .fails(4, "exists");
    node.vlmc(&["--json", "snapshot", "nobody", "tuesday"])
        .fails(3, "not-found");
    node.vlmc(&["--json", "create", "other", "--snap", "nobody"])
        .fails(3, "not-found");
    node.vlmc(&["--json", "create", "other", "--snap", "disk"])
        .fails(2, "invalid");
    node.vlmc(&[
        "--json", "create", "other", "--snap", "monday", "--size", "1",
    ])
    .fails(2, "invalid");
    for args in [
        &["--snap", "disk"][..],
        &["--snap", "monday", "--size", "1"],
    ] {
        let said = node.vlmc(&[&["--json", "create", "other"], args].concat());
        let remedy = said.json()["error"]["remedy"].to_string();
        assert!(remedy.len() > 20, "{said:?}");
    }
    for command in ["info", "remove", "open", "close", "lock", "unlock"] {
        node.vlmc(&["--json", command, "nobody"])
            .fails(3, "not-found");
    }
    node.vlmc(&["--json", "rename", "nobody", "somebody"])
        .fails(3, "not-found");
    node.vlmc(&["--json", "rename", "disk", "monday"])
        .fails(4, "exists");
    node.vlmc(&["--json", "resize", "disk", "--size", "1"])
        .fails(2, "invalid");
    node.vlmc(&["--json", "unmap", "/dev/sda"])
        .fails(3, "not-found");
    assert_eq!(node.names(), ["disk", "monday"]);
}
