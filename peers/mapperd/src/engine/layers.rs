//! What a map says: what was changed lately, over what is being folded, over the tree.

use std::rc::Rc;

use archipelago_store::Store;

use super::error::MapError;
use super::pages::Pages;
use super::tree::Root;
use crate::map::{BlockMap, Overlay, OverlayAnswer, Shape};

/// The layers of a map.
#[derive(Clone, Debug)]
pub struct Layers {
    pub shape: Shape,
    pub live: Overlay,
    /// What a checkpoint is folding into the tree.
    pub frozen: Option<Rc<Overlay>>,
    pub root: Root,
    /// Changes whenever a layer moves below another: what was read of the lower ones before is void.
    pub moves: u64,
}

impl Layers {
    pub fn new(shape: Shape, root: Root, live: Overlay) -> Self {
        Self {
            shape,
            live,
            frozen: None,
            root,
            moves: 0,
        }
    }

    /// The answer, if no page is needed for it.
    pub fn known(&self, block: u64) -> Option<BlockMap> {
        match self.live.lookup(block) {
            OverlayAnswer::Known(map) => Some(map.clone()),
            _ => None,
        }
    }

    /// The live layer becomes the frozen one.
    pub fn freeze(&mut self) -> Rc<Overlay> {
        let live = std::mem::replace(&mut self.live, Overlay::new(self.shape));
        let frozen = Rc::new(live);
        self.frozen = Some(frozen.clone());
        self.moves += 1;
        frozen
    }

    /// The frozen layer has become part of the tree.
    pub fn thaw(&mut self, root: Root) {
        self.frozen = None;
        self.root = root;
        self.moves += 1;
    }

    /// What is under the live layer.
    pub fn lower(&self) -> Lower {
        Lower {
            shape: self.shape,
            frozen: self.frozen.clone(),
            root: self.root,
            moves: self.moves,
        }
    }
}

/// The layers that lie still while pages are read.
#[derive(Clone, Debug)]
pub struct Lower {
    shape: Shape,
    frozen: Option<Rc<Overlay>>,
    pub root: Root,
    pub moves: u64,
}

impl Lower {
    pub async fn block<S: Store>(
        &self,
        pages: &Pages<S>,
        block: u64,
    ) -> Result<BlockMap, MapError> {
        let frozen = match &self.frozen {
            None => return pages.block(self.root, block, self.shape).await,
            Some(frozen) => frozen,
        };
        if let OverlayAnswer::Known(map) = frozen.lookup(block) {
            return Ok(map.clone());
        }
        let base = pages.block(self.root, block, self.shape).await?;
        merge(frozen, block, base)
    }
}

/// What a block becomes by what the overlay says.
pub fn merge(overlay: &Overlay, block: u64, below: BlockMap) -> Result<BlockMap, MapError> {
    overlay
        .merge(block, below)
        .map_err(|error| MapError::Invalid {
            what: "the map of a block",
            why: format!("block {block}: {error}"),
        })
}
