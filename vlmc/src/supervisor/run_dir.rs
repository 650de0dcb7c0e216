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

    /// Locked by a host as long as it lives; host names are plain (checked with the configuration).
    pub fn host_lock(&self, host: &str) -> PathBuf {
        self.0.join(format!("host-{host}.lock"))
    }
}
