//! Block devices that are about to be taken away.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use thiserror::Error;

use super::block_users::{BlockUser, block_users};

/// A block device that nobody uses: while it is claimed it is not mounted, not put into another device, and not made swap. Who only
/// opens it is not kept from it.
#[derive(Debug)]
pub struct BlockClaim {
    _file: File,
}

/// Why a device cannot be claimed.
#[derive(Debug, Error)]
pub enum ClaimError {
    #[error("{path} is in use: {}", told(users))]
    InUse {
        path: PathBuf,
        users: Vec<BlockUser>,
    },
    #[error("{path}: {source}")]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl BlockClaim {
    pub fn take(path: &Path) -> Result<Self, ClaimError> {
        // Of a block device alone O_EXCL without O_CREAT has a meaning: this one.
        let flags = OFlags::EXCL | OFlags::CLOEXEC;
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits() as i32)
            .open(path);
        opened.map(|_file| Self { _file }).map_err(|source| {
            let path = path.to_owned();
            if source.raw_os_error() != Some(Errno::BUSY.raw_os_error()) {
                return ClaimError::Open { path, source };
            }
            let users = block_users(&path).unwrap_or_default(); // that it is used is known already
            ClaimError::InUse { path, users }
        })
    }
}

fn told(users: &[BlockUser]) -> String {
    if users.is_empty() {
        return "a program holds it for itself".to_owned();
    }
    let told: Vec<_> = users.iter().map(ToString::to_string).collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_uses_a_device_is_told() {
        let mut error = ClaimError::InUse {
            path: "/dev/ublkb0".into(),
            users: vec![
                BlockUser::Mounted("/srv".into()),
                BlockUser::Holder("dm-0".to_owned()),
            ],
        };
        assert_eq!(
            error.to_string(),
            "/dev/ublkb0 is in use: mounted at /srv, part of dm-0"
        );
        if let ClaimError::InUse { users, .. } = &mut error {
            users.clear();
        }
        assert_eq!(
            error.to_string(),
            "/dev/ublkb0 is in use: a program holds it for itself"
        );
        let missing = BlockClaim::take(Path::new("/dev/no-such-device")).unwrap_err();
        assert!(matches!(missing, ClaimError::Open { .. }), "{missing}");
    }
}
