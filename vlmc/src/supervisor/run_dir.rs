//! The files of a run directory.

use std::path::{Path, PathBuf};

/// Where the supervisor and its hosts meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir(PathBuf);

impl RunDir {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Locked by the supervisor as long as it lives.
    pub fn gate(&self) -> PathBuf {
        self.0.join("supervisor.lock")
    }

    /// Where the supervisor listens.
    pub fn socket(&self) -> PathBuf {
        self.0.join("supervisor.sock")
    }

    /// The number of the time since no host lived.
    pub fn tenure(&self) -> PathBuf {
        self.0.join("tenure")
    }

    /// A role whose store does not answer says so there.
    pub fn paused(&self, role: &str) -> PathBuf {
        self.0.join(format!("paused-{role}"))
    }

    /// Hosts that have, or had, a lock here, but those that are named.
    pub fn hosts_but(&self, known: &[String]) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let name = |entry: std::fs::DirEntry| {
            let file = entry.file_name().into_string().ok()?;
            let name = file
                .strip_prefix("host-")?
                .strip_suffix(".lock")?
                .to_owned();
            (!known.contains(&name)).then_some(name)
        };
        let mut names: Vec<String> = entries.filter_map(name).collect();
        names.sort();
        names
    }

    /// Locked by a host as long as it lives; host names are plain (checked with the configuration).
    pub fn host_lock(&self, host: &str) -> PathBuf {
        self.0.join(format!("host-{host}.lock"))
    }
}
