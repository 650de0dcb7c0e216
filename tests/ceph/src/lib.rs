//! Throw-away Ceph clusters, for tests: real monitors and OSDs, from the distribution's packages, on the loopback interface.
//!
//! Everything lies in one directory, and all daemons die with the thread that started them: nothing is left of a cluster whose
//! test was killed but that directory. OSDs keep their objects in sparse files.
//!
//! ```no_run
//! # fn main() -> Result<(), archipelago_ceph::ClusterError> {
//! let mut cluster = archipelago_ceph::ClusterOptions::default().start()?;
//! cluster.create_pool("blocks")?;
//! cluster.kill("osd.1")?;
//! cluster.revive("osd.1")?;
//! println!("{}", cluster.ceph(&["status"])?);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod cluster;
mod configuration;
mod daemon;
mod error;
mod keys;
mod options;
mod tools;

pub use cluster::Cluster;
pub use error::ClusterError;
pub use keys::NODE_ID;
pub use options::ClusterOptions;
