//! BLOCK_STATUS: what is stored and what is a hole, from the maps alone.

use archipelago_protocol::{EXTENT_BYTES, Extent};
use xseg::Incoming;

use super::core::Composer;
use super::volume::Volume;
use crate::error::ComposeError;
use crate::pure::pieces;

/// Blocks that one request looks at; who asked asks again for what lies behind.
const BLOCKS_MAX: u64 = 4096;
/// Blocks whose maps are looked at together.
const BLOCKS_AT_ONCE: u64 = 256;

/// Extents that grow as long as they are of one kind, as many as there is room for.
struct Extents {
    all: Vec<Extent>,
    max: usize,
}

impl Extents {
    /// `false`: there is no room for it.
    fn push(&mut self, bytes: u64, is_hole: bool) -> bool {
        let has_room = self.all.len() < self.max;
        match self.all.last_mut() {
            Some(last) if last.is_hole == is_hole => last.bytes += bytes,
            _ if !has_room => return false,
            _ => self.all.push(Extent { bytes, is_hole }),
        }
        true
    }
}

impl Composer {
    /// Answers with the number of extents, which are in the request's data then.
    pub async fn block_status(
        &self,
        volume: &Volume,
        request: &Incoming,
    ) -> Result<u64, ComposeError> {
        let bytes = self.range_of(volume, request)?;
        let room = request.data().map_or(0, |data| data.len());
        let max = room / EXTENT_BYTES as u64;
        if max == 0 && !bytes.is_empty() {
            return Err(ComposeError::NoRoom {
                length: EXTENT_BYTES as u64,
                room,
            });
        }
        let mut extents = Extents {
            all: Vec::new(),
            max: usize::try_from(max).unwrap_or(usize::MAX),
        };
        let shape = volume.shape;
        let blocks = shape.blocks(&bytes);
        let end = blocks.end.min(blocks.start.saturating_add(BLOCKS_MAX));
        let mut next = blocks.start;
        'told: while next < end {
            let some = next..end.min(next + BLOCKS_AT_ONCE);
            let (maps, guard) = self.maps(volume, some.clone()).await?;
            drop(guard); // nothing is read
            for (block, map) in some.clone().zip(&maps) {
                for piece in pieces(shape, map, shape.in_block(block, &bytes)) {
                    let len = piece.bytes.end - piece.bytes.start;
                    if !extents.push(len, piece.source.is_none()) {
                        break 'told;
                    }
                }
            }
            next = some.end;
        }
        let mut encoded = Vec::with_capacity(extents.all.len() * EXTENT_BYTES);
        extents
            .all
            .iter()
            .for_each(|extent| extent.write(&mut encoded));
        if let Some(data) = request.data() {
            data.write(0, &encoded)?;
        }
        Ok(extents.all.len() as u64)
    }
}
