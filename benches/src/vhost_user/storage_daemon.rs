//! QEMU's storage daemon, with a file as a vhost-user disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::rig::QUEUES;
use crate::cell::Caching;

/// To have its socket.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct StorageDaemon {
    child: Child,
    directory: TempDir,
}

impl StorageDaemon {
    pub fn start(below: &Path, caching: Caching, size_bytes: u64) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(below)?;
        File::create(directory.path().join("disk"))?.set_len(size_bytes)?;
        let direct = if caching == Caching::Direct {
            "on"
        } else {
            "off"
        };
        let disk = "driver=file,node-name=disk,filename=disk,aio=io_uring,discard=unmap";
        let export = "type=vhost-user-blk,id=disk,node-name=disk,writable=on,addr.type=unix,addr.path=socket";
        let child = Command::new("qemu-storage-daemon")
            .arg(format!("--blockdev={disk},cache.direct={direct}"))
            .arg(format!("--export={export},num-queues={QUEUES}"))
            .arg("--pidfile=pid")
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(directory.path().join("errors"))?)
            .spawn()
            .context("qemu-storage-daemon (Debian package qemu-system-common)")?;
        let mut daemon = Self { child, directory };
        daemon.wait_until_it_listens()?;
        Ok(daemon)
    }

    /// It writes down its number when all is as it was told. Whoever looks at its socket is its client, and it has one.
    fn wait_until_it_listens(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.directory.path().join("pid").exists() {
            if let Some(status) = self.child.try_wait()? {
                let errors = fs::read_to_string(self.directory.path().join("errors"))?;
                bail!("it ended ({status}): {errors}");
            }
            if Instant::now() > until {
                bail!("it does not listen on its socket");
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }
}

impl Drop for StorageDaemon {
    fn drop(&mut self) {
        let _ = self.child.kill(); // the file goes either way
        let _ = self.child.wait();
    }
}
