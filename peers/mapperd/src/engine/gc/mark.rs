//! What heads name: pages, journal segments, content. Data objects are looked up, one after the other.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::heads::Known;
use crate::engine::beside::Neighbour;
use crate::engine::error::MapError;
use crate::engine::mapper::Mapper;
use crate::engine::tree::Root;
use crate::engine::world::World;
use crate::map::{BlockMap, ContentId, SegmentRef, Source, VolumeId};

/// How often a tree is walked anew that changes while it is walked.
const TRIES_MAX: u32 = 8;

/// What was found to be named.
#[derive(Debug, Default)]
pub struct Marks {
    /// By birth and number of the page object.
    pub pages: HashMap<(VolumeId, u64), BTreeSet<u16>>,
    /// By birth, token and number.
    pub segments: HashSet<(VolumeId, u64, u64)>,
    pub contents: HashSet<ContentId>,
}

impl<W: World> Mapper<W> {
    /// Marks what a head names.
    pub(super) async fn mark(
        &self,
        id: VolumeId,
        known: &Rc<Known<W>>,
        marks: &mut Marks,
    ) -> Result<(), MapError> {
        let segments: Vec<SegmentRef> = known.is.segments();
        let names = segments
            .iter()
            .map(|one| (one.birth, one.token, one.number));
        marks.segments.extend(names);
        for _ in 0..TRIES_MAX {
            let root = known.is.root();
            match self.mark_tree(root, known, marks).await {
                // A checkpoint that ended meanwhile gave pages of the old tree back (GC-4).
                Err(MapError::Missing { .. } | MapError::Corrupt { .. })
                    if known.is.root() != root => {}
                marked => return marked,
            }
        }
        Err(MapError::Busy {
            name: id.to_string(),
            by: "its map changes whenever it is read".into(),
        })
    }

    async fn mark_tree(
        &self,
        root: Root,
        known: &Known<W>,
        marks: &mut Marks,
    ) -> Result<(), MapError> {
        let pages = if known.is_nameless {
            // What is given back already is nobody's.
            self.base.pages.only_in(root, &[]).await?
        } else {
            self.base.pages.all(root).await?
        };
        for page in pages {
            let object = marks.pages.entry((page.birth, page.number)).or_default();
            object.insert(page.index);
        }
        if known.has_content {
            self.mark_contents(known, marks).await?;
        }
        Ok(())
    }

    async fn mark_contents(&self, known: &Known<W>, marks: &mut Marks) -> Result<(), MapError> {
        let blocks = match &known.is {
            Neighbour::Open(volume) => volume.mapped_in(0..u64::MAX).await?,
            Neighbour::Still(view) if known.is_nameless => {
                view.mapped_blocks_left(&self.base).await?
            }
            Neighbour::Still(view) => view.mapped_blocks(&self.base).await?,
        };
        for block in blocks {
            let map = self.block_of(known, block).await?;
            let contents = map.sources().iter().filter_map(|source| match source {
                Source::Content(content) => Some(*content),
                Source::Born { .. } => None,
            });
            marks.contents.extend(contents);
        }
        Ok(())
    }

    /// What a head says of a block.
    pub(super) async fn block_of(
        &self,
        known: &Known<W>,
        block: u64,
    ) -> Result<BlockMap, MapError> {
        match known.is.block(&self.base, block).await {
            Err(MapError::Missing { .. } | MapError::Corrupt { .. }) if known.is_nameless => {
                Ok(BlockMap::Zero)
            }
            told => told,
        }
    }
}
