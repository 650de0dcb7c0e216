//! Whether what was done may be answered: only as long as the lock was this node's all the time.
//!
//! A directory refuses nothing to a node whose lock was broken. So we look at the lease when all is done: as long as it is in force, and
//! the one under which the mapper told us of the volume, nobody else has had the volume. That is one load and one look at the clock.
//!
//! # Invariants
//! * **UNDER-1** Nothing is answered as done, or as read, but with the lease in force that was known before it was begun. One that
//!   has run out is waited for.
//! * **UNDER-2** When another lease has begun meanwhile, what only reads, or may be done twice, is done anew. What changes something is
//!   answered if the lock is the one that it was done under, and else refused. What waited for the lock was done under the one that
//!   the mapper names with the change.

use std::time::Duration;

use xseg::{Incoming, Lease, OpCode, boot_ns};

use super::core::Composer;
use super::peer::{Answer, Performed, is_change};
use super::users::name_of;
use super::volume::Told;
use crate::error::ComposeError;

/// Between looks at a lease that has run out.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What is to become of what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Answer,
    Again,
    /// Somebody else may have had the volume.
    Refuse,
}

impl Composer {
    /// The lease as it is now; none where none is kept.
    pub fn lease(&self) -> Lease {
        let port = self.options.lease;
        port.map_or(Lease::NONE, |port| self.station.segment().lease(port))
    }

    /// Was this told under the lease of now?
    pub fn is_of_now(&self, told: Told) -> bool {
        self.options.lease.is_none() || self.lease().generation() == told.lease
    }

    fn is_in_force(&self, told: Told) -> bool {
        let Some(port) = self.options.lease else {
            return true;
        };
        let lease = self.station.segment().lease(port);
        lease.generation() == told.lease && lease.is_in_force(boot_ns())
    }

    /// Does what is asked for, until it may be answered.
    pub async fn perform_under_lease(&self, request: &Incoming) -> Result<Answer, ComposeError> {
        loop {
            let Performed { done, told } = self.perform(request).await;
            self.station.parts_home(request).await;
            let verdict = if self.is_in_force(told) {
                Verdict::Answer // UNDER-1
            } else {
                self.judge(request, &done, told).await?
            };
            match verdict {
                Verdict::Answer => return done,
                Verdict::Again => {}
                Verdict::Refuse => return Err(ComposeError::Taken),
            }
        }
    }

    async fn judge(
        &self,
        request: &Incoming,
        done: &Result<Answer, ComposeError>,
        mut told: Told,
    ) -> Result<Verdict, ComposeError> {
        let op = request.request().op;
        // What failed says nothing of the volume, unless it is a read: what it was to read may have been given back meanwhile.
        if done.is_err() && op != OpCode::READ {
            return Ok(Verdict::Answer);
        }
        loop {
            if self.is_in_force(told) {
                return Ok(Verdict::Answer);
            }
            if self.is_of_now(told) {
                self.handle.sleep(LOOK_AGAIN).await;
                continue;
            }
            if !is_change(op) {
                return Ok(Verdict::Again); // UNDER-2
            }
            let visit = self.visit(&name_of(request), true).await?;
            let now = visit.volume.told();
            if now.token != told.token || now.token == 0 {
                return Ok(Verdict::Refuse);
            }
            told = now;
        }
    }
}
