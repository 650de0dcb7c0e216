//! What lies beside a head that goes: what of it they have, too, stays.

use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

use super::error::MapError;
use super::tree::Root;
use super::view::View;
use super::volume::{Volume, changed_blocks};
use super::world::{Base, World};
use crate::map::{BlockMap, Overlay, OverlayItem, SegmentRef, Shape, VolumeId};

/// A head beside the one that goes.
#[derive(Debug)]
pub enum Neighbour<W: World> {
    Still(Rc<View>),
    Open(Rc<Volume<W>>),
}

impl<W: World> Neighbour<W> {
    pub fn root(&self) -> Root {
        match self {
            Self::Still(view) => view.root(),
            Self::Open(volume) => volume.with_state(|state| state.layers.root),
        }
    }

    pub fn shape(&self) -> Shape {
        match self {
            Self::Still(view) => view.head.shape,
            Self::Open(volume) => volume.shape,
        }
    }

    pub fn segments(&self) -> Vec<SegmentRef> {
        match self {
            Self::Still(view) => view.head.segments.clone(),
            Self::Open(volume) => volume.journal_segments(),
        }
    }

    pub async fn block(&self, base: &Base<W>, block: u64) -> Result<BlockMap, MapError> {
        match self {
            Self::Still(view) => view.block(base, block).await,
            Self::Open(volume) => volume.block(block).await,
        }
    }

    /// Blocks and ranges of which it says something else than its tree.
    pub fn changes(&self) -> (BTreeSet<u64>, Vec<Range<u64>>) {
        let mut blocks = BTreeSet::new();
        let mut zeros = Vec::new();
        let mut take = |overlay: &Overlay| {
            changed_blocks(overlay, 0..u64::MAX, &mut blocks);
            zeros.extend(overlay.items(0..u64::MAX).filter_map(|item| match item {
                OverlayItem::Zero(range) => Some(range),
                _ => None,
            }));
        };
        match self {
            Self::Still(view) => take(view.overlay()),
            Self::Open(volume) => volume.with_state(|state| {
                take(&state.layers.live);
                if let Some(frozen) = &state.layers.frozen {
                    take(frozen);
                }
            }),
        }
        (blocks, zeros)
    }
}

/// What lies beside a head that goes.
#[derive(Debug)]
pub struct Beside<W: World> {
    /// What it hangs from.
    pub parent: Option<Neighbour<W>>,
    /// The only one that hangs from it.
    pub child: Option<Neighbour<W>>,
    /// Those to whom an edge goes, and who hang from another head.
    pub strays: Vec<Stray>,
}

/// Whom an edge goes to, though it hangs from another head by now, or as yet.
#[derive(Clone, Debug)]
pub struct Stray {
    pub id: VolumeId,
    pub segments: Vec<SegmentRef>,
}

/// To whom edges go.
#[derive(Debug, Default)]
pub struct Kin {
    /// They hang from the head.
    pub children: Vec<VolumeId>,
    pub strays: Vec<Stray>,
    /// An edge goes to a head that is gone, or not there yet.
    pub has_lost: bool,
}

impl<W: World> Beside<W> {
    pub fn all(&self) -> impl Iterator<Item = &Neighbour<W>> {
        self.parent.iter().chain(&self.child)
    }

    pub fn has_segment(&self, segment: &SegmentRef) -> bool {
        let same = |other: &SegmentRef| {
            (other.birth, other.token, other.number)
                == (segment.birth, segment.token, segment.number)
        };
        self.all()
            .map(Neighbour::segments)
            .chain(self.strays.iter().map(|stray| stray.segments.clone()))
            .any(|segments| segments.iter().any(same))
    }

    pub fn roots(&self) -> Vec<Root> {
        self.all().map(Neighbour::root).collect()
    }
}
