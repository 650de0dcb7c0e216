//! A value of a block: the write that made it and the reads that saw it.
//!
//! All of them stand together in any order that explains them, so of each cluster two moments count: when the first of
//! them was over, and when the last of them began. One that was over before another's last one began comes before that
//! one; and where two come before each other there is no order.
//!
//! # Invariants
//! * **CLUSTER-1** A cluster comes before another iff one of its operations was over before one of the other's began, or it
//!   comes so before a third that comes so before the other.

use std::collections::BTreeMap;

use crate::operation::{Operation, Outcome, Time, Work};
use crate::violation::Evidence;

/// One value.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub value: u64,
    /// `None`: it was there before.
    pub write: Option<Operation>,
    pub reads: Vec<Operation>,
    /// The first of them to be over; `None`: it was before all others.
    pub first_over: Option<Operation>,
    pub over: Time,
    /// The last of them to begin.
    pub last_begun: Option<Operation>,
    pub begun: Time,
}

impl Cluster {
    /// What was there before.
    pub fn inherited(value: u64) -> Self {
        Self {
            value,
            write: None,
            reads: Vec::new(),
            first_over: None,
            over: Time::BEGINNING,
            last_begun: None,
            begun: Time::BEGINNING,
        }
    }

    fn of(value: u64, write: Operation) -> Self {
        Self {
            value,
            write: Some(write),
            reads: Vec::new(),
            first_over: Some(write),
            over: write.over(),
            last_begun: Some(write),
            begun: write.invoked,
        }
    }

    fn read_by(&mut self, read: Operation) {
        self.reads.push(read);
        if read.over() < self.over {
            (self.first_over, self.over) = (Some(read), read.over());
        }
        if read.invoked > self.begun {
            (self.last_begun, self.begun) = (Some(read), read.invoked);
        }
    }

    /// Others may stand between its operations, as far as time tells: no cluster comes between those of another.
    fn is_spread(&self) -> bool {
        self.over < self.begun
    }

    /// Does one of its operations end before one of the other's begins?
    pub fn precedes(&self, other: &Self) -> bool {
        self.over < other.begun
    }

    /// It was never seen, and nobody knows what became of it.
    pub fn is_open(&self) -> bool {
        self.over == Time::NEVER
    }
}

/// The values of one block in one era.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clusters {
    all: Vec<Cluster>,
    /// Those that are spread, in order. No two are at the same time.
    spread: Vec<Cluster>,
}

impl Clusters {
    /// Sorts the operations of an era by value. `inherited` is what was there when it began.
    pub fn of(operations: &[Operation], inherited: u64) -> Result<Self, Evidence> {
        let mut clusters: BTreeMap<u64, Cluster> = BTreeMap::new();
        clusters.insert(inherited, Cluster::inherited(inherited));
        for write in operations {
            let Some(value) = write.written() else {
                continue;
            };
            if let Some(other) = clusters.insert(value, Cluster::of(value, *write)) {
                return Err(Evidence::WrittenTwice {
                    value,
                    writes: other.write.into_iter().chain([*write]).collect(),
                });
            }
        }
        for read in operations {
            let Work::Read(value) = read.work else {
                continue;
            };
            let Some(cluster) = clusters.get_mut(&value) else {
                return Err(Evidence::NeverWritten { read: *read });
            };
            if let Some(write) = cluster.write {
                if write.outcome == Outcome::Refused {
                    return Err(Evidence::Refused { write, read: *read });
                }
                if read.over() < write.invoked {
                    return Err(Evidence::TooEarly { write, read: *read });
                }
            }
            cluster.read_by(*read);
        }
        clusters.retain(|_, cluster| {
            let write = cluster.write;
            write.is_none_or(|write| write.outcome != Outcome::Refused)
        });
        Ok(Self {
            all: clusters.into_values().collect(),
            spread: Vec::new(),
        })
    }

    /// Is there an order of all of them? Only such can be asked for more.
    pub fn ordered(mut self) -> Result<Self, Evidence> {
        let is_spread = |cluster: &&Cluster| cluster.is_spread();
        self.spread = self.all.iter().filter(is_spread).cloned().collect();
        self.spread.sort_by_key(|cluster| cluster.over);
        for pair in self.spread.windows(2) {
            both_ways(&pair[0], &pair[1])?;
        }
        // The spread ones follow each other: of those that are over before the last beginning of another only the last one
        // can begin after that one was over.
        for cluster in self.all.iter().filter(|cluster| !cluster.is_spread()) {
            let before = self
                .spread
                .partition_point(|spread| spread.precedes(cluster));
            if let Some(spread) = before.checked_sub(1).map(|at| &self.spread[at]) {
                both_ways(spread, cluster)?;
            }
        }
        Ok(self)
    }

    pub fn all(&self) -> &[Cluster] {
        &self.all
    }

    /// A cluster that comes after `first` and before `then`, if only by that the one comes before the other (CLUSTER-1);
    /// `first` itself if it does so directly.
    pub fn way<'a>(&'a self, first: &'a Cluster, then: &Cluster) -> Option<&'a Cluster> {
        if first.value == then.value {
            return None;
        }
        if first.precedes(then) {
            return Some(first);
        }
        // Of the spread ones that come after it the first one is over first.
        let after = self
            .spread
            .partition_point(|spread| spread.begun <= first.over);
        let between = self.spread.get(after)?;
        (between.value != first.value && between.precedes(then)).then_some(between)
    }
}

fn both_ways(one: &Cluster, other: &Cluster) -> Result<(), Evidence> {
    if one.value != other.value && one.precedes(other) && other.precedes(one) {
        return Err(Evidence::NoOrder {
            one: Box::new(one.clone().into()),
            other: Box::new(other.clone().into()),
        });
    }
    Ok(())
}
