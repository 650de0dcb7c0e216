//! Why no disk behaves so, in as few operations as prove it.

use std::fmt;

use crate::cluster::Cluster;
use crate::history::History;
use crate::operation::{Event, Flush, Operation, Time};

/// Those operations of one value that say when it was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnesses {
    pub value: u64,
    /// Who wrote it; `None`: it was there at the beginning.
    pub write: Option<Operation>,
    /// The first one to be over.
    pub first_over: Option<Operation>,
    /// The last one to begin.
    pub last_begun: Option<Operation>,
}

impl From<Cluster> for Witnesses {
    fn from(cluster: Cluster) -> Self {
        Self {
            value: cluster.value,
            write: cluster.write,
            first_over: cluster.first_over,
            last_begun: cluster.last_begun,
        }
    }
}

impl Witnesses {
    fn operations(&self) -> impl Iterator<Item = Operation> {
        [self.write, self.first_over, self.last_begun]
            .into_iter()
            .flatten()
    }
}

/// Something durable that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    pub write: Operation,
    /// What made it durable, if it did not do so by itself.
    pub flush: Option<Flush>,
    pub read: Operation,
    pub before: Witnesses,
    /// What comes after the one and before the other, where time alone does not say so.
    pub between: Option<Witnesses>,
    pub after: Witnesses,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// The history is no history: values tell writes apart.
    WrittenTwice { value: u64, writes: Vec<Operation> },
    /// What was seen nobody had written.
    NeverWritten { read: Operation },
    /// What was refused was seen.
    Refused { write: Operation, read: Operation },
    /// It was seen before it was written.
    TooEarly { write: Operation, read: Operation },
    /// Each of two values was there after the other had been.
    NoOrder {
        one: Box<Witnesses>,
        other: Box<Witnesses>,
    },
    /// Power was lost once, and two values were found.
    TwoAfterLoss { operations: Vec<Operation> },
    /// After a loss of power a value was found that a durable one had replaced.
    Lost(Box<Loss>),
}

impl Evidence {
    /// The operations that prove it, by their beginnings.
    pub fn operations(&self) -> Vec<Operation> {
        let mut all: Vec<Operation> = match self {
            Self::WrittenTwice { writes, .. } => writes.clone(),
            Self::NeverWritten { read } => vec![*read],
            Self::Refused { write, read } | Self::TooEarly { write, read } => vec![*write, *read],
            Self::NoOrder { one, other } => one.operations().chain(other.operations()).collect(),
            Self::TwoAfterLoss { operations } => operations.clone(),
            Self::Lost(loss) => {
                let between = loss.between.iter().flat_map(Witnesses::operations);
                let witnesses = loss.before.operations().chain(between);
                let witnesses = witnesses.chain(loss.after.operations());
                witnesses.chain([loss.write, loss.read]).collect()
            }
        };
        all.sort_by_key(|operation| (operation.invoked, operation.client));
        all.dedup();
        all
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrittenTwice { value, .. } => write!(f, "{value} was written twice"),
            Self::NeverWritten { .. } => write!(f, "a read saw what nobody had written"),
            Self::Refused { .. } => write!(f, "a read saw a write that was refused"),
            Self::TooEarly { .. } => write!(f, "a read saw a write that had not begun"),
            Self::NoOrder { one, other } => write!(
                f,
                "{} was there before {}, and {} before {}",
                one.value, other.value, other.value, one.value
            ),
            Self::TwoAfterLoss { .. } => {
                write!(f, "after a loss of power two values of before it were seen")
            }
            Self::Lost(loss) => {
                let by = loss.flush.map_or_else(
                    || "was answered as durable".to_owned(),
                    |flush| format!("was flushed ({}..{})", flush.invoked, flush.answered),
                );
                let value = loss.before.value;
                write!(
                    f,
                    "after a loss of power {value} was there, which a write had replaced that {by}"
                )
            }
        }
    }
}

/// A block that no disk could have shown so.
#[derive(Clone, Debug)]
pub struct Violation {
    pub block: u64,
    pub evidence: Evidence,
    /// What else happened between the operations of the evidence.
    pub events: Vec<Event>,
}

impl Violation {
    pub(crate) fn new(block: u64, evidence: Evidence, history: &History) -> Self {
        let operations = evidence.operations();
        let from = operations
            .first()
            .map_or(Time::BEGINNING, |one| one.invoked);
        let ends = operations.iter().map(Operation::over);
        let to = ends.filter(|end| *end != Time::NEVER).max();
        let to = to.unwrap_or(Time::NEVER);
        let losses = history.losses.iter().map(|at| Event {
            at: *at,
            what: "power is lost".into(),
        });
        let mut events: Vec<Event> = history.events.iter().cloned().chain(losses).collect();
        events.retain(|event| (from..=to).contains(&event.at));
        events.sort_by_key(|event| event.at);
        Self {
            block,
            evidence,
            events,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const EVENTS_MAX: usize = 20;
        write!(f, "block {}: {}", self.block, self.evidence)?;
        let operations = self.evidence.operations().into_iter();
        let mut lines: Vec<(Time, String)> = operations
            .map(|operation| (operation.invoked, operation.to_string()))
            .collect();
        let events = self.events.iter().take(EVENTS_MAX);
        lines.extend(events.map(|event| (event.at, format!("{}: {}", event.at, event.what))));
        lines.sort();
        for (_, line) in lines {
            write!(f, "\n  {line}")?;
        }
        if self.events.len() > EVENTS_MAX {
            write!(f, "\n  and {} events", self.events.len() - EVENTS_MAX)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}
