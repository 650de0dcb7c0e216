//! Keeping a lease: looking now and then whether it was taken away, and saying how long that look is good for.
//!
//! A thread of its own does it, since it must not wait for the store's other work. What it finds stands beside our port, where
//! whoever answers clients reads it ([`xseg::Lease`]). What cannot be looked at is not said to be lost: it runs out, and is in force
//! again when it was seen.
//!
//! # Invariants
//! * **KEEP-1** The lease is said to be in force for its term from before a look that found it, and never longer: whoever takes it
//!   away after that look waits for the term from then on.
//! * **KEEP-2** One that was taken away is not said to be in force once that was seen, and the next one is of another
//!   generation, which is named only when its file is there: whoever relied on the first looks at his locks before he relies on
//!   the second, and after whatever was done before that one could be taken away.
//! * **KEEP-3** Of two deployments of one name that live though they must not, the one that began later has the lease, and the other one answers
//!   nothing any more: where a file server lets both begin (it takes their machines for one, or gave up the locks of the first), one of them
//!   has to end.

use std::cell::RefCell;
use std::sync::{Arc, Weak};
use std::time::Duration;

use archipelago_store::LockOwner;
use rustix::io::Errno;
use xseg::{Lease, PortId, Segment, boot_ns};

use super::core::Engine;
use crate::error::FiledError;
use crate::locks::{Found, LeaseText, Sight};
use crate::options::FiledOptions;
use crate::root::Root;

/// Looks in a term: one that comes late, or fails, is made up for by the next.
const LOOKS: u32 = 3;
/// A full store gives a little for each.
const RESERVES_MAX: u32 = 4;

/// Whose lease it is, and how long a look is good for.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    pub owner: LockOwner,
    /// No longer than [`crate::LEASE_TERM_MAX`].
    pub term: Duration,
}

struct Keeper {
    root: Weak<Root>,
    segment: Segment,
    port: PortId,
    owner: LockOwner,
    instance: u128,
    term: Duration,
    /// How the lease's file looked when it was seen to say this. As long as it looks so it says so, and is not opened.
    known: RefCell<Option<(Sight, LeaseText)>>,
}

impl Engine {
    /// Keeps a lease from now on, as long as the engine lives. Blocks: to be done before requests are served.
    pub fn keep_lease(&self, options: &FiledOptions) -> Result<(), FiledError> {
        let segment = self.station.segment().clone();
        let Some(lease) = &options.lease else {
            segment.set_lease(self.station.id(), Lease::NONE);
            return Ok(());
        };
        let [high, low] = segment.identity();
        let keeper = Keeper {
            root: Arc::downgrade(&self.root),
            port: self.station.id(),
            owner: lease.owner.clone(),
            // The processes of a deployment meet in its segment, and those of no other one do.
            instance: u128::from(high) << 64 | u128::from(low),
            term: lease.term.min(crate::LEASE_TERM_MAX),
            known: RefCell::default(),
            segment,
        };
        let failed = |call, source| FiledError::System {
            call,
            path: options.archip_dir.clone(),
            source,
        };
        keeper
            .look(&self.root)
            .map_err(|errno| failed("keep a lease in", errno))?;
        let thread = std::thread::Builder::new().name("lease".into());
        let kept = thread.spawn(move || keeper.keep());
        kept.map(drop).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::AGAIN);
            failed("begin to keep a lease in", errno)
        })
    }
}

impl Keeper {
    fn keep(&self) {
        loop {
            std::thread::sleep(self.term / LOOKS);
            let Some(root) = self.root.upgrade() else {
                return;
            };
            if let Err(errno) = self.look(&root) {
                tracing::warn!(%errno, "the lease cannot be seen; nothing is answered when it has run out");
            }
        }
    }

    fn look(&self, root: &Root) -> Result<(), Errno> {
        let said = self.segment.lease(self.port);
        let ours = self.text(said.generation());
        let before_ns = boot_ns(); // KEEP-1
        if self.is_known(root, &ours)? {
            self.say(said.generation(), before_ns);
            return Ok(());
        }
        let kept = root.locks.leases.kept(&self.owner)?;
        if let Some((sight, Found::Whole(text))) = &kept
            && *text == ours
        {
            self.known.replace(Some((*sight, ours)));
            self.say(said.generation(), before_ns);
            return Ok(());
        }
        let last = match &kept {
            // A predecessor began it, with another term, or died before it said so.
            Some((_, Found::Whole(text))) if text.instance == self.instance => text.generation,
            Some((_, Found::Whole(_))) if said != Lease::NONE => {
                self.give_up(said);
                return Ok(());
            }
            _ if said == Lease::NONE => 0,
            _ => {
                tracing::warn!("the lease was taken away: a lock of this node is being broken");
                0
            }
        };
        let next = Lease::until(last, 0)
            .next_generation()
            .max(said.next_generation());
        if said != Lease::NONE {
            self.segment
                .set_lease(self.port, Lease::until(said.generation(), 0)); // KEEP-2
        }
        let before_ns = boot_ns();
        let text = self.text(next);
        let sight = self.begin(root, &text)?;
        self.known.replace(sight.map(|sight| (sight, text)));
        self.say(next, before_ns);
        Ok(())
    }

    /// KEEP-3
    fn give_up(&self, said: Lease) {
        if said.is_in_force(boot_ns()) {
            tracing::error!(owner = %self.owner, "another deployment of this name has begun; nothing is answered here any more: \
                stop one of the two, and start this one again");
        }
        let ended = Lease::until(said.generation(), 0);
        self.segment.set_lease(self.port, ended);
    }

    /// Is the file there that was seen to say this? A look, and no opening (LEASES-3).
    fn is_known(&self, root: &Root, text: &LeaseText) -> Result<bool, Errno> {
        let known = self.known.borrow();
        let Some((sight, _)) = known.as_ref().filter(|(_, known)| known == text) else {
            return Ok(false);
        };
        Ok(root.locks.leases.sight(&self.owner)? == Some(*sight))
    }

    /// On a full store too: nobody could give anything back otherwise (D5).
    fn begin(&self, root: &Root, text: &LeaseText) -> Result<Option<Sight>, Errno> {
        for _ in 0..RESERVES_MAX {
            match root.locks.leases.begin(text) {
                Err(Errno::NOSPC | Errno::DQUOT) if root.give_reserve() => {}
                begun => return begun,
            }
        }
        Err(Errno::NOSPC)
    }

    fn say(&self, generation: u64, before_ns: u64) {
        let term_ns = u64::try_from(self.term.as_nanos()).unwrap_or(0);
        let lease = Lease::until(generation, before_ns.saturating_add(term_ns));
        self.segment.set_lease(self.port, lease);
    }

    fn text(&self, generation: u64) -> LeaseText {
        LeaseText {
            owner: self.owner.clone(),
            instance: self.instance,
            generation,
            term: self.term,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use xseg::{BindOptions, CreateOptions, Geometry, Port};

    use super::*;

    struct Bench {
        home: tempfile::TempDir,
        root: Arc<Root>,
        keeper: Keeper,
        _port: Port,
    }

    fn owner() -> LockOwner {
        LockOwner {
            node: "n".into(),
            deployment: "d".into(),
        }
    }

    impl Bench {
        fn begin() -> Self {
            let home = tempfile::tempdir().unwrap();
            let root = Arc::new(Root::open(&FiledOptions::new(home.path())).unwrap());
            let geometry = Geometry::new(2, 2, 64).unwrap();
            let segment = CreateOptions::new(geometry).create_private().unwrap();
            let port = segment.bind(1, &BindOptions::default()).unwrap();
            let keeper = Keeper {
                root: Arc::downgrade(&root),
                port: port.id(),
                segment,
                owner: owner(),
                instance: 7,
                term: Duration::from_secs(60),
                known: RefCell::default(),
            };
            Self {
                home,
                root,
                keeper,
                _port: port,
            }
        }

        fn look(&self) -> Result<(), Errno> {
            self.keeper.look(&self.root)
        }

        /// Its generation, and whether it is in force.
        fn said(&self) -> (u64, bool) {
            let lease = self.keeper.segment.lease(self.keeper.port);
            (lease.generation(), lease.is_in_force(boot_ns()))
        }

        fn take_away(&self) {
            self.root.locks.leases.take_away(&owner()).unwrap();
        }

        fn file(&self) -> PathBuf {
            let leases = self.home.path().join("locks/.leases");
            let mut files = std::fs::read_dir(leases).unwrap();
            files.next().unwrap().unwrap().path()
        }
    }

    /// KEEP-1, KEEP-2
    #[test]
    fn a_lease_is_in_force_from_before_the_look_that_found_it_and_another_one_after_its_loss() {
        let bench = Bench::begin();
        assert_eq!(bench.said(), (0, true), "none is kept");
        for generation in 1..4 {
            let before_ns = boot_ns();
            for _ in 0..3 {
                bench.look().unwrap();
                assert_eq!(bench.said(), (generation, true));
            }
            let lease = bench.keeper.segment.lease(bench.keeper.port);
            let until_ns = boot_ns() + lease.left_ns(boot_ns());
            let term_ns = bench.keeper.term.as_nanos() as u64;
            assert!(until_ns > before_ns + term_ns / 2 && until_ns <= boot_ns() + term_ns); // KEEP-1
            bench.take_away();
        }
        bench.look().unwrap();
        assert_eq!(bench.said(), (4, true)); // KEEP-2
    }

    /// KEEP-2: a lock may be marked, and found without a lease to take away, until the next one's file is there.
    #[test]
    fn a_generation_is_not_named_before_its_file_is_there() {
        let bench = Bench::begin();
        bench.look().unwrap();
        let file = bench.file();
        bench.take_away();
        std::fs::create_dir(&file).unwrap();
        for _ in 0..3 {
            bench.look().unwrap_err();
            assert_eq!(bench.said(), (1, false)); // KEEP-2
        }
        std::fs::remove_dir(&file).unwrap();
        bench.look().unwrap();
        assert_eq!(bench.said(), (2, true));
    }

    /// Whoever keeps it dies, at worst between the file and the word; the segment is another one after a boot.
    #[test]
    fn a_successor_goes_on_with_the_same_lease_and_no_generation_comes_twice() {
        let bench = Bench::begin();
        bench.look().unwrap();
        bench.look().unwrap();
        assert_eq!(bench.said(), (1, true), "nothing was lost");
        let begun = bench.keeper.text(2);
        bench.root.locks.leases.begin(&begun).unwrap();
        bench.look().unwrap();
        assert_eq!(bench.said(), (3, true));
        let leases = &bench.root.locks.leases;
        let (_, kept) = leases.kept(&owner()).unwrap().unwrap();
        assert_eq!(kept, Found::Whole(bench.keeper.text(3)));
    }

    /// KEEP-3
    #[test]
    fn of_two_deployments_of_one_name_the_later_one_keeps_the_lease() {
        let bench = Bench::begin();
        bench.look().unwrap();
        let other = LeaseText {
            instance: 8,
            ..bench.keeper.text(5)
        };
        let leases = &bench.root.locks.leases;
        leases.begin(&other).unwrap();
        for _ in 0..3 {
            bench.look().unwrap();
            assert_eq!(bench.said(), (1, false)); // KEEP-3
            let (_, kept) = leases.kept(&owner()).unwrap().unwrap();
            assert_eq!(kept, Found::Whole(other.clone()));
        }
        // After a start: the other one is dead, or this one would not have begun.
        bench
            .keeper
            .segment
            .set_lease(bench.keeper.port, Lease::NONE);
        bench.look().unwrap();
        assert_eq!(bench.said(), (1, true));
    }
}
