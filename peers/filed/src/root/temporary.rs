//! Files that are being made, and the clearing away of those whose maker has died.
//!
//! Several nodes may share a directory, so a temporary file cannot just be removed: its maker may be alive elsewhere.
//! Each incarnation holds a locked file, `<incarnation>.lock`, and puts its own name before those of its files. What
//! belongs to a lock that nobody holds is garbage.
//!
//! # Invariants
//! * **TEMPORARY-1** No incarnation removes a temporary file of one that lives.
//! * **TEMPORARY-2** What a dead incarnation left is gone after the next one has begun.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FlockOperation, OFlags, flock, statat};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::beneath::Directory;

const LOCK: &str = ".lock";
/// A file without a lock is younger than its lock, for a moment. After so long it is not any more.
const ORPHAN_AGE: Duration = Duration::from_secs(3600);

/// The directory for temporary files, as one incarnation uses it.
#[derive(Debug)]
pub(crate) struct Temporary {
    directory: Directory,
    incarnation: String,
    next: AtomicU64,
    /// Of what becomes an object.
    object_flags: OFlags,
    /// Holds the lock as long as it is open.
    _lock: OwnedFd,
}

impl Temporary {
    /// Begins an incarnation and clears away what dead ones left.
    pub fn begin(directory: Directory) -> Result<Self, Errno> {
        let (incarnation, lock) = loop {
            let incarnation = format!("{:032x}", random_u128()?);
            let name = format!("{incarnation}{LOCK}");
            let lock = directory.create_file(&name, OFlags::RDWR)?;
            // Another one may take it for a dead one's before it is locked, and be about to remove it, or have done so.
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if directory.is_named(&name, &lock) => break (incarnation, lock),
                Ok(()) | Err(Errno::WOULDBLOCK) => {}
                Err(errno) => return Err(errno),
            }
        };
        let temporary = Self {
            object_flags: directory.object_flags()?,
            directory,
            incarnation,
            next: AtomicU64::new(0),
            _lock: lock,
        };
        temporary.clear()?;
        Ok(temporary)
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    pub fn object_flags(&self) -> OFlags {
        self.object_flags
    }

    /// A name that no other file has.
    pub fn fresh_name(&self) -> String {
        // Relaxed: the numbers have to differ, nothing else.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{}.{number}", self.incarnation)
    }

    /// TEMPORARY-2. What cannot be removed stays for the next one.
    fn clear(&self) -> Result<(), Errno> {
        let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
        self.directory.read(|name, _| {
            if let Some((owner, name)) = split(name) {
                files.entry(owner).or_default().push(name);
            }
        })?;
        for (owner, names) in files {
            if owner != self.incarnation {
                self.clear_of(&owner, &names);
            }
        }
        Ok(())
    }

    fn clear_of(&self, owner: &str, names: &[String]) {
        let lock_name = format!("{owner}{LOCK}");
        let lock = match self.directory.open_file(&lock_name, OFlags::RDWR) {
            Ok(lock) => Some(lock),
            Err(Errno::NOENT) => None,
            Err(_) => return,
        };
        if let Some(lock) = &lock
            && flock(lock, FlockOperation::NonBlockingLockExclusive).is_err()
        {
            return; // TEMPORARY-1
        }
        for name in names {
            let is_garbage = *name != lock_name && (lock.is_some() || self.is_old(name));
            if is_garbage && self.directory.unlink(name) == Err(Errno::ISDIR) {
                let _ = self.directory.remove_directory(name);
            }
        }
        // The lock goes last, or its files would have to wait until they are old.
        if lock.is_some() {
            let _ = self.directory.unlink(&lock_name);
        }
    }

    fn is_old(&self, name: &str) -> bool {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let Ok(stat) = statat(&self.directory, name, flags) else {
            return false;
        };
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(stat.st_mtime.max(0) as u64);
        changed.elapsed().is_ok_and(|age| age > ORPHAN_AGE)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = self
            .directory
            .unlink(&format!("{}{LOCK}", self.incarnation));
    }
}

/// Whose file it is, if it has a name that we give.
fn split(name: &[u8]) -> Option<(String, String)> {
    let name = std::str::from_utf8(name).ok()?;
    let (owner, rest) = name.split_at_checked(32)?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (owner.bytes().all(is_digit) && rest.starts_with('.')).then(|| (owner.into(), name.into()))
}

/// From the kernel.
pub(crate) fn random_u128() -> Result<u128, Errno> {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(u128::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TEMPORARY-1: who begins is not held up by who clears away.
    #[test]
    fn many_begin_at_once() {
        let home = tempfile::tempdir().expect("there is a temporary directory");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        let directory = Directory::configured(home.path()).expect("it is there");
                        let temporary = Temporary::begin(directory).expect("it begins");
                        let lock = format!("{}{LOCK}", temporary.incarnation);
                        assert!(home.path().join(lock).exists(), "TEMPORARY-1");
                    }
                });
            }
        });
    }
}
