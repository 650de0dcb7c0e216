//! WRITE: in place where that is allowed, to a new place elsewhere.
//!
//! # Invariants
//! * **CWRITE-1** A write in place goes only where the newest map says so and only while nobody changes that sub-block's
//!   place: it has a shared claim, under which the map was looked at (CLAIM-1, COMPOSE-2).
//! * **CWRITE-2** Nobody who waits for a claim has another, or a grant: waits have no circle (P1).

use std::cell::{Cell, RefCell};
use std::ops::Range;

use xseg::{Incoming, flags};

use super::core::Composer;
use super::lent::is_lent;
use super::objects::ObjectRange;
use super::together;
use super::volume::Volume;
use crate::error::ComposeError;
use crate::pure::{ClaimMode, Source, WritePart, write_parts};

/// How often a part is written anew because the map changed.
pub const TRIES_MAX: u32 = 100;

/// What is written.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub volume: &'a Volume,
    /// The request whose data it is; without one, zeros.
    pub request: Option<&'a Incoming>,
    /// Where in the volume the data begin.
    pub origin: u64,
    pub made_by: &'a MadeBy,
}

/// By which token the mapper made a change: who waited for the lock learns it so (UNDER-2).
#[derive(Debug, Default)]
pub struct MadeBy {
    token: Cell<Option<u64>>,
}

impl MadeBy {
    pub fn note(&self, token: u64) {
        let is_same = self.token.get().is_none_or(|before| before == token);
        self.token.set(Some(if is_same { token } else { 0 }));
    }

    /// 0 if there was none, or not one for all of it.
    pub fn token(&self) -> u64 {
        self.token.get().unwrap_or(0)
    }
}

impl Change<'_> {
    /// Where in the data a byte of a block is.
    pub fn from(&self, block: u64, in_block: u64) -> u64 {
        self.volume.shape.block_at(block) + in_block - self.origin
    }
}

/// How far a part of a write got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Done,
    /// The map is not what the part was made for: look again.
    Again,
}

impl Composer {
    pub async fn write(
        &self,
        volume: &Volume,
        request: &Incoming,
        made_by: &MadeBy,
    ) -> Result<u64, ComposeError> {
        let bytes = self.range_of(volume, request)?;
        if volume.is_read_only() {
            return Err(ComposeError::ReadOnly);
        }
        let length = bytes.end - bytes.start;
        let room = request.data().map_or(0, |data| data.len());
        if room < length {
            return Err(ComposeError::NoRoom { length, room });
        }
        if is_lent(request) && self.lent(request, 0, length).is_none() {
            return Err(ComposeError::NotLent); // LOAN-2
        }
        let change = Change {
            volume,
            request: Some(request),
            origin: bytes.start,
            made_by,
        };
        self.write_range(change, &bytes).await?;
        self.flush_if_asked(volume, request).await?;
        Ok(length)
    }

    /// FUA: durable when answered.
    pub async fn flush_if_asked(
        &self,
        volume: &Volume,
        request: &Incoming,
    ) -> Result<(), ComposeError> {
        if request.request().flags & flags::FUA == 0 {
            return Ok(());
        }
        self.ask_flush(volume).await
    }

    /// Writes these bytes of the volume.
    pub async fn write_range(
        &self,
        change: Change<'_>,
        bytes: &Range<u64>,
    ) -> Result<(), ComposeError> {
        let shape = change.volume.shape;
        let blocks = shape.blocks(bytes);
        let work =
            blocks.map(|block| self.write_block(change, block, shape.in_block(block, bytes)));
        together::all(work.collect(), self.options.parts_max).await
    }

    async fn write_block(
        &self,
        change: Change<'_>,
        block: u64,
        in_block: Range<u64>,
    ) -> Result<(), ComposeError> {
        let volume = change.volume;
        let mut left = vec![in_block];
        for tries in 0..TRIES_MAX {
            let (map, guard) = self.map(volume, block).await?;
            drop(guard); // the parts look again, under their claims
            let is_writable = |source: &Source| volume.is_writable(source);
            let parts = left
                .drain(..)
                .flat_map(|bytes| write_parts(volume.shape, &map, bytes, is_writable));
            let again = RefCell::new(Vec::new());
            let work = parts.map(|part| self.write_part(change, block, part, &again));
            together::all(work.collect(), self.options.parts_max).await?;
            left = again.into_inner();
            if left.is_empty() {
                return Ok(());
            }
            self.pause(tries).await;
        }
        Err(ComposeError::Moved)
    }

    async fn write_part(
        &self,
        change: Change<'_>,
        block: u64,
        part: WritePart,
        again: &RefCell<Vec<Range<u64>>>,
    ) -> Result<(), ComposeError> {
        let (bytes, step) = match part {
            WritePart::InPlace { bytes, source } => {
                let range = ObjectRange {
                    source,
                    block,
                    bytes: bytes.clone(),
                };
                (bytes, self.write_in_place(change, range).await?)
            }
            WritePart::New { bytes } => {
                let step = self.write_granted(change, block, &bytes).await?;
                (bytes, step)
            }
        };
        if step == Step::Again {
            again.borrow_mut().push(bytes);
        }
        Ok(())
    }

    async fn write_in_place(
        &self,
        change: Change<'_>,
        range: ObjectRange,
    ) -> Result<Step, ComposeError> {
        let volume = change.volume;
        let subs = volume.shape.subs_touched(&range.bytes);
        let claimed = volume.shape.over_volume(range.block, &subs);
        let _claim = volume.claim(claimed, ClaimMode::Shared).await;
        let (map, _guard) = self.map(volume, range.block).await?;
        let is_there = map
            .parts(subs)
            .all(|(_, source)| source == Some(range.source));
        if !is_there || !volume.is_writable(&range.source) {
            return Ok(Step::Again); // CWRITE-1
        }
        match change.request {
            Some(request) => {
                let from = change.from(range.block, range.bytes.start);
                self.write_view(volume, &range, request, from).await?;
            }
            None => self.write_zeros(volume, &range).await?,
        }
        Ok(Step::Done)
    }
}
