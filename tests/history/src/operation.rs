//! What a client did.

use std::fmt;

/// A moment. Only the order counts: what ended at a smaller number than another began was over before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Before all that clients do.
    pub const BEGINNING: Self = Self(0);
    /// After all that clients do.
    pub const NEVER: Self = Self(u64::MAX);
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NEVER => write!(f, "never"),
            Self(number) => write!(f, "{number}"),
        }
    }
}

/// Every write of a history has a number of its own, which is what the block holds then; 0 is what the blocks held when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// And what was read. A read that failed says nothing, and is left out.
    Read(u64),
    Write(u64),
    /// A write whose answer says that it is durable.
    WriteDurably(u64),
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// It was refused before anything was done: nobody ever sees it.
    Refused,
    /// Nobody knows: it failed half way, or whoever asked for it was gone. It may be seen from its beginning on, at any later
    /// time, or never.
    Unknown,
}

/// What one client did to one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    pub client: u32,
    pub block: u64,
    pub work: Work,
    pub invoked: Time,
    /// Counts if the outcome is `Done` only.
    pub answered: Time,
    pub outcome: Outcome,
}

impl Operation {
    /// When it was over for certain.
    pub fn over(&self) -> Time {
        match self.outcome {
            Outcome::Done => self.answered,
            Outcome::Refused | Outcome::Unknown => Time::NEVER,
        }
    }

    /// What it wrote.
    pub fn written(&self) -> Option<u64> {
        match self.work {
            Work::Write(value) | Work::WriteDurably(value) => Some(value),
            Work::Read(_) => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let did = match (self.work, self.outcome) {
            (Work::Read(content), _) => format!("read {content}"),
            (Work::Write(value), Outcome::Done) => format!("wrote {value}"),
            (Work::WriteDurably(value), Outcome::Done) => format!("durably wrote {value}"),
            (Work::Write(value) | Work::WriteDurably(value), Outcome::Refused) => {
                format!("was refused to write {value}")
            }
            (Work::Write(value) | Work::WriteDurably(value), Outcome::Unknown) => {
                format!("began to write {value}")
            }
        };
        let (client, block, invoked) = (self.client, self.block, self.invoked);
        write!(f, "{invoked}..{}: client {client} {did}", self.over())?;
        write!(f, " at block {block}")
    }
}

/// A flush that was answered well: what was answered before it began is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    pub client: u32,
    pub invoked: Time,
    pub answered: Time,
}

/// What else happened: it helps whoever reads about a violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Time,
    pub what: String,
}
