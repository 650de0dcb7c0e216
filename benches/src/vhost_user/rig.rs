//! The servers on this machine, and the drives that a guest has of them.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use archipelago_guest::Drive;

use super::contender::Contender;
use super::storage_daemon::StorageDaemon;
use crate::cell::Caching;
use crate::nbd;
use crate::node::Node;

/// Of each drive: the guest has as many processors.
pub const QUEUES: u32 = 2;

/// The thread of QEMU's own drives; the servers of the others have one of their own.
pub const THREAD: &str = "drives";

/// A contender at work. Its end is that of its server.
pub struct Server {
    pub contender: Contender,
    pub caching: Caching,
    drive: Drive,
    process: Process,
}

enum Process {
    Node { node: Node },
    StorageDaemon { _daemon: StorageDaemon },
    Nbd { _rival: nbd::Rival },
    None,
}

impl Server {
    pub fn start(
        contender: Contender,
        caching: Caching,
        directory: &Path,
        size_mib: u64,
    ) -> Result<Self> {
        let started = drive(contender, caching, directory, size_mib);
        let (drive, process) = started.with_context(|| format!("{contender} does not start"))?;
        Ok(Self {
            contender,
            caching,
            drive: drive.option(&format!("num-queues={QUEUES}")),
            process,
        })
    }

    pub fn drive(&self) -> Drive {
        self.drive.clone()
    }

    /// Of our node; none of others.
    pub fn processes(&self) -> Result<BTreeSet<u32>> {
        match &self.process {
            Process::Node { node } => node.processes(),
            _ => Ok(BTreeSet::new()),
        }
    }
}

fn drive(
    contender: Contender,
    caching: Caching,
    directory: &Path,
    size_mib: u64,
) -> Result<(Drive, Process)> {
    let size_bytes = size_mib << 20;
    let own_thread = format!("iothread={THREAD}");
    Ok(match contender {
        Contender::Archipelago => {
            let (node, socket) = node(caching, directory, size_mib, "vhost-user")?;
            (Drive::vhost_user(socket), Process::Node { node })
        }
        Contender::Nbd => {
            let (node, socket) = node(caching, directory, size_mib, "nbd-socket")?;
            let drive = Drive::nbd(socket, VOLUME).option(&own_thread);
            (drive, Process::Node { node })
        }
        Contender::StorageDaemon => {
            let _daemon = StorageDaemon::start(directory, caching, size_bytes)?;
            let drive = Drive::vhost_user(_daemon.socket());
            (drive, Process::StorageDaemon { _daemon })
        }
        Contender::Virtio => {
            let disk = directory.join(format!("disk-{caching:?}"));
            File::create(&disk)?.set_len(size_bytes)?;
            let direct = if caching == Caching::Direct {
                "on"
            } else {
                "off"
            };
            let drive = Drive::raw(disk)
                .back_option("file.aio=io_uring")
                .back_option(&format!("cache.direct={direct}"))
                .option(&own_thread);
            (drive, Process::None)
        }
        Contender::QemuNbd => {
            let of = nbd::Contender::QemuNbd;
            let _rival = nbd::Rival::start(of, caching, directory, size_bytes)?;
            let drive = Drive::nbd(_rival.socket(), "").option(&own_thread);
            (drive, Process::Nbd { _rival })
        }
    })
}

const VOLUME: &str = "bench";

/// One with a volume that is attached, and the socket that it is attached by.
fn node(caching: Caching, directory: &Path, size_mib: u64, kind: &str) -> Result<(Node, PathBuf)> {
    let direct = format!("role.blockerb.direct = {}", caching == Caching::Direct);
    let node = Node::start(directory, &[&direct])?;
    node.time("vlmc", &["create", VOLUME, &format!("--size={size_mib}M")])?;
    let mapped = node.ask(&["map", VOLUME, "--type", kind])?;
    let socket = mapped["attachment"]["socket"].as_str();
    let socket = socket.with_context(|| format!("vlmc map names no socket: {mapped}"))?;
    Ok((node, socket.into()))
}
