//! The last of what was removed: its journal, its edges, its heads (GONE-2).

use archipelago_store::{Store, StoreError};

use super::beside::Beside;
use super::error::MapError;
use super::names;
use super::view::View;
use super::volume::SEGMENTS_A_HEAD_BITS;
use super::world::{Base, World};
use crate::map::{Head, HeadFlags, SegmentRef, Version, VolumeId};

impl Head {
    /// It names nothing: all that it had was given back.
    pub fn is_hollow(&self) -> bool {
        self.root.is_none() && self.segments.is_empty()
    }
}

impl<W: World> Base<W> {
    /// The last traces of a head of which nothing else is left (GONE-2). Its lock is held. Without `beside` nobody knows who else
    /// has its journal: that stays.
    pub async fn delete_head(
        &self,
        gone: &View,
        older: &[Version],
        beside: Option<&Beside<W>>,
        token: u64,
    ) -> Result<(), MapError> {
        let id = gone.head.id;
        let mut segments = self.journal_of(&gone.head).await?;
        for version in older {
            if let Some(head) = self.older_head(id, *version).await? {
                segments.extend(self.journal_of(&head).await?);
            }
        }
        if !gone.head.is_hollow() {
            self.sync_maps(id).await?;
            self.create_head(&hollow(&gone.head, token)).await?;
        }
        segments.retain(|segment| beside.is_some_and(|beside| !beside.has_segment(segment)));
        for segment in segments {
            self.delete_quietly(&names::log(segment.birth, segment.token, segment.number))
                .await?;
        }
        // The head in force goes last: it tells a second try where to look.
        let mut versions = self.versions(id).await?;
        let last = versions.pop();
        for older in versions {
            self.delete_quietly(&names::head(id, older.token, older.number))
                .await?;
        }
        // As long as a head names a journal, edges tell whose it is as well.
        self.sync_maps(id).await?;
        if let Some(parent) = gone.head.parent {
            self.delete_quietly(&names::edge(parent, id)).await?;
        }
        self.delete_edges(id).await?;
        self.sync_maps(id).await?;
        if let Some(last) = last {
            self.delete_quietly(&names::head(id, last.token, last.number))
                .await?;
        }
        self.forget_lock(id).await?;
        // What comes back after power loss is found again as long as it is listed.
        self.sync_maps(id).await?;
        self.delete_quietly(&names::trash(id)).await
    }

    /// `None`: it is gone, or damaged.
    async fn older_head(&self, id: VolumeId, version: Version) -> Result<Option<Head>, MapError> {
        let object = names::head(id, version.token, version.number);
        match self.read_whole(&object, "read").await {
            Ok(bytes) => Ok(Head::decode(&bytes).ok().map(|head| head.value)),
            Err(MapError::Store {
                source: StoreError::NotFound,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All segments that a head names, and those that came after them: what was begun since, and the spare.
    async fn journal_of(&self, head: &Head) -> Result<Vec<SegmentRef>, MapError> {
        let mut segments = head.segments.clone();
        let Some(last) = segments
            .last()
            .copied()
            .filter(|last| last.birth == head.id)
        else {
            return Ok(segments);
        };
        let group = names::log_group(head.id);
        for object in self.list_all(&group, "list the journal").await? {
            if let Some((token, number)) = names::numbers(&object)
                && token == last.token
                && number > last.number
                && number >> SEGMENTS_A_HEAD_BITS == last.number >> SEGMENTS_A_HEAD_BITS
            {
                segments.push(SegmentRef { number, ..last });
            }
        }
        Ok(segments)
    }

    /// Nothing is left of the lock of an id that is never used again.
    pub async fn forget_lock(&self, id: VolumeId) -> Result<(), MapError> {
        self.let_go(id).await?;
        let object = names::lock(id);
        let forgotten = self.maps().forget_lock(&object, self.world.owner()).await;
        forgotten.map_err(MapError::store("forget", &object))
    }
}

/// A head of which all was given back: it names nothing.
fn hollow(gone: &Head, token: u64) -> Head {
    Head {
        version: Version {
            token: token.max(gone.version.token),
            number: gone.version.number + 1,
        },
        root: None,
        segments: Vec::new(),
        flags: HeadFlags {
            nameless: true,
            ..gone.flags
        },
        ..gone.clone()
    }
}
