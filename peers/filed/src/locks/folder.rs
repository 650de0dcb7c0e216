//! The directory of locks.
//!
//! A lock is a directory, and each change of it a new file there, named by its number:
//!
//! ```text
//! locks/<name>/00000000000000000007    held by ...        the greatest number says how things are
//! ```
//! Taking, giving back and breaking are all the same step: the next file is made whole elsewhere and linked in. Of two
//! who try the same number one fails, and looks again. The number of the file in which an owner got the lock is its
//! token. Files with lesser numbers say nothing any more and are removed, in their order.
//!
//! Who was asleep since it looked might link a number that was used and removed meanwhile. So the file that was seen
//! is kept open, and after the link it must still be there: while it is, no greater one has been removed.
//!
//! A lock is forgotten by removing its files, the greatest last, and then the directory, which goes only if it is empty. So who
//! takes the lock meanwhile has linked a file, and the directory stays; or does not find the file that it had seen, and
//! looks again.
//!
//! # Invariants
//! * **LOCK-1** The greatest number never gets smaller, so no token is given twice, whoever dies when (L3); unless the
//!   lock is forgotten.
//! * **LOCK-2** Between what was seen and the change that is based on it nobody else has changed anything, or the change
//!   does not count.
//! * **LOCK-3** A file that cannot be read as a state is held by somebody unknown, until it is broken (F53).
//! * **LOCK-4** What was answered survives power loss (STORE-3).
//! * **LOCK-5** Of a lock that was forgotten nothing is left; whoever died over that left an empty directory, which is a lock that
//!   nobody has ever taken.
//! * **LOCK-6** A lock whose owner lives is not broken, as far as that can be told (PRESENCE-2), unless whoever does it says that he
//!   knows; and that one was broken is said by all its later states.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use archipelago_store::{LockOwner, LockRecord, ObjectName, OwnerLife, StoreError};
use rustix::fs::OFlags;
use rustix::fs::inotify::{self, WatchFlags};
use rustix::io::Errno;

use super::leases::Leases;
use super::owners::Owners;
use super::record::{State, read_state, write_state};
use crate::layout::Place;
use crate::root::{Directory, Publication, Staged, Temporary, read_small, write_all};

/// Where states are made. No lock has such a name: escapes do not begin with a dot.
const TEMPORARY: &str = ".tmp";
/// The number of a lock's first state, which is free. Its directory appears with it.
const FIRST: u64 = 1;
/// Digits of a number in a file's name: any 64-bit number.
const DIGITS: usize = 20;
const STATE_BYTES_MAX: usize = 8192;
/// Each turn that finds the lock changed means that somebody else got on.
pub(super) const TRIES_MAX: usize = 1000;

/// How a lock is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LockState {
    Free,
    Held(LockRecord),
    /// Its state cannot be read.
    Unknown(u64),
}

impl LockState {
    /// Its holder has lost it, and yet it is not free (FENCE-1).
    pub fn is_being_broken(&self) -> bool {
        matches!(self, Self::Held(held) if held.is_being_broken())
    }

    /// Who holds it, as far as that can be said.
    pub fn holder(&self) -> Option<LockRecord> {
        match self {
            Self::Free => None,
            Self::Held(record) => Some(record.clone()),
            Self::Unknown(token) => Some(LockRecord {
                owner: unknown(),
                token: *token,
                since: 0,
                broken: 0,
            }),
        }
    }
}

/// Whoever holds a lock whose state cannot be read.
pub(super) fn unknown() -> LockOwner {
    LockOwner {
        node: "unknown".into(),
        deployment: "unknown (the lock's file is damaged: break it)".into(),
    }
}

/// A state that was looked at.
pub(super) struct Seen {
    folder: Directory,
    pub number: u64,
    pub state: LockState,
    /// The greatest number of a state that was taken from its owner by force.
    pub broken: u64,
    /// The file that says so. As long as it is open no other file can be taken for it.
    file: OwnedFd,
}

#[derive(Debug)]
pub(crate) struct LockFolder {
    directory: Directory,
    temporary: Arc<Temporary>,
    pub(super) owners: Owners,
    pub(crate) leases: Leases,
    /// The file system's locks hold between all who see them (FENCE-2).
    pub(super) locks_are_common: bool,
}

impl LockFolder {
    pub fn open(directory: Directory) -> Result<Self, Errno> {
        let temporary = Temporary::begin(directory.make_directory(TEMPORARY)?)?;
        let temporary = Arc::new(temporary);
        Ok(Self {
            owners: Owners::open(&directory)?,
            leases: Leases::open(&directory, &temporary)?,
            locks_are_common: locks_are_common(&directory)?,
            directory,
            temporary,
        })
    }

    pub(super) fn error(&self, errno: Errno) -> StoreError {
        match errno {
            Errno::NOENT if !self.directory.is_there() => StoreError::Io(Errno::STALE),
            Errno::NOENT | Errno::EXIST | Errno::BUSY | Errno::INVAL => StoreError::Io(errno),
            other => StoreError::from(other),
        }
    }

    /// How the lock is; `None` if nobody has ever taken it.
    pub(super) fn look(&self, name: &ObjectName) -> Result<Option<Seen>, StoreError> {
        for _ in 0..TRIES_MAX {
            let folder = match self.directory.open_directory(&Place::of(name).file) {
                Err(Errno::NOENT) if self.directory.is_there() => return Ok(None),
                opened => opened.map_err(|errno| self.error(errno))?,
            };
            match look_in(folder, name) {
                // Forgotten, or changed while it was listed: only of the first the directory can be removed (LOCK-5).
                Ok(None) => match self.remove_folder(name) {
                    Ok(()) => return Ok(None),
                    Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => {}
                    Err(errno) => return Err(self.error(errno)),
                },
                // Outdated, and removed before it could be read.
                Err(Errno::NOENT) => {}
                seen => return seen.map_err(|errno| self.error(errno)),
            }
        }
        Err(StoreError::Io(Errno::AGAIN))
    }

    /// The same, of a lock that is going to be changed.
    fn look_to_change(&self, name: &ObjectName) -> Result<Seen, StoreError> {
        for _ in 0..TRIES_MAX {
            if let Some(seen) = self.look(name)? {
                return Ok(seen);
            }
            match self.make(name) {
                // It is gone from where it was made if a server that died was asked to name it twice.
                Ok(()) | Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOENT) => {}
                Err(errno) => return Err(self.error(errno)),
            }
        }
        Err(StoreError::Io(Errno::AGAIN))
    }

    /// Makes a lock that nobody holds, unless somebody else is quicker.
    fn make(&self, name: &ObjectName) -> Result<(), Errno> {
        let (outer, staged) = (self.temporary.directory(), self.temporary.fresh_name());
        let folder = outer.make_directory(&staged)?;
        let fd = folder.create_file(&file_of(FIRST), OFlags::WRONLY)?;
        let text = write_state(name, FIRST, None, 0);
        let made = write_all(&fd, text.as_bytes())
            .and_then(|()| rustix::io::retry_on_intr(|| rustix::fs::fsync(&fd)))
            .and_then(|()| folder.sync())
            .and_then(|()| {
                let place = Place::of(name).file;
                self.directory.rename_from(outer, &staged, &place)
            });
        if made.is_err() {
            let _ = outer.remove_directory(&staged);
        }
        made?;
        self.directory.sync()
    }

    /// Makes the next state the present one (LOCK-2); EXIST if somebody else has changed the lock.
    pub(super) fn advance(
        &self,
        name: &ObjectName,
        seen: &Seen,
        number: u64,
        holder: Option<&LockRecord>,
        broken: u64,
    ) -> Result<(), Errno> {
        let text = write_state(name, number, holder, broken);
        let mut staged = Staged::with(&self.temporary, text.as_bytes())?;
        let folder = &seen.folder;
        staged.publish(folder, &file_of(number), Publication::Exclusive)?;
        if !folder.is_named(&file_of(seen.number), &seen.file) {
            // Others have gone on and cleared away behind them: what we linked is not the greatest.
            let _ = folder.unlink(&file_of(number));
            return Err(Errno::EXIST);
        }
        folder.sync()?; // LOCK-4
        self.directory.sync()?;
        clear_before(folder, number);
        Ok(())
    }

    /// Has the kernel tell `inotify` what happens to the lock, by whomever on this machine; gives what the watch is known by.
    pub fn watch(&self, name: &ObjectName, inotify: &OwnedFd) -> Result<i32, Errno> {
        let folder = self.directory.open_directory(&Place::of(name).file)?;
        let path = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd());
        let what = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(inotify, path, what)
    }

    pub fn state(&self, name: &ObjectName) -> Result<LockState, StoreError> {
        Ok(self.look(name)?.map_or(LockState::Free, |seen| seen.state))
    }

    /// Takes the lock if it is free, or the owner's already.
    pub fn take(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
        since: u64,
    ) -> Result<LockRecord, StoreError> {
        for _ in 0..TRIES_MAX {
            let seen = self.look_to_change(name)?;
            match &seen.state {
                LockState::Free => {}
                LockState::Held(record) if record.is_of(owner) => return Ok(record.clone()),
                held => return Err(refusal(held)),
            }
            let record = LockRecord {
                owner: owner.clone(),
                token: self.after(seen.number)?,
                since,
                broken: seen.broken,
            };
            match self.advance(name, &seen, record.token, Some(&record), seen.broken) {
                Ok(()) => return Ok(record),
                Err(Errno::EXIST | Errno::NOENT) => {}
                Err(errno) => return Err(self.error(errno)),
            }
        }
        Err(StoreError::Io(Errno::AGAIN))
    }

    /// Gives it back.
    pub fn give_back(&self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError> {
        let mut meant = None;
        for _ in 0..TRIES_MAX {
            let Some(seen) = self.look(name)? else {
                return meant.map_or(Err(StoreError::NotLocked), |_| Ok(()));
            };
            match &seen.state {
                // Ours was changed while we tried: whoever did it has done what we were to do.
                _ if meant.is_some_and(|number| seen.number != number) => return Ok(()),
                LockState::Free => return Err(StoreError::NotLocked),
                // Also one that is being broken: then that is over the sooner.
                LockState::Held(record) if record.owner == *owner => {}
                held => return Err(refusal(held)),
            }
            meant = Some(seen.number);
            let next = self.after(seen.number)?;
            match self.advance(name, &seen, next, None, seen.broken) {
                Ok(()) => return Ok(()),
                Err(Errno::EXIST | Errno::NOENT) => {}
                Err(errno) => return Err(self.error(errno)),
            }
        }
        Err(StoreError::Io(Errno::AGAIN))
    }

    /// Whether the owner of the lock lives.
    pub fn owner_life(&self, name: &ObjectName) -> Result<OwnerLife, StoreError> {
        match self.state(name)? {
            LockState::Free => Err(StoreError::NotLocked),
            LockState::Unknown(_) => Ok(OwnerLife::Unknown),
            LockState::Held(record) => match self.owners.is_alive(&record.owner) {
                Ok(true) => Ok(OwnerLife::Lives),
                Ok(false) => Ok(OwnerLife::Gone),
                Err(errno) => Err(self.error(errno)),
            },
        }
    }

    /// Gives it back if it is the owner's, and removes all of it (LOCK-5).
    pub fn forget(&self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError> {
        for _ in 0..TRIES_MAX {
            let Some(seen) = self.look(name)? else {
                return Ok(());
            };
            match &seen.state {
                LockState::Free => {}
                LockState::Held(record) if record.is_of(owner) => {}
                held => return Err(refusal(held)),
            }
            match has_others_files(&seen.folder) {
                Ok(false) => {}
                // They are nobody's to remove (F100), and the directory goes with the last of its files only.
                Ok(true) if seen.state == LockState::Free => return Ok(()),
                Ok(true) => return self.give_back(name, owner),
                Err(errno) => return Err(self.error(errno)),
            }
            match self.remove(name, &seen) {
                Ok(()) => return Ok(()),
                // Somebody has changed it meanwhile.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => {}
                Err(errno) => return Err(self.error(errno)),
            }
        }
        Err(StoreError::Io(Errno::AGAIN))
    }

    /// Removes what was seen, if nobody has gone on from there.
    fn remove(&self, name: &ObjectName, seen: &Seen) -> Result<(), Errno> {
        let has_lesser = || -> Result<bool, Errno> {
            Ok(numbers_in(&seen.folder)?.iter().min() < Some(&seen.number))
        };
        if has_lesser()? {
            clear_before(&seen.folder, seen.number);
            seen.folder.sync()?; // or power loss could bring one back alone
        }
        if !has_lesser()? {
            match seen.folder.unlink(&file_of(seen.number)) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.remove_folder(name)
    }

    /// Removes the directory of a lock, if nothing is in it.
    fn remove_folder(&self, name: &ObjectName) -> Result<(), Errno> {
        let place = Place::of(name).file;
        self.directory.remove_empty_directory(&place)?;
        self.directory.sync() // LOCK-4
    }

    /// The next number. There is one after 2^64 changes only if somebody has put a file there.
    pub(super) fn after(&self, number: u64) -> Result<u64, StoreError> {
        let next = number.checked_add(1);
        next.ok_or_else(|| self.error(Errno::OVERFLOW))
    }
}

/// The greatest state of a lock. A greater one that was there when this began cannot have been missed: it would have
/// been removed, but those before it first, and then what is read here would not be there.
fn look_in(folder: Directory, name: &ObjectName) -> Result<Option<Seen>, Errno> {
    let Some(number) = numbers_in(&folder)?.into_iter().max() else {
        return Ok(None);
    };
    // Any kind of file is looked at: one that is not ours has the number all the same (LOCK-3).
    let file = folder.open(&file_of(number), OFlags::PATH)?;
    let text = match folder.open_file(&file_of(number), OFlags::RDONLY) {
        Ok(fd) => read_small(&fd, STATE_BYTES_MAX)?,
        Err(Errno::ISDIR | Errno::NXIO | Errno::LOOP) => Vec::new(),
        Err(errno) => return Err(errno),
    };
    let (state, broken) = match read_state(&text, name, number) {
        Some(State { holder, broken }) => {
            let state = holder.map_or(LockState::Free, LockState::Held);
            (state, broken)
        }
        None => (LockState::Unknown(number), 0),
    };
    Ok(Some(Seen {
        folder,
        number,
        state,
        broken,
        file,
    }))
}

/// Removes the states before `number`: the least first, and none after one that stays.
fn clear_before(folder: &Directory, number: u64) {
    let mut old = numbers_in(folder).unwrap_or_default();
    old.retain(|other| *other < number);
    old.sort_unstable();
    for number in old {
        match folder.unlink(&file_of(number)) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(_) => return, // the next change tries again
        }
    }
}

pub(super) fn refusal(state: &LockState) -> StoreError {
    let holder = state.holder();
    let owner = holder.map_or_else(String::new, |record| record.owner.to_string());
    StoreError::Locked { owner }
}

/// File systems whose locks hold for everybody who can see their files: those of one machine, and those of clusters that fence who
/// is cut off before they give its locks away.
const COMMON_LOCKS: [u64; 12] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0xf2f5_2010, // F2FS
    0x2fc1_2fc1, // ZFS
    0xca45_1a4e, // bcachefs
    0x3153_464a, // JFS
    0x0116_1970, // GFS2
    0x7461_636f, // OCFS2
    0x00c3_6400, // CephFS
    0x0bd0_0bd0, // Lustre
];

/// FENCE-2
fn locks_are_common(directory: &Directory) -> Result<bool, Errno> {
    let kind = rustix::fs::fstatfs(directory)?.f_type;
    Ok(COMMON_LOCKS.contains(&(kind as u64 & 0xffff_ffff)))
}

fn file_of(number: u64) -> String {
    format!("{number:0DIGITS$}")
}

/// Is something there that is no state?
fn has_others_files(folder: &Directory) -> Result<bool, Errno> {
    let mut count = 0;
    folder.read(|_, _| count += 1)?;
    Ok(numbers_in(folder)?.len() < count)
}

/// The numbers of all states that are there. What has another name is not ours.
fn numbers_in(folder: &Directory) -> Result<Vec<u64>, Errno> {
    let mut numbers = Vec::new();
    folder.read(|file, _| {
        let text = std::str::from_utf8(file).ok();
        let number = text.and_then(|text| text.parse::<u64>().ok());
        numbers.extend(number.filter(|number| file_of(*number).as_bytes() == file));
    })?;
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_2_who_was_asleep_while_others_went_on_changes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let locks = LockFolder::open(Directory::configured(home.path()).unwrap()).unwrap();
        let name = ObjectName::new(b"l").unwrap();
        let owner = |deployment: &str| LockOwner {
            node: "n".into(),
            deployment: deployment.into(),
        };
        let sleepers: Vec<Seen> = (0..6)
            .map(|turn| {
                let seen = locks.look_to_change(&name).unwrap();
                if turn % 2 == 0 {
                    locks.take(&name, &owner("a"), 0).unwrap();
                } else {
                    locks.give_back(&name, &owner("a")).unwrap();
                }
                seen
            })
            .collect();
        let last = locks.take(&name, &owner("b"), 0).unwrap();
        // The numbers that they try are free again; backwards, so that one's link is the file that another one saw.
        for seen in sleepers.iter().rev().chain(&sleepers) {
            let record = LockRecord {
                owner: owner("late"),
                token: seen.number + 1,
                since: 0,
                broken: 0,
            };
            let late = locks.advance(&name, seen, seen.number + 1, Some(&record), 0);
            assert_eq!(late, Err(Errno::EXIST)); // LOCK-2
            assert_eq!(locks.state(&name), Ok(LockState::Held(last.clone())));
        }
    }

    #[test]
    fn lock_5_who_was_asleep_while_a_lock_was_forgotten_has_nothing_of_it() {
        let home = tempfile::tempdir().unwrap();
        let locks = LockFolder::open(Directory::configured(home.path()).unwrap()).unwrap();
        let name = ObjectName::new(b"l").unwrap();
        let owner = |deployment: &str| LockOwner {
            node: "n".into(),
            deployment: deployment.into(),
        };
        for is_taken_anew in [false, true] {
            let free = locks.look_to_change(&name).unwrap();
            locks.take(&name, &owner("a"), 0).unwrap();
            let held = locks.look_to_change(&name).unwrap();
            locks.forget(&name, &owner("a")).unwrap();
            let now = is_taken_anew.then(|| locks.take(&name, &owner("b"), 0).unwrap());
            for seen in [&free, &held] {
                let record = LockRecord {
                    owner: owner("late"),
                    token: seen.number + 1,
                    since: 0,
                    broken: 0,
                };
                let late = locks.advance(&name, seen, seen.number + 1, Some(&record), 0);
                assert!(matches!(late, Err(Errno::NOENT | Errno::EXIST))); // LOCK-5
                let removed = locks.remove(&name, seen);
                assert!(removed.is_err());
            }
            let state = now.map_or(LockState::Free, LockState::Held);
            assert_eq!(locks.state(&name), Ok(state));
            locks.forget(&name, &owner("b")).unwrap();
        }
    }

    /// It sees what another one forgets: of the two one comes first.
    #[test]
    fn lock_5_a_lock_that_was_taken_since_it_was_seen_is_not_removed() {
        let home = tempfile::tempdir().unwrap();
        let locks = LockFolder::open(Directory::configured(home.path()).unwrap()).unwrap();
        let name = ObjectName::new(b"l").unwrap();
        let owner = LockOwner {
            node: "n".into(),
            deployment: "d".into(),
        };
        let seen = locks.look_to_change(&name).unwrap();
        let taken = locks.take(&name, &owner, 0).unwrap();
        assert_eq!(locks.remove(&name, &seen), Err(Errno::NOTEMPTY)); // LOCK-5
        assert_eq!(locks.state(&name), Ok(LockState::Held(taken)));
    }
}
