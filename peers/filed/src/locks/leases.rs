//! Leases: until when a deployment may answer for what it does under its locks.
//!
//! A deployment has one file, as long as nobody has taken it away. Whoever keeps the locks for it looks at that file now and then; as
//! long as it was there at the last look, which is not longer ago than the term, all its locks are its own. Who breaks a lock
//! takes the file away, by one rename, and waits for the term: so long the owner may go on answering, and no longer.
//!
//! ```text
//! locks/.leases/<owner>          the lease that is kept
//!               <owner>.taken    the one that was taken away last
//! ```
//! No clocks are compared: the one counts from before it looked, the other one from after it has taken away.
//!
//! # Invariants
//! * **LEASES-1** A lease that was taken away is not found again, whatever loses power: that is durable before it is waited for.
//! * **LEASES-2** Who loses a lease makes another one, with another text: what was taken away says nothing of that one.

use std::sync::Arc;
use std::time::Duration;

use archipelago_store::LockOwner;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::owners::file_of;
use crate::layout::escape;
use crate::root::{Directory, Publication, Staged, Temporary, read_small};

/// Where they are, beside the locks. No lock has such a name.
const LEASES: &str = ".leases";
const TAKEN: &str = ".taken";
const FIRST_LINE: &str = "archipelago lease 1";
const TEXT_BYTES_MAX: usize = 4096;
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

    /// `None` if it is not exactly what [`Self::text`] writes for this owner.
    fn read(text: &[u8], owner: &LockOwner) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut lines = text.lines().skip(3);
        let mut part = |key: &str| lines.next()?.strip_prefix(key);
        let instance = u128::from_str_radix(part("instance ")?, 16).ok()?;
        let generation = part("generation ")?.parse().ok()?;
        let term_ms = part("term ")?.strip_suffix(" ms")?.parse().ok()?;
        let found = Self {
            owner: owner.clone(),
            instance,
            generation,
            term: Duration::from_millis(term_ms),
        };
        (found.text() == text && found.term <= TERM_MAX).then_some(found)
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

    fn read(&self, file: &str, owner: &LockOwner) -> Result<Option<Found>, Errno> {
        let text = match self.directory.open_file(file, OFlags::RDONLY) {
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::ISDIR | Errno::NXIO | Errno::LOOP) => Vec::new(),
            opened => read_small(opened?, TEXT_BYTES_MAX)?,
        };
        let found = LeaseText::read(&text, owner);
        Ok(Some(found.map_or(Found::Damaged, Found::Whole)))
    }

    /// The lease that is kept; `None` if there is none, or it was taken away.
    pub fn kept(&self, owner: &LockOwner) -> Result<Option<Found>, Errno> {
        self.read(&file_of(owner), owner)
    }

    /// The one that is kept, or was taken away last; `None` of who never kept one.
    pub fn last(&self, owner: &LockOwner) -> Result<Option<Found>, Errno> {
        match self.kept(owner)? {
            Some(kept) => Ok(Some(kept)),
            None => self.read(&taken_of(owner), owner),
        }
    }

    /// Begins a lease, in place of any other one of this owner (LEASES-2).
    pub fn begin(&self, lease: &LeaseText) -> Result<(), Errno> {
        let mut staged = Staged::with(&self.temporary, lease.text().as_bytes())?;
        let name = file_of(&lease.owner);
        staged.publish(&self.directory, &name, Publication::Replacing)?;
        self.directory.sync()
    }

    /// Takes the lease away, if one is kept, and tells what was taken last. From then on its owner finds none, also after a loss of power
    /// (LEASES-1).
    pub fn take_away(&self, owner: &LockOwner) -> Result<Option<Found>, Errno> {
        let taken = taken_of(owner);
        match self
            .directory
            .rename_from(&self.directory, &file_of(owner), &taken)
        {
            // It was taken before, and that may not be durable.
            Ok(()) | Err(Errno::NOENT) => self.directory.sync()?,
            Err(errno) => return Err(errno),
        }
        self.read(&taken, owner)
    }
}

fn taken_of(owner: &LockOwner) -> String {
    file_of(owner) + TAKEN
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
        assert_eq!(leases.last(&owner), Ok(None));
        leases.take_away(&owner).unwrap();
        assert_eq!(
            leases.last(&owner),
            Ok(None),
            "who never kept one keeps none now"
        );
        leases.begin(&first).unwrap();
        let kept = |lease: &LeaseText| Ok(Some(Found::Whole(lease.clone())));
        assert_eq!(leases.kept(&owner), kept(&first));
        for _ in 0..2 {
            assert_eq!(leases.take_away(&owner), kept(&first));
            assert_eq!(leases.kept(&owner), Ok(None)); // LEASES-1
            assert_eq!(leases.last(&owner), kept(&first), "it had this term");
        }
        leases.begin(&second).unwrap();
        assert_eq!(leases.kept(&owner), kept(&second)); // LEASES-2
        assert_eq!(leases.last(&owner), kept(&second));
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
                let found = leases.kept(&lease.owner).unwrap().unwrap();
                assert_eq!(found, Found::Damaged, "byte {at}");
                assert_eq!(found.term(), TERM_MAX);
            }
        }
        std::fs::write(&path, text).unwrap();
        let found = leases.kept(&lease.owner).unwrap().unwrap();
        assert_eq!(found.term(), lease.term);
    }
}
