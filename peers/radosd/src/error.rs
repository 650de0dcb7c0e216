//! Why a store in a pool cannot be opened.

use std::path::PathBuf;

use rustix::io::Errno;

/// Opening a pool as a store failed. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RadosdError {
    #[error(
        "librados cannot be loaded from {}: {why}; install it (Debian: librados2), or name its file in the variable LIBRADOS",
        path.display()
    )]
    NoLibrary { path: PathBuf, why: String },
    #[error("{text:?} has a NUL in it")]
    Nul { text: String },
    #[error(
        "Ceph's configuration {} cannot be read: put it there (Debian: /etc/ceph/ceph.conf), or name another file in ceph_conf",
        path.as_ref().map_or("/etc/ceph/ceph.conf".into(), |path| path.display().to_string())
    )]
    Configuration {
        path: Option<PathBuf>,
        source: Errno,
    },
    #[error("librados does not take the setting {name}")]
    Setting { name: &'static str, source: Errno },
    #[error(
        "no connection to the Ceph cluster ({source}): see whether its monitors are up, and whether cephx_id has a key in the keyring \
         that Ceph's configuration names"
    )]
    Connect { source: Errno },
    #[error(
        "the pool {pool} cannot be opened ({source}): make it with `ceph osd pool create {pool}`, or name another one in pool"
    )]
    Pool { pool: String, source: Errno },
    #[error(
        "the pool {pool} refuses us ({source}): allow it, for example with `ceph auth caps client.ID mon 'profile rbd' osd 'allow rwx \
         pool={pool}'`"
    )]
    Refused { pool: String, source: Errno },
    #[error(
        "our predecessor at {address} cannot be fenced ({source}), so it could still write: allow us to, with `mon 'profile rbd'` \
         among our capabilities"
    )]
    NotFenced { address: String, source: Errno },
    #[error(
        "the object {object} of pool {pool} is damaged: put the pool back from a backup, or name another namespace"
    )]
    Damaged { pool: String, object: String },
    #[error(
        "the namespace {namespace} of the pool {pool} holds objects of a store and no record `archipelago` of which one: it was emptied or \
         restored in part; put the record back from a backup, or name another namespace"
    )]
    NoIdentity { pool: String, namespace: String },
    #[error(
        "the pool {pool} has a store of format {found}, this program knows format {known}: upgrade it"
    )]
    Format {
        pool: String,
        found: u32,
        known: u32,
    },
    #[error(
        "{owner} was fenced in the pool {pool}: another node has broken a lock of its, or has its name; all of its hosts have to end before \
         one begins again, for which its supervisor sees"
    )]
    Fenced { owner: String, pool: String },
    #[error(
        "another deployment calls itself {owner}, and lives: it uses the pool {pool}. Give one of them another name, with `node` or \
         `segment.name` in its configuration"
    )]
    Namesake { owner: String, pool: String },
    #[error("{what} failed ({source})")]
    Failed { what: &'static str, source: Errno },
}

impl RadosdError {
    pub fn errno(&self) -> Errno {
        match self {
            Self::NoLibrary { .. } | Self::NoIdentity { .. } => Errno::NOENT,
            Self::Nul { .. } => Errno::INVAL,
            Self::Fenced { .. } => Errno::SHUTDOWN,
            Self::Namesake { .. } => Errno::BUSY,
            Self::Configuration { source, .. }
            | Self::Setting { source, .. }
            | Self::Connect { source }
            | Self::Pool { source, .. }
            | Self::Refused { source, .. }
            | Self::NotFenced { source, .. }
            | Self::Failed { source, .. } => *source,
            Self::Damaged { .. } => Errno::UCLEAN,
            Self::Format { .. } => Errno::PROTO,
        }
    }
}
