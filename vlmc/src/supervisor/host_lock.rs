//! How a host shows that it lives: a lock that it holds, and what it says about itself in the locked file.
//!
//! # Invariants
//! * **HOST-1** What the file says counts only while the lock is held, and only if the process that it names began
//!   when the file says: a file of the dead, or a number that was given to another process, names nobody.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::error::SupervisorError;
use super::file_lock;
use super::run_dir::RunDir;

/// What stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    pid: u32,
    /// The kernel's count at which the process began.
    start_ticks: u64,
    /// Milliseconds since boot.
    started_ms: u64,
    is_ready: bool,
}

/// Held by a host for its life. The host's first act is to take it, and when it serves it says so.
#[derive(Debug)]
pub struct HostLock {
    file: File,
    path: PathBuf,
    record: Record,
}

impl HostLock {
    /// Takes the lock of the host `name` for this process; a second host of that name is refused (F19).
    pub fn take(run_dir: &RunDir, name: &str) -> Result<Self, SupervisorError> {
        let path = run_dir.host_lock(name);
        let opened = file_lock::open(&path);
        let file = opened.map_err(SupervisorError::system("cannot open", &path))?;
        if !file_lock::take(&file) {
            return Err(SupervisorError::HostRunning {
                host: name.to_owned(),
                pid: read(&file).map(|record| record.pid),
            });
        }
        let pid = std::process::id();
        let record = Record {
            pid,
            start_ticks: start_ticks(pid).unwrap_or_default(),
            started_ms: u64::try_from(boot_time().as_millis()).unwrap_or(u64::MAX),
            is_ready: false,
        };
        let lock = Self { file, path, record };
        lock.write()?;
        Ok(lock)
    }

    /// The host serves: whoever waits for its start may go on.
    pub fn ready(&mut self) -> Result<(), SupervisorError> {
        self.record.is_ready = true;
        self.write()
    }

    fn write(&self) -> Result<(), SupervisorError> {
        let text = serde_json::to_vec(&self.record).expect("numbers and truths are JSON");
        // Longer than what was there, or cut first: a reader sees a whole record, or none and asks again.
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.write_all_at(&text, 0));
        written.map_err(SupervisorError::system("cannot write", &self.path))
    }
}

/// A host that lives.
#[derive(Debug)]
pub struct LiveHost {
    pub pid: u32,
    pub pidfd: OwnedFd,
    pub uptime: Duration,
    pub is_ready: bool,
}

/// What the lock of a host tells.
#[derive(Debug)]
pub enum Liveness {
    Dead,
    Alive(LiveHost),
    /// Somebody holds the lock and has not said (yet) who it is.
    Unnamed,
}

/// Looks at the lock of a host.
pub fn look(run_dir: &RunDir, name: &str) -> Result<Liveness, SupervisorError> {
    let path = run_dir.host_lock(name);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Liveness::Dead),
        Err(error) => return Err(SupervisorError::system("cannot open", path)(error)),
    };
    if file_lock::is_free(&file) {
        return Ok(Liveness::Dead);
    }
    let Some(record) = read(&file) else {
        return Ok(Liveness::Unnamed);
    };
    let Some(pid) = i32::try_from(record.pid).ok().and_then(Pid::from_raw) else {
        return Ok(Liveness::Unnamed);
    };
    let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK) else {
        return Ok(if file_lock::is_free(&file) {
            Liveness::Dead
        } else {
            Liveness::Unnamed
        });
    };
    // Asked after the descriptor was opened: from here on it is the same process for good (HOST-1).
    if start_ticks(record.pid) != Some(record.start_ticks) {
        return Ok(if file_lock::is_free(&file) {
            Liveness::Dead
        } else {
            Liveness::Unnamed
        });
    }
    Ok(Liveness::Alive(LiveHost {
        pid: record.pid,
        pidfd,
        uptime: boot_time().saturating_sub(Duration::from_millis(record.started_ms)),
        is_ready: record.is_ready,
    }))
}

fn read(file: &File) -> Option<Record> {
    const RECORD_BYTES_MAX: usize = 512;
    let mut bytes = [0; RECORD_BYTES_MAX];
    let len = file.read_at(&mut bytes, 0).ok()?;
    serde_json::from_slice(&bytes[..len]).ok()
}

/// The 22nd field of `/proc/PID/stat`; the second may hold spaces and brackets, so they are counted from its end.
pub(super) fn start_ticks(pid: u32) -> Option<u64> {
    let mut text = String::new();
    let path = format!("/proc/{pid}/stat");
    File::open(path).ok()?.read_to_string(&mut text).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// Since boot, suspended time included: no step of the wall clock matters (F94).
pub(super) fn boot_time() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
