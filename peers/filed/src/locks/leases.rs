//! Leases: until when a deployment may answer for what it does under its locks.
//!
//! A deployment has one file, as long as nobody has taken it away. Whoever keeps the locks for it looks at that file now and then; as
//! long as it was there at the last look, which is not longer ago than the term, all its locks are its own. Who breaks a lock
//! takes the file away, by one rename, and waits for the term: so long the owner may go on answering, and no longer.
//!
//! ```text
//! locks/.leases/<owner>          the lease that is kept
//!               <owner>.taken    the one that was taken away last, its last newline cut off
//! ```
//! No clocks are compared: the one counts from before it looked, the other one from after it has taken away.
//!
//! Where another machine keeps the files (NFS), this one may open a file that was delegated to it, and read it, without asking anybody; and when
//! it was cut off for long, and the delegation was given up without it, it does not know that. So looking is asking how the file is, in a
//! way that goes to whoever keeps it; and what was taken away has another length, under whatever name it is remembered. The file is not opened for
//! a look: then nothing of it is delegated, and whoever takes it away does not wait for one who is cut off.
//!
//! # Invariants
//! * **LEASES-1** A lease that was taken away is not found again, whatever loses power: that is durable before it is waited for.
//! * **LEASES-2** Who loses a lease makes another one, with another text: what was taken away says nothing of that one.
//! * **LEASES-3** What a look finds was there, and not taken away, after the look began, wherever the file is kept.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use archipelago_store::LockOwner;
use rustix::fs::{OFlags, ftruncate};
use rustix::io::{Errno, retry_on_intr};

use super::owners::{file_of, is_file_of_one};
use crate::layout::{escape, unescape};
use crate::root::{Directory, InodeId, Publication, Staged, Temporary, read_small};

/// Where they are, beside the locks. No lock has such a name.
const LEASES: &str = ".leases";
const TAKEN: &str = ".taken";
const FIRST_LINE: &str = "archipelago lease 1";
const TEXT_BYTES_MAX: usize = 4096;
/// A file that changes whenever it is looked at is nobody's lease.
const LOOKS_MAX: u32 = 8;
/// No term is longer.
pub const TERM_MAX: Duration = Duration::from_secs(60);

/// What a lease's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaseText {
    pub owner: LockOwner,
    /// Which deployment of this name.
    pub instance: u128,
    pub generation: u64,
    /// For so long after each look its owner relies on it.
    pub term: Duration,
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Whole(LeaseText),
    /// It may have any term.
    Damaged,
}

/// How a file looks from outside (LEASES-3). What was taken away since looks otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    file: InodeId,
    len_bytes: u64,
    changed: (i64, u32),
}

#[derive(Debug)]
pub(crate) struct Leases {
    directory: Directory,
    temporary: Arc<Temporary>,
}

impl LeaseText {
    /// It is for people too.
    fn text(&self) -> String {
        let node = escape(self.owner.node.as_bytes());
        let deployment = escape(self.owner.deployment.as_bytes());
        let Self {
            instance,
            generation,
            ..
        } = self;
        let term_ms = self.term.as_millis();
        let text = format!(
            "{FIRST_LINE}\nnode {node}\ndeployment {deployment}\ninstance {instance:032x}\n\
             generation {generation}\nterm {term_ms} ms\n"
        );
        let checksum = blake3::hash(text.as_bytes()).to_hex();
        text + &format!("checksum {checksum}\n")
    }

    /// `None` if it is not exactly what [`Self::text`] writes for the owner whose file is called so.
    fn read(text: &[u8], file: &str) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut lines = text.lines().skip(1);
        let mut part = |key: &str| lines.next()?.strip_prefix(key);
        let owner = LockOwner {
            node: unescaped(part("node ")?)?,
            deployment: unescaped(part("deployment ")?)?,
        };
        let instance = u128::from_str_radix(part("instance ")?, 16).ok()?;
        let generation = part("generation ")?.parse().ok()?;
        let term_ms = part("term ")?.strip_suffix(" ms")?.parse().ok()?;
        let found = Self {
            owner,
            instance,
            generation,
            term: Duration::from_millis(term_ms),
        };
        let is_its = file_of(&found.owner) == file;
        (is_its && found.text() == text && found.term <= TERM_MAX).then_some(found)
    }
}

impl Found {
    /// How long its owner may rely on it at the most.
    pub fn term(&self) -> Duration {
        match self {
            Self::Whole(text) => text.term,
            Self::Damaged => TERM_MAX,
        }
    }
}

impl Leases {
    pub fn open(locks: &Directory, temporary: &Arc<Temporary>) -> Result<Self, Errno> {
        Ok(Self {
            directory: locks.make_directory(LEASES)?,
            temporary: temporary.clone(),
        })
    }

    /// The file of the lease that is kept, if there is one. It is not opened.
    pub fn sight(&self, owner: &LockOwner) -> Result<Option<Sight>, Errno> {
        self.sight_of(&file_of(owner))
    }

    fn sight_of(&self, file: &str) -> Result<Option<Sight>, Errno> {
        let stat = match self.directory.stat_now(file) {
            Err(Errno::NOENT) => return Ok(None),
            stat => stat?,
        };
        let sight = Sight {
            file: InodeId::from_statx(&stat),
            len_bytes: stat.stx_size,
            changed: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        };
        Ok((stat.stx_nlink > 0).then_some(sight))
    }

    /// The same, and what it says.
    pub fn kept(&self, owner: &LockOwner) -> Result<Option<(Sight, Found)>, Errno> {
        self.kept_in(&file_of(owner))
    }

    fn kept_in(&self, file: &str) -> Result<Option<(Sight, Found)>, Errno> {
        for _ in 0..LOOKS_MAX {
            let Some(sight) = self.sight_of(file)? else {
                return Ok(None);
            };
            let text = self.text_in(file, OFlags::RDONLY)?;
            // What was read was there at the second look, and is what that one saw.
            if self.sight_of(file)? == Some(sight) {
                let found = text.and_then(|(_, text)| LeaseText::read(&text, file));
                return Ok(Some((sight, found.map_or(Found::Damaged, Found::Whole))));
            }
        }
        Err(Errno::AGAIN)
    }

    /// None of what is there and is no file.
    fn text_in(&self, file: &str, flags: OFlags) -> Result<Option<(OwnedFd, Vec<u8>)>, Errno> {
        let file = match self.directory.open_file(file, flags) {
            Err(Errno::NOENT | Errno::ISDIR | Errno::NXIO | Errno::LOOP) => return Ok(None),
            opened => opened?,
        };
        let text = read_small(&file, TEXT_BYTES_MAX)?;
        Ok(Some((file, text)))
    }

    /// The one that is kept, or was taken away last; `None` of who never kept one.
    pub fn last(&self, owner: &LockOwner) -> Result<Option<Found>, Errno> {
        let file = file_of(owner);
        match self.kept_in(&file)? {
            Some((_, kept)) => Ok(Some(kept)),
            None => self.taken(&file, OFlags::RDONLY),
        }
    }

    /// The files of all owners that have ever kept one.
    pub fn files(&self) -> Result<BTreeSet<String>, Errno> {
        let mut files = BTreeSet::new();
        self.directory.read(|file, _| {
            let file = std::str::from_utf8(file).ok();
            let file = file.map(|file| file.strip_suffix(TAKEN).unwrap_or(file));
            files.extend(file.filter(|file| is_file_of_one(file)).map(str::to_owned));
        })?;
        Ok(files)
    }

    /// The one that was taken away last. Opened to be written, it is cut if it is not yet (LEASES-3).
    fn taken(&self, file: &str, flags: OFlags) -> Result<Option<Found>, Errno> {
        let (name, of) = (taken_of(file), file);
        let Some((file, mut text)) = self.text_in(&name, flags)? else {
            let is_there = self.directory.file_named(&name).is_ok();
            return Ok(is_there.then_some(Found::Damaged));
        };
        if text.ends_with(b"\n") {
            if flags == OFlags::RDWR {
                retry_on_intr(|| ftruncate(&file, text.len() as u64 - 1))?;
            }
        } else {
            text.push(b'\n');
        }
        let found = LeaseText::read(&text, of);
        Ok(Some(found.map_or(Found::Damaged, Found::Whole)))
    }

    /// Begins a lease, in place of any other one of this owner (LEASES-2); and how it looks, if it is not another one already.
    pub fn begin(&self, lease: &LeaseText) -> Result<Option<Sight>, Errno> {
        let mut staged = Staged::with(&self.temporary, lease.text().as_bytes())?;
        let name = file_of(&lease.owner);
        staged.publish(&self.directory, &name, Publication::Replacing)?;
        self.directory.sync()?;
        let sight = self.sight(&lease.owner)?;
        Ok(sight.filter(|sight| sight.file == staged.file()))
    }

    /// Takes the lease away, if one is kept, and tells what was taken last. From then on its owner finds none, also after a loss of power
    /// (LEASES-1), and though it remember the file by its name (LEASES-3).
    pub fn take_away(&self, owner: &LockOwner) -> Result<Option<Found>, Errno> {
        self.take_file_away(&file_of(owner))
    }

    /// The same of the owner whose file is called so.
    pub fn take_file_away(&self, file: &str) -> Result<Option<Found>, Errno> {
        match self
            .directory
            .rename_from(&self.directory, file, &taken_of(file))
        {
            // It was taken before, and that may not be durable, nor the file be cut.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let taken = self.taken(file, OFlags::RDWR)?;
        self.directory.sync()?;
        Ok(taken)
    }
}

fn taken_of(file: &str) -> String {
    file.to_owned() + TAKEN
}

fn unescaped(text: &str) -> Option<String> {
    String::from_utf8(unescape(text.as_bytes())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(generation: u64) -> LeaseText {
        LeaseText {
            owner: LockOwner {
                node: "n/1\n".into(),
                deployment: "d".into(),
            },
            instance: 7,
            generation,
            term: Duration::from_millis(1500),
        }
    }

    fn leases(home: &std::path::Path) -> Leases {
        let locks = Directory::configured(home).unwrap();
        let temporary = Temporary::begin(locks.make_directory(".tmp").unwrap()).unwrap();
        Leases::open(&locks, &Arc::new(temporary)).unwrap()
    }

    /// LEASES-1, LEASES-2
    #[test]
    fn a_lease_is_kept_until_it_is_taken_away_and_the_next_one_is_another() {
        let home = tempfile::tempdir().unwrap();
        let leases = leases(home.path());
        let (first, second) = (lease(1), lease(2));
        let owner = first.owner.clone();
        let found = || Ok(leases.kept(&owner)?.map(|(_, found)| found));
        assert_eq!(leases.last(&owner), Ok(None));
        leases.take_away(&owner).unwrap();
        assert_eq!(
            leases.last(&owner),
            Ok(None),
            "who never kept one keeps none now"
        );
        leases.begin(&first).unwrap();
        let kept = |lease: &LeaseText| Ok(Some(Found::Whole(lease.clone())));
        assert_eq!(found(), kept(&first));
        for _ in 0..2 {
            assert_eq!(leases.take_away(&owner), kept(&first));
            assert_eq!(found(), Ok(None)); // LEASES-1
            assert_eq!(leases.last(&owner), kept(&first), "it had this term");
        }
        leases.begin(&second).unwrap();
        assert_eq!(found(), kept(&second)); // LEASES-2
        assert_eq!(leases.last(&owner), kept(&second));
    }

    /// LEASES-3: as a client of a file server that was cut off finds it, by the name that it remembers.
    #[test]
    fn a_lease_that_was_taken_away_is_known_by_whatever_name_it_is_found() {
        let home = tempfile::tempdir().unwrap();
        let leases = leases(home.path());
        let lease = lease(1);
        let owner = lease.owner.clone();
        let begun = leases.begin(&lease).unwrap();
        assert!(begun.is_some());
        assert_eq!(leases.sight(&owner), Ok(begun), "nobody has touched it");
        assert_eq!(
            leases.kept(&owner),
            Ok(begun.map(|begun| (begun, Found::Whole(lease.clone()))))
        );
        leases.take_away(&owner).unwrap();
        assert_eq!(leases.sight(&owner), Ok(None));
        let place = home.path().join(LEASES);
        let file = file_of(&owner);
        let names = [taken_of(&file), file].map(|name| place.join(name));
        std::fs::rename(&names[0], &names[1]).unwrap();
        assert_ne!(leases.sight(&owner), Ok(begun)); // LEASES-3
        let found = leases.kept(&owner).unwrap();
        assert!(matches!(found, Some((_, Found::Damaged))), "{found:?}");
        // Of who took it away, and died before it was cut.
        std::fs::write(&names[0], lease.text()).unwrap();
        std::fs::remove_file(&names[1]).unwrap();
        for _ in 0..2 {
            let taken = leases.take_away(&owner);
            assert_eq!(taken, Ok(Some(Found::Whole(lease.clone()))));
        }
        assert!(!std::fs::read_to_string(&names[0]).unwrap().ends_with('\n'));
    }

    /// F53
    #[test]
    fn a_damaged_lease_may_have_any_term() {
        let home = tempfile::tempdir().unwrap();
        let leases = leases(home.path());
        let lease = lease(3);
        let text = lease.text();
        let path = home.path().join(LEASES).join(file_of(&lease.owner));
        for at in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] ^= 1;
            for bytes in [&damaged[..], &text.as_bytes()[..at]] {
                std::fs::write(&path, bytes).unwrap();
                let (_, found) = leases.kept(&lease.owner).unwrap().unwrap();
                assert_eq!(found, Found::Damaged, "byte {at}");
                assert_eq!(found.term(), TERM_MAX);
            }
        }
        std::fs::write(&path, text).unwrap();
        let (_, found) = leases.kept(&lease.owner).unwrap().unwrap();
        assert_eq!(found.term(), lease.term);
    }
}
