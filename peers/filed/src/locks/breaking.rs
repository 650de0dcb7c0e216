//! Breaking the lock of another one: at once where it is dead, or after what it may still answer has been waited for.
//!
//! ```text
//! held --mark--> being broken --its lease is taken away--> waited for --> free
//! ```
//! A lock that is being broken is nobody's: its holder sees that when it looks, and nobody else gets it. The mark comes first: who loses
//! its lease looks at its locks before it goes on, and so it sees of which of them. Whoever breaks it may die over that: then the
//! next one who breaks it goes on from there.
//!
//! # Invariants
//! * **FENCE-1** A lock whose owner may live becomes free only when the owner answers nothing any more that it does under it: its lease
//!   was taken away after the lock was marked, and that is longer ago than the owner relies on it. Unless whoever breaks it
//!   wants to take that risk.
//! * **FENCE-3** Of a damaged lock anybody may be the owner: all are fenced who live and keep a lease. They look at their locks, and go
//!   on.
//! * **FENCE-2** That no process of the owner lives is believed where the file system's locks hold between all who see it.

use std::collections::BTreeSet;
use std::time::Duration;

use archipelago_store::{LockOwner, LockRecord, ObjectName, StoreError};
use rustix::io::Errno;

use super::folder::{LockFolder, LockState, Seen, TRIES_MAX, refusal, unknown};
use super::owners::{Presences, file_of};

/// When the lock of another one may be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    /// If no process of its owner lives, as far as that can be told (LOCK-6).
    IfDead,
    /// Also if one does, and works; it is fenced first.
    Fenced,
    /// At once: it may go on answering until it finds out.
    Anyway,
}

/// How far a break has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    Done,
    /// The lock is marked, and to be freed after `wait` (FENCE-1).
    Marked {
        number: u64,
        wait: Duration,
    },
}

/// What is known of who has the lock.
enum Owner {
    Ours,
    /// Nothing of it is answered any more, and nobody of it begins to live meanwhile.
    Gone {
        _presence: Option<Presences>,
    },
    /// It may live: it is to be fenced, and may answer for so long.
    Fenced {
        term: Duration,
    },
    /// It may be any of those who live (FENCE-3).
    Anybody,
}

impl LockFolder {
    /// Breaks the lock, or marks it so that it can be broken in a while.
    pub fn begin_break(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
        force: Force,
    ) -> Result<Break, StoreError> {
        let mut meant = None;
        for _ in 0..TRIES_MAX {
            let Some(seen) = self.look(name)? else {
                return meant.map_or(Err(StoreError::NotLocked), |_| Ok(Break::Done));
            };
            match meant {
                None if seen.state == LockState::Free => return Err(StoreError::NotLocked),
                // It was changed while we tried: whoever did it has done what we were to do, or has begun to.
                Some(number) if seen.number != number && !seen.state.is_being_broken() => {
                    return Ok(Break::Done);
                }
                _ => {}
            }
            meant = Some(seen.number);
            let found = self.look_at_owner(&seen, owner, force)?;
            let done = match &found {
                Owner::Ours => self.free_from(name, &seen, seen.broken),
                Owner::Gone { .. } => self.free_from(name, &seen, seen.number),
                Owner::Fenced { .. } | Owner::Anybody => self.mark(name, &seen, &found),
            };
            drop(found);
            match done {
                Err(StoreError::Io(Errno::EXIST | Errno::NOENT)) => {}
                done => return done,
            }
        }
        Err(StoreError::Io(Errno::AGAIN))
    }

    /// Frees a lock that was marked, unless somebody else has done so.
    pub fn end_break(&self, name: &ObjectName, number: u64) -> Result<(), StoreError> {
        for _ in 0..TRIES_MAX {
            let seen = match self.look(name)? {
                Some(seen) if seen.number == number => seen,
                _ => return Ok(()),
            };
            match self.free_from(name, &seen, number) {
                Err(StoreError::Io(Errno::EXIST | Errno::NOENT)) => {}
                freed => return freed.map(drop),
            }
        }
        Err(StoreError::Io(Errno::AGAIN))
    }

    fn look_at_owner(
        &self,
        seen: &Seen,
        owner: &LockOwner,
        force: Force,
    ) -> Result<Owner, StoreError> {
        let nobody = Owner::Gone { _presence: None };
        let held = match &seen.state {
            LockState::Held(held) => held,
            LockState::Free => return Ok(nobody),
            LockState::Unknown(_) => return self.look_at_anybody(seen, owner, force), // LOCK-3
        };
        if held.owner == unknown() {
            return self.look_at_anybody(seen, owner, force); // who marked it died over that
        }
        if held.owner == *owner {
            return Ok(Owner::Ours);
        }
        if force == Force::Anyway {
            // It finds out the sooner.
            self.leases
                .take_away(&held.owner)
                .map_err(|errno| self.error(errno))?;
            return Ok(nobody);
        }
        let presence = self.owners.keep_out(&held.owner);
        let presence = presence.map_err(|errno| self.error(errno))?;
        let is_absent = matches!(presence, Presences::None { .. });
        if is_absent && self.locks_are_common {
            return Ok(Owner::Gone {
                _presence: Some(presence),
            }); // FENCE-2
        }
        if !is_absent && force == Force::IfDead && !held.is_being_broken() {
            return Err(refusal(&seen.state)); // LOCK-6
        }
        let lease = self.leases.last(&held.owner);
        match lease.map_err(|errno| self.error(errno))? {
            Some(lease) => Ok(Owner::Fenced { term: lease.term() }),
            // It knows nothing of leases, and does not answer to the loss of one.
            None if is_absent => Ok(Owner::Gone {
                _presence: Some(presence),
            }),
            None => Err(refusal(&seen.state)),
        }
    }

    /// FENCE-3
    fn look_at_anybody(
        &self,
        seen: &Seen,
        owner: &LockOwner,
        force: Force,
    ) -> Result<Owner, StoreError> {
        let nobody = Owner::Gone { _presence: None };
        let keepers = self.keepers().map_err(|errno| self.error(errno))?;
        if force == Force::Anyway {
            self.take_all_away(&keepers)
                .map_err(|errno| self.error(errno))?;
            return Ok(nobody);
        }
        let files = self.owners.files().map_err(|errno| self.error(errno))?;
        for file in files.difference(&keepers) {
            let lives = self.owners.is_alive_by(file);
            // It knows nothing of leases; we ask for ourselves.
            if lives.map_err(|errno| self.error(errno))? && *file != file_of(owner) {
                return Err(refusal(&seen.state));
            }
        }
        Ok(if keepers.is_empty() {
            nobody
        } else {
            Owner::Anybody
        })
    }

    /// The files of those who may rely on a lease: who is dead does not (FENCE-2).
    fn keepers(&self) -> Result<BTreeSet<String>, Errno> {
        let mut keepers = BTreeSet::new();
        for file in self.leases.files()? {
            if !self.locks_are_common || self.owners.is_alive_by(&file)? {
                keepers.insert(file);
            }
        }
        Ok(keepers)
    }

    /// Gives for how long they may go on answering.
    fn take_all_away(&self, keepers: &BTreeSet<String>) -> Result<Duration, Errno> {
        let mut longest = Duration::ZERO;
        for file in keepers {
            let taken = self.leases.take_file_away(file)?;
            longest = longest.max(taken.map_or(Duration::ZERO, |taken| taken.term()));
        }
        Ok(longest)
    }

    fn free_from(&self, name: &ObjectName, seen: &Seen, broken: u64) -> Result<Break, StoreError> {
        let next = self.after(seen.number)?;
        match self.advance(name, seen, next, None, broken) {
            Ok(()) => Ok(Break::Done),
            Err(errno @ (Errno::EXIST | Errno::NOENT)) => Err(StoreError::Io(errno)),
            Err(errno) => Err(self.error(errno)),
        }
    }

    /// FENCE-1
    fn mark(&self, name: &ObjectName, seen: &Seen, found: &Owner) -> Result<Break, StoreError> {
        let held = seen.state.holder().ok_or(StoreError::NotLocked)?;
        let number = if held.is_being_broken() {
            seen.number // by somebody who is at it, or has died over it
        } else {
            let next = self.after(seen.number)?;
            let marked = LockRecord {
                token: next,
                broken: next,
                owner: held.owner.clone(),
                since: held.since,
            };
            match self.advance(name, seen, next, Some(&marked), next) {
                Ok(()) => next,
                Err(errno @ (Errno::EXIST | Errno::NOENT)) => return Err(StoreError::Io(errno)),
                Err(errno) => return Err(self.error(errno)),
            }
        };
        let term = self.fence(&held.owner, found);
        let wait = after_term(term.map_err(|errno| self.error(errno))?);
        Ok(Break::Marked { number, wait })
    }

    /// Takes away the leases of whom it may be, when the lock is marked. Gives for how long they may go on answering.
    fn fence(&self, owner: &LockOwner, found: &Owner) -> Result<Duration, Errno> {
        match found {
            // Its owner may have begun another one, with another term, since it was looked at.
            Owner::Fenced { term } => {
                let taken = self.leases.take_away(owner)?;
                Ok(taken.map_or(*term, |taken| taken.term().max(*term)))
            }
            Owner::Anybody => self.take_all_away(&self.keepers()?), // also who came since
            Owner::Ours | Owner::Gone { .. } => Ok(Duration::ZERO),
        }
    }
}

/// Clocks of two machines do not go equally fast: a quarter more is a thousand times what they differ.
fn after_term(term: Duration) -> Duration {
    term + term / 4
}
