//! What a cluster can be told.

use std::path::PathBuf;

use crate::cluster::Cluster;
use crate::error::ClusterError;

#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where all of it lies; a temporary directory, which goes with the cluster, if nothing is said. It must not exist.
    pub directory: Option<PathBuf>,
    pub osds: usize,
    /// Copies of each object. One of them may be missing and I/O goes on.
    pub copies: usize,
    /// How much each OSD's sparse file can hold.
    pub osd_bytes: u64,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            directory: None,
            osds: 3,
            copies: 2,
            osd_bytes: 8 << 30,
        }
    }
}

impl ClusterOptions {
    /// Makes the cluster, and waits until all of its OSDs are there.
    ///
    /// # Errors
    /// If a program is missing or fails; what was started is ended then.
    pub fn start(&self) -> Result<Cluster, ClusterError> {
        Cluster::start(self)
    }
}
