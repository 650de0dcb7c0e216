//! Names: who owns what, packed into the 64-bit words that processes compare and exchange.
//!
//! ```text
//! owner word of a request or buffer            life word of a port
//!  63    60 59      46 45      32 31       0     63    56 55     32 31       0
//! +--------+----------+----------+----------+  +--------+---------+----------+
//! | state  | to port  | by port  |generation|  | state  |    0    |generation|
//! +--------+----------+----------+----------+  +--------+---------+----------+
//! ```
//! # Invariants
//! * **NAME-1** A free word is 0, and no other state packs to 0.
//! * **NAME-2** Packing and unpacking are inverse to each other; bit patterns that no pack yields are refused.
//! * **NAME-3** A name (port, generation) is given to one process only, ever: each bind takes the next generation.

use std::fmt;

/// How many ports a segment can have at the most: what 14 bits can name.
pub const PORTS_MAX: u32 = 1 << 14;

/// The number of a port: an address in the segment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(u16);

impl PortId {
    /// The port with this number, if any segment can have it.
    pub const fn new(number: u32) -> Option<Self> {
        if number < PORTS_MAX {
            Some(Self(number as u16))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}", self.0)
    }
}

/// One incarnation of a port: the port and the generation that its owner was given when it bound it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    pub port: PortId,
    pub generation: u32,
}

impl Name {
    /// The 46-bit form that owner words and return paths carry.
    #[inline]
    pub(crate) const fn pack(self) -> u64 {
        ((self.port.get() as u64) << 32) | self.generation as u64
    }

    #[inline]
    pub(crate) const fn unpack(word: u64) -> Option<Self> {
        if word >> 46 != 0 {
            return None;
        }
        Some(Self {
            port: PortId((word >> 32) as u16),
            generation: word as u32,
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.port, self.generation)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {self}")
    }
}

/// What an owner word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's: whoever compare-exchanges it first has it.
    Free,
    /// Taken by this incarnation for requests of its own: in its magazine, being filled, or answered.
    Owned(Name),
    /// On its way: still its sender's, until the destination claims it.
    Sent { by: Name, to: PortId },
    /// Accepted by this incarnation, which owes an answer.
    Held(Name),
}

const STATE_OWNED: u64 = 1;
const STATE_SENT: u64 = 2;
const STATE_HELD: u64 = 3;

impl Owner {
    pub(crate) const FREE: u64 = 0;

    #[inline]
    pub(crate) const fn pack(self) -> u64 {
        match self {
            Owner::Free => Self::FREE,
            Owner::Owned(name) => (STATE_OWNED << 60) | name.pack(),
            Owner::Held(name) => (STATE_HELD << 60) | name.pack(),
            Owner::Sent { by, to } => (STATE_SENT << 60) | ((to.get() as u64) << 46) | by.pack(),
        }
    }

    /// `None` for a word that no process of this code ever wrote.
    #[inline]
    pub(crate) const fn unpack(word: u64) -> Option<Self> {
        if word == Self::FREE {
            return Some(Owner::Free);
        }
        let to = PortId(((word >> 46) & 0x3fff) as u16);
        let Some(by) = Name::unpack(word & ((1 << 46) - 1)) else {
            return None;
        };
        match (word >> 60, to.0) {
            (STATE_OWNED, 0) => Some(Owner::Owned(by)),
            (STATE_HELD, 0) => Some(Owner::Held(by)),
            (STATE_SENT, _) => Some(Owner::Sent { by, to }),
            _ => None,
        }
    }

    /// The incarnation that the word names, if it names one.
    pub fn name(self) -> Option<Name> {
        match self {
            Owner::Free => None,
            Owner::Owned(name) | Owner::Held(name) | Owner::Sent { by: name, .. } => Some(name),
        }
    }
}

/// What a port's life word says. The generation is that of its newest incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Never bound, or a dynamic port that was given back: nobody is expected here.
    Free { generation: u32 },
    /// An incarnation owns it. It may be dead without anyone having noticed yet.
    Bound { generation: u32 },
    /// A static port whose peer left or died: requests wait for the next incarnation.
    Vacant { generation: u32 },
    /// A dynamic port that a settler owns while it deals with what is left of the last incarnation.
    Settling { generation: u32 },
}

const LIFE_BOUND: u64 = 1;
const LIFE_VACANT: u64 = 2;
const LIFE_SETTLING: u64 = 3;

impl Life {
    #[inline]
    pub(crate) const fn pack(self) -> u64 {
        match self {
            Life::Free { generation } => generation as u64,
            Life::Bound { generation } => (LIFE_BOUND << 56) | generation as u64,
            Life::Vacant { generation } => (LIFE_VACANT << 56) | generation as u64,
            Life::Settling { generation } => (LIFE_SETTLING << 56) | generation as u64,
        }
    }

    #[inline]
    pub(crate) const fn unpack(word: u64) -> Option<Self> {
        let generation = word as u32;
        if (word >> 32) & 0xff_ffff != 0 {
            return None;
        }
        match word >> 56 {
            0 => Some(Life::Free { generation }),
            LIFE_BOUND => Some(Life::Bound { generation }),
            LIFE_VACANT => Some(Life::Vacant { generation }),
            LIFE_SETTLING => Some(Life::Settling { generation }),
            _ => None,
        }
    }

    /// The generation of the newest incarnation, alive or not.
    pub fn generation(self) -> u32 {
        match self {
            Life::Free { generation }
            | Life::Bound { generation }
            | Life::Vacant { generation }
            | Life::Settling { generation } => generation,
        }
    }

    /// Is this very incarnation the port's present one?
    pub(crate) fn is_bound_by(self, generation: u32) -> bool {
        self.is_owned() && self.generation() == generation
    }

    /// An incarnation owns it, be it a settler: alive, or dead and unnoticed.
    pub fn is_owned(self) -> bool {
        matches!(self, Life::Bound { .. } | Life::Settling { .. })
    }

    /// May requests be sent to it? Not while it is settled: its settler could be kept busy for ever.
    pub fn admits(self) -> bool {
        matches!(self, Life::Bound { .. } | Life::Vacant { .. })
    }
}

#[cfg(test)]
#[path = "name/tests.rs"]
mod tests;
