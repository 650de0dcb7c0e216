//! The cluster, and everybody's disk in it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use archipelago_ceph::{Cluster, NODE_ID};

use super::contender::Contender;
use super::fio::Target;
use crate::node::Node;

pub const POOLS: [&str; 3] = ["blocks", "maps", RBD_POOL];
const RBD_POOL: &str = "rbd";
const VOLUME: &str = "bench";
/// An image for each: what one wrote is nothing to the other.
const IMAGES: [&str; 3] = ["of-fio", "of-fio-cached", "of-qemu"];
const PATIENCE: Duration = Duration::from_secs(30);

/// A contender with its disk, which ends with it.
pub struct Disk {
    pub contender: Contender,
    pub target: Target,
    serves: Serves,
}

enum Serves {
    Node(Node),
    Qemu { _qemu: Qemu },
    Nobody,
}

struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill(); // the cluster goes either way
        let _ = self.0.wait();
    }
}

impl Disk {
    pub fn of(
        contender: Contender,
        cluster: &Cluster,
        directory: &Path,
        size_mib: u64,
    ) -> Result<Self> {
        let [of_fio, of_fio_cached, of_qemu] = IMAGES;
        let (target, serves) = match contender {
            Contender::Archipelago => volume(cluster, directory, size_mib)?,
            Contender::FioRbd => {
                let conf = without_cache(cluster, directory)?;
                image(cluster, of_fio, size_mib, conf)?
            }
            Contender::FioRbdCached => image(cluster, of_fio_cached, size_mib, cluster.conf())?,
            Contender::QemuRbd => {
                make_image(cluster, of_qemu, size_mib)?;
                exported(cluster, of_qemu, directory)?
            }
        };
        Ok(Self {
            contender,
            target,
            serves,
        })
    }

    /// The processes of ours, if it is our disk.
    pub fn of_node(&self) -> Result<Option<BTreeSet<u32>>> {
        match &self.serves {
            Serves::Node(node) => node.processes().map(Some),
            Serves::Qemu { .. } | Serves::Nobody => Ok(None),
        }
    }
}

fn volume(cluster: &Cluster, directory: &Path, size_mib: u64) -> Result<(Target, Serves)> {
    let conf = cluster.conf();
    let role = |role: &str, pool: &str| {
        format!(
            "role.{role} = {{ type = \"rados_blocker\", pool = \"{pool}\", cephx_id = \"{NODE_ID}\", ceph_conf = \"{}\" }}",
            conf.display()
        )
    };
    let stores = [role("blockerb", "blocks"), role("blockerm", "maps")];
    let node = Node::with_stores(directory, &stores.join("\n"), &[])?;
    node.time("vlmc", &["create", VOLUME, &format!("--size={size_mib}M")])?;
    let uri = node.uri(VOLUME);
    Ok((Target::Nbd { uri }, Serves::Node(node)))
}

/// The cluster's configuration for clients whose writes are in the cluster when they are answered.
fn without_cache(cluster: &Cluster, directory: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(cluster.conf())?;
    let conf = directory.join("without-cache.conf");
    fs::write(&conf, format!("{text}\n[client]\nrbd cache = false\n"))?;
    Ok(conf)
}

fn image(
    cluster: &Cluster,
    image: &'static str,
    size_mib: u64,
    conf: PathBuf,
) -> Result<(Target, Serves)> {
    make_image(cluster, image, size_mib)?;
    let pool = RBD_POOL;
    Ok((Target::Rbd { conf, pool, image }, Serves::Nobody))
}

fn make_image(cluster: &Cluster, image: &str, size_mib: u64) -> Result<()> {
    let mut command = Command::new("rbd");
    command.arg("--conf").arg(cluster.conf());
    command.args(["create", "--pool", RBD_POOL, image]);
    command.arg(format!("--size={size_mib}M"));
    let output = command
        .output()
        .context("rbd (Debian package ceph-common)")?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn exported(cluster: &Cluster, image: &str, directory: &Path) -> Result<(Target, Serves)> {
    let socket = directory.join("qemu.sock");
    let disk = format!("rbd:{RBD_POOL}/{image}:conf={}", cluster.conf().display());
    let child = Command::new("qemu-nbd")
        .args(["--format=raw", "--cache=none", "--persistent", "--shared=0"])
        .arg(format!("--socket={}", socket.display()))
        .arg(disk)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("qemu-nbd (Debian package qemu-utils)")?;
    let mut qemu = Qemu(child);
    let until = Instant::now() + PATIENCE;
    while UnixStream::connect(&socket).is_err() {
        if qemu.0.try_wait()?.is_some() {
            let errors = qemu.0.stderr.take().map(std::io::read_to_string);
            let errors = errors.transpose()?.unwrap_or_default();
            bail!(
                "{} (Debian package qemu-block-extra has its driver)",
                errors.trim_end()
            );
        }
        if Instant::now() > until {
            bail!("qemu-nbd does not listen on its socket");
        }
        sleep(Duration::from_millis(20));
    }
    let uri = format!("nbd+unix:///?socket={}", socket.display());
    Ok((Target::Nbd { uri }, Serves::Qemu { _qemu: qemu }))
}
