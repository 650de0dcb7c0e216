//! Who of those that may hold locks lives.
//!
//! A lock belongs to an owner: a deployment of a node. Each process of a deployment holds a file of its owner locked, in
//! common with the others (`flock`), from before it does anything until it is gone; so the kernel says who lives, whatever
//! died how, and a process that is stopped lives. In the file stands which of those that give themselves this name it is.
//!
//! It is as good as the file system's locks are: those of a local file system hold for all processes of the machine, in
//! whatever namespaces; those of a shared one hold between machines if it passes them on.
//!
//! # Invariants
//! * **PRESENCE-1** Two deployments that give themselves the same name do not live at the same time.
//! * **PRESENCE-2** Whoever keeps an owner out has seen that no process of it lived, and none begins to until it is let in again.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use archipelago_store::LockOwner;
use rustix::fs::{FlockOperation, OFlags, flock, ftruncate};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};

use crate::error::FiledError;
use crate::layout::escape;
use crate::root::Directory;

/// Where the owners' files are, beside the locks. No lock has such a name.
const OWNERS: &str = ".owners";
/// Where locks are if nothing else is said.
const LOCKS: &str = "locks";
/// Who breaks a lock keeps its owner out for so long at most as that takes; that is waited for.
const TRIES_MAX: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);
/// Those who ask whether an owner lives hold its file for a moment.
const LOOKS_MAX: u32 = 20;
const TEXT_BYTES_MAX: usize = 4096;

/// Held by each process of a deployment for as long as it lives.
#[derive(Debug)]
#[must_use = "dropping it is dying"]
pub struct Presence {
    _file: OwnedFd,
}

/// Whether anybody of an owner lives.
#[derive(Debug)]
pub(crate) enum Presences {
    Some,
    /// And none begins to, as long as this is kept (PRESENCE-2).
    None {
        _file: OwnedFd,
    },
}

#[derive(Debug)]
pub(crate) struct Owners {
    directory: Directory,
}

impl Presence {
    /// Says that a process of `owner` lives that may use the locks in `lock_dir`, or below `archip_dir` if there is no such;
    /// `instance` tells its deployment from others that give themselves the same name, which must not live (PRESENCE-1).
    pub fn announce(
        archip_dir: &Path,
        lock_dir: Option<&Path>,
        owner: &LockOwner,
        instance: u128,
    ) -> Result<Self, FiledError> {
        let path = lock_dir.map_or_else(|| archip_dir.join(LOCKS), Path::to_path_buf);
        let locks = match lock_dir {
            Some(path) => Directory::configured(path),
            None => Directory::configured(archip_dir).and_then(|top| top.make_directory(LOCKS)),
        };
        let announced = locks.and_then(|locks| Owners::open(&locks)?.announce(owner, instance));
        match announced {
            Ok(Some(file)) => Ok(Self { _file: file }),
            Ok(None) => Err(FiledError::OwnerTwice {
                owner: owner.to_string(),
                path,
            }),
            Err(source) => Err(FiledError::System {
                call: "say who uses the locks in",
                path,
                source,
            }),
        }
    }
}

impl Owners {
    pub fn open(locks: &Directory) -> Result<Self, Errno> {
        let directory = locks.make_directory(OWNERS)?;
        Ok(Self { directory })
    }

    /// The file of an owner. It is never removed: whoever has it open has the one that all others open.
    fn file(&self, owner: &LockOwner) -> Result<OwnedFd, Errno> {
        let name = file_of(owner);
        match self.directory.open_file(&name, OFlags::RDWR) {
            Err(Errno::NOENT) => match self.directory.create_file(&name, OFlags::RDWR) {
                Err(Errno::EXIST) => self.directory.open_file(&name, OFlags::RDWR),
                made => made,
            },
            opened => opened,
        }
    }

    /// The locked file; `None` if another instance has it.
    fn announce(&self, owner: &LockOwner, instance: u128) -> Result<Option<OwnedFd>, Errno> {
        let file = self.file(owner)?;
        let text = text_of(owner, instance);
        for _ in 0..TRIES_MAX {
            if is_locked(&file, FlockOperation::NonBlockingLockExclusive)? {
                write_text(&file, &text)?; // nobody lives
            }
            // From alone to in common is no single step: what stands there is read when it cannot change any more.
            if is_locked(&file, FlockOperation::NonBlockingLockShared)? {
                if read_text(&file)? == text.as_bytes() {
                    return Ok(Some(file));
                }
                flock(&file, FlockOperation::Unlock)?;
            }
            std::thread::sleep(PAUSE);
        }
        Ok(None)
    }

    /// Does anybody of it live? Asked in passing: nobody is kept out for longer than a look takes.
    pub fn is_alive(&self, owner: &LockOwner) -> Result<bool, Errno> {
        self.is_alive_by(&file_of(owner))
    }

    /// The same of whom a file is about that is called so.
    pub fn is_alive_by(&self, file: &str) -> Result<bool, Errno> {
        let file = match self.directory.open_file(file, OFlags::RDWR) {
            Err(Errno::NOENT) => return Ok(false),
            opened => opened?,
        };
        for _ in 0..LOOKS_MAX {
            if is_locked(&file, FlockOperation::NonBlockingLockExclusive)? {
                return Ok(false);
            }
            // Not of who is only looking, as we are.
            if is_locked(&file, FlockOperation::NonBlockingLockShared)? {
                return Ok(true);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(true)
    }

    /// The files of all owners that have ever been here.
    pub fn files(&self) -> Result<BTreeSet<String>, Errno> {
        let mut files = BTreeSet::new();
        self.directory.read(|file, _| {
            let file = std::str::from_utf8(file).ok();
            files.extend(file.filter(|file| is_file_of_one(file)).map(str::to_owned));
        })?;
        Ok(files)
    }

    /// PRESENCE-2
    pub fn keep_out(&self, owner: &LockOwner) -> Result<Presences, Errno> {
        let file = self.file(owner)?;
        for _ in 0..LOOKS_MAX {
            if is_locked(&file, FlockOperation::NonBlockingLockExclusive)? {
                return Ok(Presences::None { _file: file });
            }
            std::thread::sleep(PAUSE);
        }
        Ok(Presences::Some)
    }
}

fn is_locked(file: &OwnedFd, how: FlockOperation) -> Result<bool, Errno> {
    match retry_on_intr(|| flock(file, how)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Owners may have longer names than files.
pub(super) fn file_of(owner: &LockOwner) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [&owner.node, &owner.deployment] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Other files are not ours (F100).
pub(super) fn is_file_of_one(file: &str) -> bool {
    blake3::Hash::from_hex(file).is_ok_and(|hash| *hash.to_hex() == *file)
}

/// It is for people too.
fn text_of(owner: &LockOwner, instance: u128) -> String {
    let (node, deployment) = (
        escape(owner.node.as_bytes()),
        escape(owner.deployment.as_bytes()),
    );
    format!("archipelago owner 1\nnode {node}\ndeployment {deployment}\ninstance {instance:032x}\n")
}

fn write_text(file: &OwnedFd, text: &str) -> Result<(), Errno> {
    if read_text(file)? == text.as_bytes() {
        return Ok(());
    }
    // Over what stands there: on a full file system the place that it has is not given away first (D5).
    let mut at = 0;
    while at < text.len() {
        at += retry_on_intr(|| pwrite(file, &text.as_bytes()[at..], at as u64))?;
    }
    retry_on_intr(|| ftruncate(file, text.len() as u64))
}

fn read_text(file: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; TEXT_BYTES_MAX];
    let len = retry_on_intr(|| pread(file, &mut bytes, 0))?;
    bytes.truncate(len);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(deployment: &str) -> LockOwner {
        LockOwner {
            node: "n".into(),
            deployment: deployment.into(),
        }
    }

    fn announce(home: &Path, who: &str, instance: u128) -> Result<Presence, FiledError> {
        Presence::announce(home, None, &owner(who), instance)
    }

    fn owners(home: &Path) -> Owners {
        let locks = Directory::configured(&home.join(LOCKS)).expect("it is made by whoever comes");
        Owners::open(&locks).expect("it can be made")
    }

    #[test]
    fn presence_1_two_of_one_name_do_not_live_at_once() {
        let home = tempfile::tempdir().expect("there is a temporary directory");
        let path = home.path();
        let first = announce(path, "a", 1).expect("nobody lives");
        let beside = announce(path, "a", 1).expect("it is of the same deployment");
        announce(path, "b", 2).map(drop).expect("another name");
        let refused = announce(path, "a", 2).expect_err("PRESENCE-1");
        assert!(refused.to_string().contains("a on n"), "{refused}");
        assert!(matches!(refused, FiledError::OwnerTwice { .. }));
        drop(first);
        announce(path, "a", 2).map(drop).expect_err("one lives yet");
        drop(beside);
        announce(path, "a", 2).map(drop).expect("nobody lives");
        // Whoever wrote half of it is dead.
        let file = path.join(LOCKS).join(OWNERS).join(file_of(&owner("a")));
        for text in ["", "archipelago owner 1\nnode n\n", &"x".repeat(9000)] {
            std::fs::write(&file, text).expect("it can be written");
            announce(path, "a", 3).map(drop).expect("nobody lives");
        }
    }

    #[test]
    fn presence_2_nobody_of_an_owner_that_is_kept_out_begins_to_live() {
        let home = tempfile::tempdir().expect("there is a temporary directory");
        let path = home.path();
        let present = announce(path, "a", 1).expect("nobody lives");
        let owners = owners(path);
        let kept_out = owners.keep_out(&owner("a")).expect("it can be asked");
        assert!(matches!(kept_out, Presences::Some)); // PRESENCE-2
        let is_alive = |who: &str| owners.is_alive(&owner(who));
        assert_eq!((is_alive("a"), is_alive("b")), (Ok(true), Ok(false)));
        drop(present);
        assert_eq!(is_alive("a"), Ok(false));
        let kept_out = owners.keep_out(&owner("a")).expect("it can be asked");
        assert!(matches!(kept_out, Presences::None { .. }));
        let file = owners.file(&owner("a")).expect("it is there");
        let shared = FlockOperation::NonBlockingLockShared;
        assert_eq!(is_locked(&file, shared), Ok(false)); // PRESENCE-2
        std::thread::scope(|scope| {
            let comes = scope.spawn(|| announce(path, "a", 2));
            drop(kept_out);
            let came = comes.join().expect("it does not panic");
            came.map(drop).expect("it waits for its turn");
        });
    }
}
