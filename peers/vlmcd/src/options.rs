//! How to make a composer.

use std::time::Duration;

use xseg::PortId;

/// Whom a composer asks, and how much it does at a time.
#[derive(Clone, Debug)]
pub struct Options {
    /// The mappers of the deployment. At present the first one serves all volumes.
    pub mappers: Vec<PortId>,
    /// Keeps the data objects.
    pub blocker: PortId,
    /// Beside whose port the lease of the mapper's locks stands; `None` where a store refuses what is late.
    pub lease: Option<PortId>,
    /// Requests that are handled at a time (P1).
    pub nr_ops: u32,
    /// Requests to the blocker at a time. With `mapper_requests_max` at most as many as the port may have away: so what
    /// goes to the blocker never waits for what waits for the mapper (P1).
    pub blocker_requests_max: usize,
    /// Requests to the mapper at a time, a third of them of each kind: for grants, for their ends, others.
    pub mapper_requests_max: usize,
    /// Requests to the blocker for one request at a time.
    pub parts_max: usize,
    /// Block maps that are kept, for each volume.
    pub cached_blocks_max: usize,
    /// How long a volume without users stays attached.
    pub idle_after: Duration,
}

impl Options {
    /// The defaults suit a segment with a thousand requests.
    pub fn new(mappers: Vec<PortId>, blocker: PortId) -> Self {
        Self {
            mappers,
            blocker,
            lease: None,
            nr_ops: 128,
            blocker_requests_max: 128,
            mapper_requests_max: 32,
            parts_max: 16,
            cached_blocks_max: 65_536,
            idle_after: Duration::from_secs(5),
        }
    }
}
