//! WRITE_ZEROES and DISCARD: whole sub-blocks leave the map (M5).
//!
//! # Invariants
//! * **ZERO-1** While a range leaves the map nobody writes in it: writes that were begun have ended, later ones wait.

use std::ops::Range;

use xseg::{Errno, Incoming};

use super::core::Composer;
use super::together;
use super::volume::Volume;
use super::write::{Change, MadeBy, TRIES_MAX};
use crate::error::ComposeError;
use crate::pure::ClaimMode;

/// What becomes of the sub-blocks that are not wholly in the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    BecomeZero,
    StayAsTheyAre,
}

impl Composer {
    pub async fn make_zero(
        &self,
        volume: &Volume,
        request: &Incoming,
        ends: Ends,
        made_by: &MadeBy,
    ) -> Result<u64, ComposeError> {
        let bytes = self.range_of(volume, request)?;
        if volume.is_read_only() {
            return Err(ComposeError::ReadOnly);
        }
        if ends == Ends::BecomeZero {
            let change = Change {
                volume,
                request: None,
                origin: bytes.start,
                made_by,
            };
            let ends = volume.shape.ends(&bytes, volume.size());
            let work = ends.iter().map(|end| self.write_range(change, end));
            together::all(work.collect(), self.options.parts_max).await?;
        }
        let whole = volume.shape.whole_subs(&bytes, volume.size());
        if !whole.is_empty() {
            let token = self.unmap(volume, &whole).await?;
            made_by.note(token);
        }
        self.flush_if_asked(volume, request).await?;
        Ok(bytes.end - bytes.start)
    }

    /// Gives the token by which it was done.
    async fn unmap(&self, volume: &Volume, bytes: &Range<u64>) -> Result<u64, ComposeError> {
        let subs = volume.shape.volume_subs_touched(bytes);
        let blocks = volume.shape.blocks(bytes);
        let _claim = volume.claim(subs, ClaimMode::Exclusive).await; // ZERO-1
        for tries in 0..TRIES_MAX {
            match self.ask_discard(volume, bytes).await {
                Ok(changed) => {
                    volume.changed(&blocks, changed.epoch);
                    return Ok(changed.token);
                }
                Err(ComposeError::Mapper { errno, .. }) if errno == Errno::STALE => {
                    self.pause(tries).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(ComposeError::Moved)
    }
}
