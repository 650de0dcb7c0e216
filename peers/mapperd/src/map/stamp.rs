//! Stamps: what makes the name of an object unique in a volume, for ever (M2).
//!
//! The owner's fencing token stands in the high bits, so that a later owner's stamps are above all of an earlier
//! one's without reading what the earlier one gave out.
//!
//! # Invariants
//! * **STAMP-1** A later token's stamps are greater than any of an earlier token. `next` never leaves the token.

/// A number that a volume hands out once: fencing token in the high 24 bits, counter in the low 40.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(u64);

/// A part of a stamp that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStamp {
    #[error(
        "fencing token {0} is above 16777215: the volume changed its owner too often, copy it into a new one"
    )]
    Token(u64),
    #[error(
        "counter {0} of a stamp is above 1099511627775: close the volume and open it, its next owner counts from 0"
    )]
    Counter(u64),
}

impl Stamp {
    pub const TOKEN_BITS: u32 = 24;
    pub const COUNTER_BITS: u32 = 40;
    pub const TOKEN_MAX: u64 = (1 << Self::TOKEN_BITS) - 1;
    pub const COUNTER_MAX: u64 = (1 << Self::COUNTER_BITS) - 1;
    /// Below or equal to every stamp.
    pub const ZERO: Self = Self(0);

    pub fn new(token: u64, counter: u64) -> Result<Self, BadStamp> {
        if token > Self::TOKEN_MAX {
            return Err(BadStamp::Token(token));
        }
        if counter > Self::COUNTER_MAX {
            return Err(BadStamp::Counter(counter));
        }
        Ok(Self(token << Self::COUNTER_BITS | counter))
    }

    /// The stamp with these bits: each pattern is one.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub const fn bits(self) -> u64 {
        self.0
    }

    pub const fn token(self) -> u64 {
        self.0 >> Self::COUNTER_BITS
    }

    pub const fn counter(self) -> u64 {
        self.0 & Self::COUNTER_MAX
    }

    /// The one after this, of the same token.
    pub fn next(self) -> Result<Self, BadStamp> {
        self.advanced(1)
    }

    /// The one `count` after this, of the same token: where a ceiling goes.
    pub fn advanced(self, count: u64) -> Result<Self, BadStamp> {
        Self::new(self.token(), self.counter().saturating_add(count))
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::fmt::Debug for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_its_token_and_its_counter() {
        let stamp = Stamp::new(0x123456, 0xab_cdef_0123).unwrap();
        assert_eq!(stamp.to_string(), "123456abcdef0123");
        assert_eq!((stamp.token(), stamp.counter()), (0x123456, 0xab_cdef_0123));
        assert_eq!(Stamp::from_bits(stamp.bits()), stamp);
        assert_eq!(Stamp::new(1 << 24, 0), Err(BadStamp::Token(1 << 24)));
        assert_eq!(Stamp::new(0, 1 << 40), Err(BadStamp::Counter(1 << 40)));
    }

    /// STAMP-1
    #[test]
    fn a_later_token_is_above_every_counter_of_an_earlier_one() {
        let last = Stamp::new(7, Stamp::COUNTER_MAX).unwrap();
        assert!(last < Stamp::new(8, 0).unwrap());
        assert_eq!(last.next(), Err(BadStamp::Counter(1 << 40)));
        assert!(last.advanced(u64::MAX).is_err());
        let before = Stamp::new(7, Stamp::COUNTER_MAX - 1).unwrap();
        assert_eq!(before.next(), Ok(last));
    }
}
