//! Ports in a row.

use std::fmt;

use xseg::PORTS_MAX;

/// From `start` to `end`, both included; `start` is not above `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    pub start: u32,
    pub end: u32,
}

impl PortRange {
    /// The highest number that a port can have in any segment.
    pub const LAST: u32 = PORTS_MAX - 1;

    pub fn contains(self, port: u32) -> bool {
        (self.start..=self.end).contains(&port)
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    pub fn count(self) -> u32 {
        self.end - self.start + 1
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.start == self.end {
            write!(f, "{}", self.start)
        } else {
            write!(f, "{}-{}", self.start, self.end)
        }
    }
}
