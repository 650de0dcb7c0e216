//! Where nodes keep their objects: each in directories of its own, or in namespaces of its own of a cluster.
//!
//! `NODE_CEPH_CONF` names the configuration of that cluster, which has the pools `blocks` and `maps`: then every test runs on it that
//! does not look into directories itself.

use std::path::{Path, PathBuf};

use archipelago_ceph::NODE_ID;

use crate::support::must;

/// The variable that chooses.
pub const CEPH_CONF: &str = "NODE_CEPH_CONF";

fn cluster() -> Option<String> {
    std::env::var(CEPH_CONF).ok()
}

/// So much where it costs nothing, so much on a cluster whose daemons share a machine.
pub fn fewer(on_directories: usize, on_a_cluster: usize) -> usize {
    match cluster() {
        None => on_directories,
        Some(_) => on_a_cluster,
    }
}

/// Can a store fence, so that locks of those who live are broken?
pub fn fences() -> bool {
    cluster().is_some()
}

/// The last two parts of the place of a store: that of the node, and the pool.
fn names(place: &Path) -> (&str, &str) {
    let [node, pool] = [place.parent().unwrap(), place]
        .map(|path| path.file_name().and_then(|name| name.to_str()).unwrap());
    (node, pool)
}

/// What a blocker is told that keeps its objects there.
pub fn settings(place: &Path) -> String {
    match cluster() {
        None => directory_settings(place),
        Some(conf) => rados_settings(place, &conf),
    }
}

/// The same of a directory.
pub fn directory_settings(place: &Path) -> String {
    // Nobody waits for long who breaks a lock.
    let lease = if place.ends_with("maps") {
        "\nlease = 1"
    } else {
        ""
    };
    format!("archip_dir = \"{}\"{lease}", place.display())
}

/// The same of a cluster of one's own.
pub fn rados_settings(place: &Path, conf: &str) -> String {
    let (node, pool) = names(place);
    format!(
        "type = \"rados_blocker\"\npool = \"{pool}\"\nnamespace = \"{node}\"\n\
         cephx_id = \"{NODE_ID}\"\nceph_conf = \"{conf}\""
    )
}

/// The names of the objects that are there, as the store spells them.
pub fn objects(place: &Path) -> Vec<String> {
    if let Some(conf) = cluster() {
        return objects_in_cluster(place, &conf);
    }
    let name = |path: PathBuf| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    files(place).into_iter().filter_map(name).collect()
}

fn objects_in_cluster(place: &Path, conf: &str) -> Vec<String> {
    let (node, pool) = names(place);
    let ls = ["--conf", conf, "--pool", pool, "--namespace", node, "ls"];
    let listed = must("rados", &ls);
    let mut objects: Vec<String> = listed
        .lines()
        .filter(|name| name.starts_with("o."))
        .map(str::to_owned)
        .collect();
    objects.sort();
    objects
}

/// The files of a store's objects.
pub fn files(place: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![place.join("objects")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
