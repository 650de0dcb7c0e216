//! Checkpoints: the journal is folded into the tree, and a new head says so.
//!
//! # Invariants
//! * **CHECK-1** The head that is in force, with its journal, says what was answered, whenever we die: the journal is ended
//!   first, the pages are durable before the head that names them, and what only the older head needs goes last.
//! * **CHECK-2** What an interrupted checkpoint left to be given back is given back by the next owner: the older
//!   head is deleted last, and lets its successor compare.
//! * **CHECK-3** Giving back can be begun again after every step: an object of pages is deleted only if nothing lies in it but
//!   the page that goes, however much of it was given back before.

use std::collections::BTreeMap;
use std::rc::Rc;

use archipelago_store::{ObjectName, Store, StoreError};

use super::volume::Volume;
use crate::engine::error::MapError;
use crate::engine::fold::{Edits, NewPages};
use crate::engine::layers::merge;
use crate::engine::names;
use crate::engine::tree::Root;
use crate::engine::view::View;
use crate::engine::world::{Base, World};
use crate::map::{
    Head, Overlay, OverlayItem, PAGE_BYTES, PageRef, Root as HeadRoot, SegmentRef, Version,
    VolumeId,
};

/// The longest piece of a page object that is written at once.
const WRITE_BYTES_MAX: usize = 1 << 20;

impl<W: World> Volume<W> {
    /// Folds the journal into the tree, if it has grown to `bytes` at least.
    pub async fn checkpoint(&self, bytes: u64) -> Result<(), MapError> {
        let _change = self.change.lock().await;
        self.check_open()?;
        if self.log.bytes() < bytes {
            return Ok(());
        }
        self.checkpoint_in_change(After::GoesOn).await
    }

    pub(super) async fn checkpoint_in_change(&self, after: After) -> Result<(), MapError> {
        // The records that are folded are durable, with their objects, before anything names them elsewhere.
        let frozen = self.freeze().await?;
        self.reclaim_in_change().await?;
        let old = self.state.borrow().layers.root;
        let level = self.shape.level_for(self.size_bytes());
        let first_number = self.state.borrow().head.next_page_number;
        let mut pages = NewPages::new(self.id, first_number);
        let edits = edits(&self.base, &frozen, old, self.shape).await?;
        let root = self.base.pages.fold(old, level, &edits, &mut pages).await?;
        let (objects, next_number) = pages.finish();
        let published = self.write_and_publish(&objects, next_number, root, after);
        let mut before = match published.await {
            Ok(before) => before,
            Err(error) => {
                self.delete_pages(&objects).await;
                return Err(error);
            }
        };
        before.segments = match after {
            After::GoesOn => self.log.forget_before(self.frozen_at.get()),
            After::Ends => {
                self.end();
                self.log.segments_and_spare()
            }
        };
        self.state.borrow_mut().layers.thaw(root);
        let cleaned = self.clean_up_after_checkpoint(&before).await;
        if after == After::GoesOn {
            return cleaned;
        }
        // The older head is still there: the next owner cleans up (CHECK-2).
        if let Err(error) = cleaned {
            tracing::warn!(volume = %self.id, %error, "an old head is left");
        }
        Ok(())
    }

    async fn write_and_publish(
        &self,
        objects: &[(u64, Vec<u8>)],
        next_page_number: u64,
        root: Root,
        after: After,
    ) -> Result<Head, MapError> {
        self.base.write_pages(self.id, objects).await?;
        if !objects.is_empty() {
            self.sync_maps().await?;
        }
        self.state.borrow_mut().head.next_page_number = next_page_number;
        let sequence = self.frozen_at.get();
        let mut segments = self.log.segments();
        segments.retain(|segment| after == After::GoesOn && segment.from.sequence >= sequence);
        self.publish(root, segments).await
    }

    /// Nobody names them, and the next try may write less to the same objects. As long as a head may name them after
    /// all, they stay: the next owner knows.
    async fn delete_pages(&self, objects: &[(u64, Vec<u8>)]) {
        if self.log.has_failed() {
            return;
        }
        for (number, _) in objects {
            let object = names::pages(self.id, *number);
            if let Err(error) = self.base.delete_quietly(&object).await {
                tracing::warn!(volume = %self.id, %error, "pages that nobody names are left");
            }
        }
    }

    async fn clean_up_after_checkpoint(&self, before: &Head) -> Result<(), MapError> {
        self.check_lock().await?; // TAKEN-1
        let parent = self.parent_view().await?;
        let now = self.in_force.borrow().clone();
        self.base.clean_up(before, &now, parent.as_deref()).await
    }

    /// Ends the journal's segment; what it said lies still from now on. If an earlier checkpoint failed after this, its
    /// frozen layer is folded first, alone.
    async fn freeze(&self) -> Result<Rc<Overlay>, MapError> {
        let left = self.state.borrow().layers.frozen.clone();
        if let Some(left) = left {
            self.flush().await?;
            return Ok(left);
        }
        let freeze = |sequence| {
            self.frozen_at.set(sequence);
            self.state.borrow_mut().layers.freeze();
        };
        self.log
            .roll(async || self.sync_objects().await, freeze)
            .await?;
        let state = self.state.borrow();
        Ok(state.layers.frozen.clone().expect("frozen just now"))
    }

    /// Publishes a head with this tree and journal. Gives the one that was in force.
    pub(super) async fn publish(
        &self,
        root: Root,
        segments: Vec<SegmentRef>,
    ) -> Result<Head, MapError> {
        let before = self.in_force.borrow().clone();
        let mut head = self.state.borrow().head.clone();
        head.version = Version {
            token: self.token,
            number: before.version.number + 1,
        };
        head.root = root.page.map(|page| HeadRoot {
            page,
            level: root.level,
        });
        head.segments = segments;
        if let Err(error) = self.base.create_head(&head).await {
            let is_full = matches!(
                error,
                MapError::Store {
                    source: StoreError::NoSpace,
                    ..
                }
            );
            if !is_full {
                // Whether it is there nobody knows: only a new look tells which head is in force.
                self.log.latch((&error).into());
            }
            return Err(error);
        }
        *self.in_force.borrow_mut() = head;
        Ok(before)
    }
}

/// What becomes of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    GoesOn,
    /// Nothing is appended any more: the head needs none.
    Ends,
}

/// What the overlay says, ready to be folded over the tree that it lies on.
async fn edits<W: World>(
    base: &Base<W>,
    overlay: &Overlay,
    root: Root,
    shape: crate::map::Shape,
) -> Result<Edits, MapError> {
    let mut edits = Edits::default();
    for item in overlay.items(0..u64::MAX) {
        match item {
            OverlayItem::Zero(range) => edits.zeros.push(range),
            OverlayItem::Block(block, map) => edits.blocks.push((block, map.clone())),
            OverlayItem::Patches(block, _) => {
                let below = base.pages.block(root, block, shape).await?;
                edits.blocks.push((block, merge(overlay, block, below)?));
            }
        }
    }
    Ok(edits)
}

impl<W: World> Base<W> {
    pub async fn create_head(&self, head: &Head) -> Result<(), MapError> {
        let object = names::head(head.id, head.version.token, head.version.number);
        let bytes = head.encode().map_err(|error| MapError::Invalid {
            what: "a head",
            why: error.to_string(),
        })?;
        let created = self.maps().create_exclusive(&object, &bytes).await;
        created.map_err(MapError::store("publish", &object))
    }

    /// Writes pages. They are not durable yet.
    pub async fn write_pages(
        &self,
        id: VolumeId,
        objects: &[(u64, Vec<u8>)],
    ) -> Result<(), MapError> {
        let scope = names::scope(id);
        for (number, bytes) in objects {
            let object = names::pages(id, *number);
            for (index, piece) in bytes.chunks(WRITE_BYTES_MAX).enumerate() {
                let offset = (index * WRITE_BYTES_MAX) as u64;
                let written = self.maps().write(scope, &object, offset, piece).await;
                written.map_err(MapError::store("write", &object))?;
            }
        }
        Ok(())
    }

    /// Gives back what `before` had and neither `after` nor the parent has: pages, journal, the head itself (CHECK-2).
    pub async fn clean_up(
        &self,
        before: &Head,
        after: &Head,
        parent: Option<&View>,
    ) -> Result<(), MapError> {
        let mut others = vec![root_of(after)];
        others.extend(parent.map(View::root));
        let pages = self.pages.only_in(root_of(before), &others).await?;
        self.free_pages(&pages).await?;
        let kept = |segment: &SegmentRef| {
            let same = |other: &SegmentRef| {
                (other.birth, other.token, other.number)
                    == (segment.birth, segment.token, segment.number)
            };
            after.segments.iter().any(same)
                || parent.is_some_and(|parent| parent.head.segments.iter().any(same))
        };
        for segment in before.segments.iter().filter(|segment| !kept(segment)) {
            self.delete_quietly(&names::log(segment.birth, segment.token, segment.number))
                .await?;
        }
        if before.version != after.version {
            let Version { token, number } = before.version;
            self.delete_quietly(&names::head(before.id, token, number))
                .await?;
        }
        Ok(())
    }

    /// Punches the pages out of their objects, in their order; deletes those of which nothing is left.
    pub async fn free_pages(&self, pages: &[PageRef]) -> Result<(), MapError> {
        let mut left: BTreeMap<ObjectName, u64> = BTreeMap::new();
        for page in pages {
            *left
                .entry(names::pages(page.birth, page.number))
                .or_default() += 1;
        }
        for page in pages {
            let object = names::pages(page.birth, page.number);
            let is_last = left.get_mut(&object).is_none_or(|left| {
                *left -= 1;
                *left == 0
            });
            if is_last && self.is_alone(page, &object).await? {
                self.delete_quietly(&object).await?;
            } else {
                self.punch_page(page, &object).await?;
            }
            self.pages.forget(page);
        }
        Ok(())
    }

    /// Is there nothing else in the page's object? The page itself may be gone already: whoever was cut off here comes once
    /// more, and what is left then may be in use (CHECK-3).
    async fn is_alone(&self, page: &PageRef, object: &ObjectName) -> Result<bool, MapError> {
        let start = u64::from(page.index) * PAGE_BYTES as u64;
        for others in [0..start, start + PAGE_BYTES as u64..u64::MAX] {
            match self.maps().data_in(object, others).await {
                Ok(0) => {}
                Ok(_) => return Ok(false),
                Err(StoreError::NotFound) => return Ok(true),
                Err(error) => return Err(MapError::store("look at", object)(error)),
            }
        }
        Ok(true)
    }

    async fn punch_page(&self, page: &PageRef, object: &ObjectName) -> Result<(), MapError> {
        let offset = u64::from(page.index) * PAGE_BYTES as u64;
        let scope = names::scope(page.birth);
        let punched = self.maps().punch(scope, object, offset, PAGE_BYTES as u64);
        match punched.await {
            Ok(()) | Err(StoreError::NotFound) => Ok(()),
            Err(error) => Err(MapError::store("punch", object)(error)),
        }
    }

    /// Deletes what may be gone already.
    pub async fn delete_quietly(&self, object: &ObjectName) -> Result<(), MapError> {
        match self.maps().delete(object).await {
            Ok(()) | Err(StoreError::NotFound) => Ok(()),
            Err(error) => Err(MapError::store("delete", object)(error)),
        }
    }
}

pub fn root_of(head: &Head) -> Root {
    match head.root {
        Some(root) => Root {
            page: Some(root.page),
            level: root.level,
        },
        None => Root {
            page: None,
            level: head.shape.level_for(head.size_bytes),
        },
    }
}
