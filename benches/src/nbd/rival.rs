//! A server of a raw file, in the configuration that serves one client fastest.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::contender::Contender;
use crate::cell::Caching;

/// To have its socket.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Rival {
    child: Child,
    directory: TempDir,
    is_named: bool,
}

impl Rival {
    pub fn start(
        contender: Contender,
        caching: Caching,
        below: &Path,
        size_bytes: u64,
    ) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(below)?;
        File::create(directory.path().join("disk"))?.set_len(size_bytes)?;
        let (program, package) = contender.program().context("it is no rival")?;
        let socket = directory.path().join("socket");
        let child = Command::new(program)
            .args(args(contender, caching, &socket.to_string_lossy()))
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(directory.path().join("errors"))?)
            .spawn()
            .with_context(|| format!("{program} (Debian package {package})"))?;
        let mut rival = Self {
            child,
            directory,
            is_named: contender == Contender::StorageDaemon,
        };
        rival.wait_until_it_listens()?;
        Ok(rival)
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while UnixStream::connect(self.socket()).is_err() {
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

    pub fn uri(&self) -> String {
        let socket = self.socket();
        let export = if self.is_named { "disk" } else { "" };
        format!("nbd+unix:///{export}?socket={}", socket.display())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.child.kill(); // the file goes either way
        let _ = self.child.wait();
    }
}

/// In a directory with the file `disk`. qemu-nbd wants the whole path of its socket.
fn args(contender: Contender, caching: Caching, socket: &str) -> Vec<String> {
    let is_direct = caching == Caching::Direct;
    let fixed: &[&str] = match contender {
        Contender::Archipelago | Contender::Isolated => &[],
        Contender::QemuNbd => &[
            "--format=raw",
            "--aio=io_uring",
            "--discard=unmap",
            "--shared=0",
            "--persistent",
            "disk",
        ],
        Contender::StorageDaemon => &[
            "--export",
            "type=nbd,id=disk,node-name=disk,name=disk,writable=on",
        ],
        Contender::Nbdkit => &["--foreground", "--threads=16", "file", "disk"],
    };
    let named = match contender {
        Contender::Archipelago | Contender::Isolated => Vec::new(),
        Contender::QemuNbd => {
            let cache = if is_direct { "none" } else { "writeback" };
            vec![format!("--cache={cache}"), format!("--socket={socket}")]
        }
        Contender::StorageDaemon => {
            let direct = if is_direct { "on" } else { "off" };
            let disk = "driver=file,node-name=disk,filename=disk,aio=io_uring,discard=unmap";
            vec![
                format!("--blockdev={disk},cache.direct={direct}"),
                format!("--nbd-server=addr.type=unix,addr.path={socket}"),
            ]
        }
        Contender::Nbdkit => vec![format!("--unix={socket}")],
    };
    // The disk before who exports it.
    named
        .into_iter()
        .chain(fixed.iter().map(|&arg| arg.to_owned()))
        .collect()
}
