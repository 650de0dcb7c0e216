//! Who may do what in the cluster: one file of keys, which the monitor takes over when it is made.

use std::path::Path;
use std::process::Command;

use crate::error::ClusterError;
use crate::tools;

/// The name of a client that may do what docs/rados.md says that a node must be allowed to, and nothing else.
pub const NODE_ID: &str = "node";

/// What everybody's key is allowed.
const CAPABILITIES: &[(&str, &[&str])] = &[
    ("mon.", &["mon", "allow *"]),
    (
        "client.admin",
        &["mon", "allow *", "osd", "allow *", "mgr", "allow *"],
    ),
    ("client.node", &["mon", "profile rbd", "osd", "allow rwx"]),
    ("client.stranger", &["mon", "allow r"]),
];

/// Makes the file of keys.
pub(crate) fn make(keyring: &Path, osds: usize) -> Result<(), ClusterError> {
    tools::run(
        Command::new("ceph-authtool")
            .arg("--create-keyring")
            .arg(keyring),
    )?;
    for (name, capabilities) in CAPABILITIES {
        add(keyring, name, capabilities)?;
    }
    for number in 0..osds {
        let capabilities = ["mon", "allow profile osd", "osd", "allow *"];
        add(keyring, &format!("osd.{number}"), &capabilities)?;
    }
    Ok(())
}

fn add(keyring: &Path, name: &str, capabilities: &[&str]) -> Result<(), ClusterError> {
    let mut command = Command::new("ceph-authtool");
    command.arg(keyring).args(["--gen-key", "--name", name]);
    for pair in capabilities.chunks_exact(2) {
        command.args(["--cap", pair[0], pair[1]]);
    }
    tools::run(&mut command).map(drop)
}
