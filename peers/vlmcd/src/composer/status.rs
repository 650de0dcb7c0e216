//! BLOCK_STATUS and CHANGED: what is stored and what is a hole, and what differs from a snapshot, from the maps alone.

use std::ops::Range;

use archipelago_protocol::{CHANGE_BYTES, Change, EXTENT_BYTES, Extent};
use xseg::Incoming;

use super::core::Composer;
use super::users::snapshot_of;
use super::volume::Volume;
use crate::error::ComposeError;
use crate::pure::{differences, pieces};

/// Blocks that one request looks at; who asked asks again for what lies behind.
const BLOCKS_MAX: u64 = 4096;
/// Blocks whose maps are looked at together.
const BLOCKS_AT_ONCE: u64 = 256;

/// Runs that grow as long as they are of one kind, as many as there is room for.
struct Runs {
    /// How long, and whether it is of the kind that is asked about.
    all: Vec<(u64, bool)>,
    max: usize,
}

impl Runs {
    /// As many as fit into the request's data. Something must be told of a range that has something.
    fn fitting(
        request: &Incoming,
        run_bytes: usize,
        bytes: &Range<u64>,
    ) -> Result<Self, ComposeError> {
        let room = request.data().map_or(0, |data| data.len());
        let max = room / run_bytes as u64;
        if max == 0 && !bytes.is_empty() {
            return Err(ComposeError::NoRoom {
                length: run_bytes as u64,
                room,
            });
        }
        Ok(Self {
            all: Vec::new(),
            max: usize::try_from(max).unwrap_or(usize::MAX),
        })
    }

    /// `false`: there is no room for it.
    fn push(&mut self, bytes: u64, kind: bool) -> bool {
        let has_room = self.all.len() < self.max;
        match self.all.last_mut() {
            Some(last) if last.1 == kind => last.0 += bytes,
            _ if !has_room => return false,
            _ => self.all.push((bytes, kind)),
        }
        true
    }
}

/// The blocks of a range that one request looks at, in parts that are looked at together.
fn parts_of(blocks: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let end = blocks.end.min(blocks.start.saturating_add(BLOCKS_MAX));
    let starts = (blocks.start..end).step_by(BLOCKS_AT_ONCE as usize);
    starts.map(move |start| start..end.min(start + BLOCKS_AT_ONCE))
}

fn tell(request: &Incoming, encoded: &[u8]) -> Result<(), ComposeError> {
    if let Some(data) = request.data() {
        data.write(0, encoded)?;
    }
    Ok(())
}

impl Composer {
    /// Answers with the number of extents, which are in the request's data then.
    pub async fn block_status(
        &self,
        volume: &Volume,
        request: &Incoming,
    ) -> Result<u64, ComposeError> {
        let bytes = self.range_of(volume, request)?;
        let mut runs = Runs::fitting(request, EXTENT_BYTES, &bytes)?;
        let shape = volume.shape;
        'told: for some in parts_of(&shape.blocks(&bytes)) {
            let (maps, guard) = self.maps(volume, some.clone()).await?;
            drop(guard); // nothing is read
            for (block, map) in some.zip(&maps) {
                for piece in pieces(shape, map, shape.in_block(block, &bytes)) {
                    let len = piece.bytes.end - piece.bytes.start;
                    if !runs.push(len, piece.source.is_none()) {
                        break 'told;
                    }
                }
            }
        }
        let mut encoded = Vec::with_capacity(runs.all.len() * EXTENT_BYTES);
        for &(bytes, is_hole) in &runs.all {
            Extent { bytes, is_hole }.write(&mut encoded);
        }
        tell(request, &encoded)?;
        Ok(runs.all.len() as u64)
    }

    /// Answers with the number of changes, which are in the request's data then.
    pub async fn changed(&self, volume: &Volume, request: &Incoming) -> Result<u64, ComposeError> {
        let bytes = self.range_of(volume, request)?;
        let snapshot = snapshot_of(request);
        let mut runs = Runs::fitting(request, CHANGE_BYTES, &bytes)?;
        let visit = self.visit(&snapshot, false).await?;
        let then = &visit.volume;
        if !then.is_read_only() {
            return Err(ComposeError::NotASnapshot);
        }
        let shape = volume.shape;
        if (shape.object_bytes(), shape.grain_bytes())
            != (then.shape.object_bytes(), then.shape.grain_bytes())
        {
            return Err(ComposeError::OtherShape);
        }
        'told: for some in parts_of(&shape.blocks(&bytes)) {
            let (now_maps, guard) = self.maps(volume, some.clone()).await?;
            drop(guard); // nothing is read
            let then_maps = self.maps(then, some.clone()).await;
            if let Err(ComposeError::NotAttached) = then_maps {
                then.lose(); // as the volume, which is asked about anew
            }
            let (then_maps, guard) = then_maps?;
            drop(guard);
            for (block, maps) in some.zip(now_maps.iter().zip(&then_maps)) {
                let in_block = shape.in_block(block, &bytes);
                let then_end = then.size().saturating_sub(shape.block_at(block));
                for difference in differences(shape, (&**maps.0, &**maps.1), in_block, then_end) {
                    let len = difference.bytes.end - difference.bytes.start;
                    if !runs.push(len, difference.is_different) {
                        break 'told;
                    }
                }
            }
        }
        let mut encoded = Vec::with_capacity(runs.all.len() * CHANGE_BYTES);
        for &(bytes, is_changed) in &runs.all {
            Change { bytes, is_changed }.write(&mut encoded);
        }
        tell(request, &encoded)?;
        Ok(runs.all.len() as u64)
    }
}
