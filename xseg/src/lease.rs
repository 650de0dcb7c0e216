//! A lease: until when its holder may say that something is done.
//!
//! The owner of a port writes it beside its port; whoever relies on it reads it there, with one load, and the boot-time clock,
//! which goes on while the machine sleeps. What a lease stands for, and who may take it away, its holder knows.
//!
//! # Invariants
//! * **LEASE-1** A lease that was lost does not come back: what holds after that has another generation. So whoever finds the
//!   generation that it knew before it began, and the lease in force when it had ended, had it all the time between.

use rustix::time::{ClockId, clock_gettime};

use crate::name::PortId;
use crate::segment::Segment;
use crate::sync::Ordering;

/// Of the word, those that say until when, in milliseconds: five hundred years.
const UNTIL_BITS: u32 = 44;
const UNTIL_MAX: u64 = (1 << UNTIL_BITS) - 1;
/// One behind the last generation.
const GENERATIONS: u64 = 1 << (64 - UNTIL_BITS);
const NS_PER_MS: u64 = 1_000_000;

/// Nanoseconds since the machine was booted, those that it slept through as well. Read in user space; never steps.
#[inline]
pub fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// What a lease's word says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    word: u64,
}

impl Lease {
    /// None is kept: who relies on nothing loses nothing.
    pub const NONE: Self = Self { word: 0 };

    /// In force until that moment of [`boot_ns`], rounded down.
    pub fn until(generation: u64, until_ns: u64) -> Self {
        let until_ms = (until_ns / NS_PER_MS).min(UNTIL_MAX);
        Self {
            word: (generation % GENERATIONS) << UNTIL_BITS | until_ms,
        }
    }

    /// Which one it is; 0 if there is none.
    #[inline]
    pub fn generation(self) -> u64 {
        self.word >> UNTIL_BITS
    }

    /// Another one than this, and than none.
    pub fn next_generation(self) -> u64 {
        (self.generation() + 1) % GENERATIONS + u64::from(self.generation() + 1 == GENERATIONS)
    }

    /// Is it in force at that moment of [`boot_ns`]? None always is.
    #[inline]
    pub fn is_in_force(self, now_ns: u64) -> bool {
        self.generation() == 0 || now_ns < (self.word & UNTIL_MAX) * NS_PER_MS
    }

    /// How much longer it is in force.
    pub fn left_ns(self, now_ns: u64) -> u64 {
        ((self.word & UNTIL_MAX) * NS_PER_MS).saturating_sub(now_ns)
    }
}

impl Segment {
    /// What stands beside the port.
    #[inline]
    pub fn lease(&self, port: PortId) -> Lease {
        // Acquire (LEASE-1): pairs with the Release of `set_lease`. What its holder saw before it wrote this, as that a lock was
        // its own, is not looked at by an older view than its.
        let word = self
            .shared()
            .mapping
            .port(port)
            .lease
            .load(Ordering::Acquire);
        Lease { word }
    }

    /// Said by the port's owner alone.
    pub fn set_lease(&self, port: PortId, lease: Lease) {
        let word = &self.shared().mapping.port(port).lease;
        // Release (LEASE-1): pairs with the Acquire of `lease`.
        word.store(lease.word, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BindOptions, CreateOptions, Geometry};

    const MS: u64 = NS_PER_MS;

    #[test]
    fn a_lease_is_in_force_until_its_moment_and_not_at_it() {
        let lease = Lease::until(7, 1000 * MS + 999_999);
        assert_eq!(lease.generation(), 7);
        assert!(lease.is_in_force(1000 * MS - 1));
        assert!(!lease.is_in_force(1000 * MS), "rounded down");
        assert_eq!(
            (lease.left_ns(998 * MS), lease.left_ns(1001 * MS)),
            (2 * MS, 0)
        );
        assert!(Lease::NONE.is_in_force(u64::MAX), "nobody keeps one");
        assert!(!Lease::until(1, 0).is_in_force(0));
        assert!(Lease::until(1, u64::MAX).is_in_force(boot_ns()));
    }

    /// LEASE-1
    #[test]
    fn generations_follow_each_other_and_none_of_them_is_none() {
        assert_eq!(Lease::NONE.next_generation(), 1);
        assert_eq!(Lease::until(1, u64::MAX).next_generation(), 2);
        let last = Lease::until(GENERATIONS - 1, u64::MAX);
        assert_eq!(last.generation(), GENERATIONS - 1);
        assert_eq!(last.next_generation(), 1);
    }

    #[test]
    fn a_lease_stays_beside_its_port_when_the_ports_owner_changes() {
        let geometry = Geometry::new(2, 2, 64).unwrap();
        let segment = CreateOptions::new(geometry).create_private().unwrap();
        let port = segment.bind(1, &BindOptions::default()).unwrap();
        let id = port.id();
        assert_eq!(segment.lease(id), Lease::NONE);
        let lease = Lease::until(3, boot_ns() + 60_000 * MS);
        segment.set_lease(id, lease);
        drop(port);
        let again = segment.bind(1, &BindOptions::default()).unwrap();
        assert_eq!(segment.lease(again.id()), lease); // LEASE-1
        assert!(segment.lease(id).is_in_force(boot_ns()));
    }
}
