//! Which blocks an overlay speaks of.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::map::{Overlay, OverlayItem};

/// Adds the blocks in the range that the overlay says more of than that they are zero.
pub fn changed_blocks(overlay: &Overlay, range: Range<u64>, to: &mut BTreeSet<u64>) {
    to.extend(overlay.items(range).filter_map(|item| match item {
        OverlayItem::Block(block, _) | OverlayItem::Patches(block, _) => Some(block),
        OverlayItem::Zero(_) => None,
    }));
}
