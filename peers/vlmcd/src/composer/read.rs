//! READ: each piece straight from its object into its place in the request.
//!
//! # Invariants
//! * **READ-1** Zeros are read only where the map says zero. An object that the map names and that is missing or short is
//!   an error, unless the map is another by now (F28, F37).

use std::ops::Range;
use std::rc::Rc;

use xseg::Incoming;

use super::core::Composer;
use super::objects::ObjectRange;
use super::read_window::{ReadFailure, ReadWindow};
use super::volume::Volume;
use crate::error::ComposeError;
use crate::pure::{BlockMap, Source, pieces};

/// Blocks whose maps are looked at together.
const BLOCKS_MAX: u64 = 64;
/// How often a map is believed that changes whenever we look.
const TRIES_MAX: u32 = 16;

impl Composer {
    pub async fn read(&self, volume: &Volume, request: &Incoming) -> Result<u64, ComposeError> {
        let bytes = self.range_of(volume, request)?;
        let length = bytes.end - bytes.start;
        let room = request.data().map_or(0, |data| data.len());
        if room < length {
            return Err(ComposeError::NoRoom { length, room });
        }
        let blocks = volume.shape.blocks(&bytes);
        let mut next = blocks.start;
        while next < blocks.end {
            let end = blocks.end.min(next + BLOCKS_MAX);
            self.read_blocks(volume, request, &bytes, next..end).await?;
            next = end;
        }
        Ok(length)
    }

    async fn read_blocks(
        &self,
        volume: &Volume,
        request: &Incoming,
        bytes: &Range<u64>,
        blocks: Range<u64>,
    ) -> Result<(), ComposeError> {
        let mut suspect: Option<(u64, Source)> = None;
        for tries in 0..TRIES_MAX {
            self.begin_anew(volume, request, bytes, &blocks);
            let (maps, guard) = self.maps(volume, blocks.clone()).await?;
            let read = read_maps(self, volume, request, (bytes, blocks.start), &maps).await;
            drop(guard);
            let ReadFailure { error, range } = match read {
                Ok(()) if self.is_still_so(volume, bytes, blocks.start, &maps).await? => {
                    return Ok(());
                }
                Ok(()) => {
                    self.pause(tries).await;
                    continue;
                }
                Err(failure) => failure,
            };
            let (ComposeError::Damaged { object, why }, Some(range)) = (&error, range) else {
                return Err(error);
            };
            let found = (range.block, range.source);
            if suspect == Some(found) {
                tracing::error!(object, why, "what the map names is damaged"); // READ-1
                return Err(error);
            }
            suspect = Some(found);
            volume.forget(range.block);
        }
        Err(ComposeError::Moved)
    }
}

impl Composer {
    /// What is read now is in the buffer, but where the blocker says that it is in what is lent (LOAN-1).
    fn begin_anew(
        &self,
        volume: &Volume,
        request: &Incoming,
        bytes: &Range<u64>,
        blocks: &Range<u64>,
    ) {
        let first = bytes.start.max(volume.shape.block_at(blocks.start));
        let end = bytes.end.min(volume.shape.block_at(blocks.end));
        if let Some(lent) = self.lent(request, first - bytes.start, end - first) {
            lent.begin_anew();
        }
    }

    /// Without the lock: does the map say the same now that all was read? If not, what was read may have been given back
    /// meanwhile, and others may have written there (COMPOSE-3).
    async fn is_still_so(
        &self,
        volume: &Volume,
        bytes: &Range<u64>,
        first_block: u64,
        maps: &[Rc<BlockMap>],
    ) -> Result<bool, ComposeError> {
        if !volume.is_foreign() {
            return Ok(true);
        }
        let blocks = first_block..first_block + maps.len() as u64;
        let (now, guard) = self.maps(volume, blocks.clone()).await?;
        drop(guard);
        let shape = volume.shape;
        Ok(blocks
            .zip(maps.iter().zip(&now))
            .all(|(block, (then, now))| {
                let in_block = shape.in_block(block, bytes);
                pieces(shape, then, in_block.clone()).eq(pieces(shape, now, in_block))
            }))
    }
}

/// Reads what these maps say of the range.
async fn read_maps(
    composer: &Composer,
    volume: &Volume,
    request: &Incoming,
    (bytes, first_block): (&Range<u64>, u64),
    maps: &[Rc<BlockMap>],
) -> Result<(), ReadFailure> {
    let shape = volume.shape;
    let mut window = ReadWindow::new(composer, volume, request);
    for (block, map) in (first_block..).zip(maps) {
        for piece in pieces(shape, map, shape.in_block(block, bytes)) {
            if window.has_failed() {
                break;
            }
            let from = shape.block_at(block) + piece.bytes.start - bytes.start;
            match piece.source {
                None => window.note(fill_with_zeros(request, from, &piece.bytes)),
                Some(source) => {
                    let range = ObjectRange {
                        source,
                        block,
                        bytes: piece.bytes,
                    };
                    window.begin(range, from).await;
                }
            }
        }
    }
    window.end().await
}

fn fill_with_zeros(request: &Incoming, from: u64, bytes: &Range<u64>) -> Result<(), ComposeError> {
    if let Some(data) = request.data() {
        data.part(from, bytes.end - bytes.start)?.fill(0);
    }
    Ok(())
}
