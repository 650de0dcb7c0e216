//! How many requests the mapper has from us at a time.
//!
//! # Invariants
//! * **PERMITS-1** The end of a grant never waits behind requests that may wait for it: a grant that is asked for waits
//!   until others have ended (P1).

use archipelago_protocol::MAP_GIVE_UP;
use archipelago_runtime::local::{Permit, Semaphore};
use xseg::OpCode;

/// A share for each kind of request.
#[derive(Debug)]
pub struct MapperPermits {
    /// MAP_WRITE waits for the ends of other grants.
    grants: Semaphore,
    ends: Semaphore,
    others: Semaphore,
}

impl MapperPermits {
    pub fn new(requests_max: usize) -> Self {
        let share = || Semaphore::new((requests_max / 3).max(1));
        Self {
            grants: share(),
            ends: share(),
            others: share(),
        }
    }

    pub async fn acquire(&self, op: OpCode) -> Permit<'_> {
        let share = match op {
            OpCode::MAP_WRITE => &self.grants,
            OpCode::MAP_COMMIT | MAP_GIVE_UP => &self.ends,
            _ => &self.others,
        };
        share.acquire(1).await
    }
}
