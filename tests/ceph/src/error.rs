//! Why there is no cluster, or why it does not do what it was told.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    #[error("{}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(
        "cannot start {program}: tests on Ceph need the Debian packages ceph-mon, ceph-osd and ceph-common, and util-linux"
    )]
    Start { program: String, source: io::Error },
    #[error("`{command}` failed: {output}")]
    Failed { command: String, output: String },
    #[error("{daemon} ended while the cluster waited for it; its log says: {log}")]
    Ended { daemon: String, log: String },
    #[error("{what} did not happen within {seconds} s")]
    Late { what: String, seconds: u64 },
    #[error("there is no daemon {name} that runs")]
    NoDaemon { name: String },
}

impl ClusterError {
    pub(crate) fn file(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        |source| Self::File { path, source }
    }
}
