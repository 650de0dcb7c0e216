//! A daemon: a process of ours, which ends with us.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::ClusterError;

/// Of a log in trouble, the end is shown.
const LOG_TAIL_BYTES: usize = 2000;

/// Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// `name` is `mon.ID` or `osd.ID`. Whatever it writes goes to its log in the directory.
    pub fn start(directory: &Path, name: &str, further: &[&str]) -> Result<Self, ClusterError> {
        let (kind, id) = name.split_once('.').unwrap_or((name, ""));
        let log = directory.join(format!("{name}.out"));
        let output = File::options().create(true).append(true).open(&log);
        let output = output.map_err(ClusterError::file(&log))?;
        let errors = output.try_clone().map_err(ClusterError::file(&log))?;
        // It does not outlive the thread that started it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        command.arg(format!("ceph-{kind}")).arg("--conf");
        command.arg(directory.join("ceph.conf"));
        command.args(["-f", "--id", id]).args(further);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        for variable in ["CEPH_ARGS", "CEPH_CONF", "CEPH_KEYRING"] {
            command.env_remove(variable);
        }
        let child = command.spawn().map_err(|source| ClusterError::Start {
            program: format!("setpriv ceph-{kind}"),
            source,
        })?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// An error if it does not run any more.
    pub fn expect_alive(&mut self) -> Result<(), ClusterError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(self.ended()),
        }
    }

    /// Waits for its end, which must be a good one.
    pub fn finish(mut self) -> Result<(), ClusterError> {
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            _ => Err(self.ended()),
        }
    }

    pub fn signal(&self, signal: Signal) {
        // Not waited for yet, so the number is its own still.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    fn ended(&self) -> ClusterError {
        let log = fs::read(&self.log).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
        ClusterError::Ended {
            daemon: self.name.clone(),
            log: String::from_utf8_lossy(tail).into_owned(),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
