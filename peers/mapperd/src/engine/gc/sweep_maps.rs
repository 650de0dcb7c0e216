//! Judging what is kept in the store for maps.

use std::collections::BTreeSet;

use archipelago_store::{ObjectName, Store, StoreError};

use super::collect::{AT_ONCE, Judge, Mode};
use super::heads::Heads;
use super::unnamed::{data_in, unnamed_parts};
use crate::engine::beside::Neighbour;
use crate::engine::error::MapError;
use crate::engine::names;
use crate::engine::world::World;
use crate::map::{PAGE_BYTES, VolumeId};

/// The id that follows this in the name of a group.
fn id_after(group: &[u8], kind: &[u8]) -> Option<VolumeId> {
    let text = std::str::from_utf8(group.strip_prefix(kind)?).ok()?;
    text.parse().ok()
}

impl<W: World> Judge<'_, W> {
    pub async fn sweep_maps(
        &self,
        groups: &[Vec<u8>],
        heads: &mut Heads<W>,
    ) -> Result<(), MapError> {
        for group in groups {
            if let Some(birth) = id_after(group, b"page/") {
                self.sweep_pages(birth).await?;
            } else if let Some(birth) = id_after(group, b"log/") {
                self.sweep_segments(birth).await?;
            } else if let Some(id) = id_after(group, b"head/") {
                self.sweep_versions(id, heads).await?;
            } else if let Some(parent) = id_after(group, b"edge/") {
                self.sweep_edges(parent).await?;
            } else if let Some(of) = id_after(group, b"draft/") {
                self.sweep_drafts(of).await?;
            }
            self.rest().await?;
        }
        self.sweep_directories().await
    }

    async fn sweep_pages(&self, birth: VolumeId) -> Result<(), MapError> {
        // They come before their head (GC-5).
        if !self.nobody_makes && !self.limits.has_head(birth) {
            return Ok(());
        }
        let base = &self.mapper.base;
        let nothing = BTreeSet::new();
        let group = names::page_group(birth);
        let objects = base.list_all(&group, "list the pages").await?;
        for (count, object) in objects.iter().enumerate() {
            self.report.look();
            let Some(number) = names::number(object) else {
                continue;
            };
            if !self.limits.may_judge_page(birth, number) {
                continue;
            }
            let used = self.marks.pages.get(&(birth, number));
            self.judge_pages(object, birth, used.unwrap_or(&nothing))
                .await?;
            if count % AT_ONCE == 0 {
                self.rest().await?;
            }
        }
        Ok(())
    }

    async fn judge_pages(
        &self,
        object: &ObjectName,
        birth: VolumeId,
        used: &BTreeSet<u16>,
    ) -> Result<(), MapError> {
        let maps = self.mapper.base.maps();
        let stat = match maps.stat(object).await {
            Err(StoreError::NotFound) => return Ok(()),
            stat => stat.map_err(MapError::store("look at", object))?,
        };
        if used.is_empty() {
            return self.delete(object, stat.allocated).await;
        }
        let unnamed = unnamed_parts(used, PAGE_BYTES as u64, stat.size);
        let bytes = data_in(maps, object, &unnamed).await?;
        if bytes == 0 {
            return Ok(());
        }
        self.report.find(object, bytes);
        if self.mode == Mode::DryRun {
            return Ok(());
        }
        let scope = names::scope(birth);
        for part in unnamed {
            let (at, len) = (part.start, part.end - part.start);
            let punched = maps.punch(scope, object, at, len).await;
            punched.map_err(MapError::store("punch", object))?;
        }
        Ok(())
    }

    async fn sweep_segments(&self, birth: VolumeId) -> Result<(), MapError> {
        let base = &self.mapper.base;
        let group = names::log_group(birth);
        for object in base.list_all(&group, "list the journal").await? {
            self.report.look();
            let Some((token, number)) = names::numbers(&object) else {
                continue;
            };
            let is_named = self.marks.segments.contains(&(birth, token, number));
            if !is_named && self.limits.may_judge_segment(birth, (token, number)) {
                self.delete_map_object(&object).await?;
            }
        }
        Ok(())
    }

    /// Heads that are not in force, of what nobody opens: a volume cleans up after its own (CHECK-2).
    async fn sweep_versions(&self, id: VolumeId, heads: &Heads<W>) -> Result<(), MapError> {
        let known = heads.get(id);
        let is_still = |head: &crate::map::Head| head.flags.snapshot && !head.flags.nameless;
        match known.map(|known| &known.is) {
            Some(Neighbour::Still(view)) if is_still(&view.head) => {}
            _ => return Ok(()),
        }
        let mut versions = self.mapper.base.versions(id).await?;
        versions.pop();
        for version in versions {
            let object = names::head(id, version.token, version.number);
            self.delete_map_object(&object).await?;
        }
        Ok(())
    }

    /// What is being made, or given back, is in the trash, and its edges tell whose content is whose (GONE-4).
    async fn sweep_edges(&self, parent: VolumeId) -> Result<(), MapError> {
        let mapper = self.mapper;
        let _manage = mapper.manage.lock().await;
        let base = &mapper.base;
        let edges = base
            .list_all(&names::edge_group(parent), "list the children")
            .await?;
        let trash: BTreeSet<VolumeId> = base.trash().await?.into_iter().collect();
        if trash.contains(&parent) {
            return Ok(());
        }
        for edge in edges {
            self.report.look();
            let Some(child) = names::last_id(&edge) else {
                continue;
            };
            if trash.contains(&child) {
                continue;
            }
            let above = match mapper.open_volume(child) {
                Some(volume) => {
                    let parent = volume.parent();
                    volume.check_lock().await?; // TAKEN-1
                    parent
                }
                None => match base.load(child).await? {
                    Some(loaded) => loaded.head.parent,
                    None => None,
                },
            };
            // Somewhere else it may be on its way up from a head that goes: its edge comes first.
            let is_on_its_way = above.is_some_and(|above| trash.contains(&above));
            if above != Some(parent) && !is_on_its_way {
                self.delete_map_object(&edge).await?;
            }
        }
        Ok(())
    }

    /// Those of a volume that is there are settled when it is opened, or makes its next snapshot (DRAFT-1).
    async fn sweep_drafts(&self, of: VolumeId) -> Result<(), MapError> {
        let mapper = self.mapper;
        let _manage = mapper.manage.lock().await;
        let base = &mapper.base;
        let drafts = base
            .list_all(&names::draft_group(of), "list the drafts")
            .await?;
        let volume = match mapper.open_volume(of) {
            Some(volume) => Some(volume),
            None if base.load(of).await?.is_some() && self.mode == Mode::Collect => {
                mapper.open_id(of, false).await.ok()
            }
            None => None,
        };
        if base.load(of).await?.is_none() {
            for draft in drafts {
                self.delete_map_object(&draft).await?;
            }
        } else if let Some(volume) = volume
            && self.mode == Mode::Collect
        {
            volume.settle_drafts().await?;
        }
        Ok(())
    }

    pub(super) async fn delete_map_object(&self, object: &ObjectName) -> Result<(), MapError> {
        let bytes = match self.mapper.base.maps().stat(object).await {
            Err(StoreError::NotFound) => return Ok(()),
            stat => stat.map_err(MapError::store("look at", object))?.allocated,
        };
        self.delete(object, bytes).await
    }

    async fn delete(&self, object: &ObjectName, bytes: u64) -> Result<(), MapError> {
        self.report.find(object, bytes);
        if self.mode == Mode::DryRun {
            return Ok(());
        }
        tracing::info!(%object, bytes, "nobody names it");
        self.mapper.base.delete_quietly(object).await
    }
}
