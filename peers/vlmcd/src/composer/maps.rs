//! What blocks are made of: from the cache, or from the mapper.

use std::ops::Range;
use std::rc::Rc;

use super::core::Composer;
use super::volume::{IoGuard, Volume};
use crate::error::ComposeError;
use crate::pure::BlockMap;

/// How often the mapper is asked about blocks that are recalled again and again.
const TRIES_MAX: u32 = 100;

impl Composer {
    /// The maps of these blocks as they are now, and the right to begin I/O by them (COMPOSE-2).
    pub async fn maps<'a>(
        &self,
        volume: &'a Volume,
        blocks: Range<u64>,
    ) -> Result<(Vec<Rc<BlockMap>>, IoGuard<'a>), ComposeError> {
        for tries in 0..TRIES_MAX {
            let cached: Vec<Option<Rc<BlockMap>>> =
                blocks.clone().map(|block| volume.cached(block)).collect();
            let maps = if cached.iter().all(Option::is_some) {
                Some(cached.into_iter().flatten().collect())
            } else {
                self.fill_in(volume, &blocks, cached).await?
            };
            if let Some(maps) = maps {
                return Ok((maps, volume.begin_io()));
            }
            self.pause(tries).await;
        }
        Err(ComposeError::NotAttached) // what we believe about epochs is wrong: begin anew
    }

    pub async fn map<'a>(
        &self,
        volume: &'a Volume,
        block: u64,
    ) -> Result<(Rc<BlockMap>, IoGuard<'a>), ComposeError> {
        if let Some(map) = volume.cached(block) {
            return Ok((map, volume.begin_io()));
        }
        let (mut maps, guard) = self.maps(volume, block..block + 1).await?;
        let map = maps.pop().ok_or(ComposeError::Moved)?;
        Ok((map, guard))
    }

    /// Asks for all that is missing at once. `None`: something was recalled meanwhile, and what there is may be old.
    async fn fill_in(
        &self,
        volume: &Volume,
        blocks: &Range<u64>,
        mut maps: Vec<Option<Rc<BlockMap>>>,
    ) -> Result<Option<Vec<Rc<BlockMap>>>, ComposeError> {
        let question = volume.ask(blocks.clone());
        let first = maps.iter().position(Option::is_none).unwrap_or(0);
        let last = maps.iter().rposition(Option::is_none).unwrap_or(0);
        let mut next = first;
        while next <= last {
            let from = blocks.start + next as u64;
            let to = blocks.start + last as u64 + 1;
            let (head, mut told) = self.ask_maps(volume, from..to).await?;
            if !volume.take_in(&question, &head, from, &mut told) {
                return Ok(None);
            }
            for (place, map) in maps[next..].iter_mut().zip(&told) {
                *place = Some(map.clone());
            }
            next += told.len();
        }
        let mut maps: Vec<_> = maps.into_iter().flatten().collect();
        volume.put_commits(&question, blocks.start, &mut maps);
        Ok(Some(maps))
    }
}
