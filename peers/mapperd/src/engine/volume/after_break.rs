//! A volume whose lock was taken from its owner by force.
//!
//! Who had it may not know, and may still be writing: it fences nobody that a file cannot refuse a write. So nothing is
//! written that its token names. Its journal and its heads are left behind by every new token (OWNER-1); here are its objects.
//!
//! # Invariants
//! * **BREAK-1** After a lock was broken no object is written in place that was named before: the floor is above all that
//!   the broken tokens name, durably, before anything is granted or told (M2, L3). Where that was cut off the next
//!   opening does it.

use super::volume::Volume;
use crate::engine::error::MapError;
use crate::engine::world::World;
use crate::map::journal::Record;

impl<W: World> Volume<W> {
    /// Raises the floor if tokens up to `broken` may name what is above it.
    pub(super) async fn leave_behind(&self, broken: u64) -> Result<(), MapError> {
        let floor = {
            let state = self.state.borrow();
            if broken == 0 || state.head.floor.token() > broken {
                return Ok(());
            }
            state.last_stamp()
        };
        tracing::warn!(volume = %self.id, "its lock was broken: what was written before is copied before it is changed");
        self.append([Record::Floor { floor }]).await?;
        self.flush().await
    }
}
