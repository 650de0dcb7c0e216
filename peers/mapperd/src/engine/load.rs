//! Reading a head and its journal.
//!
//! # Invariants
//! * **LOAD-1** The highest head wins; one that cannot be read is an error, never a reason to take an older one (M6).
//! * **LOAD-2** While somebody else may publish, a head that vanished while it was read makes us look again (L2).
//! * **LOAD-3** Whoever gives back what is on its way out may meet a snapshot of which a segment is gone already (GONE-7). To all
//!   others it is damaged.

use archipelago_store::{ObjectName, Store, StoreError};

use super::error::MapError;
use super::log::SEGMENT_BYTES;
use super::names;
use super::tree::Root;
use super::world::{Base, World};
use crate::map::journal::{Position, Record, Replayed};
use crate::map::{Head, Overlay, SegmentRef, Version, VolumeId};

/// How often a head is looked for again while others publish.
const LOOKS_MAX: usize = 16;

/// A head with what its journal says.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// As the journal leaves it: size, floor, parent and name are those of now. `segments` are all that were replayed.
    pub head: Head,
    /// Its own version, and older heads that lie about.
    pub older: Vec<Version>,
    pub overlay: Overlay,
    /// Where the journal ends, if it is open.
    pub end: Option<Position>,
    /// Above the sequence number of each record that was replayed.
    pub next_sequence: u64,
    /// What the volume's own journal says since its last snapshot, or since it was cloned.
    pub records: Vec<Record>,
    /// What the overlay said before those.
    pub inherited: Overlay,
    /// The first segment of a snapshot's journal that is not there: `overlay` does not tell what it said (LOAD-3).
    pub missing: Option<ObjectName>,
}

impl Loaded {
    /// All of its journal is there.
    pub fn check_whole(&self) -> Result<(), MapError> {
        match &self.missing {
            None => Ok(()),
            Some(object) => Err(MapError::store("read", object)(StoreError::NotFound)),
        }
    }

    pub fn root(&self) -> Root {
        match self.head.root {
            Some(root) => Root {
                page: Some(root.page),
                level: root.level,
            },
            None => Root {
                page: None,
                level: self.head.shape.level_for(self.head.size_bytes),
            },
        }
    }
}

impl<W: World> Base<W> {
    /// The versions of a volume's heads, the highest last.
    pub async fn versions(&self, id: VolumeId) -> Result<Vec<Version>, MapError> {
        let group = names::head_group(id);
        let listing = self.list_all(&group, "list the heads").await?;
        let mut versions: Vec<Version> = listing
            .iter()
            .filter_map(names::numbers)
            .map(|(token, number)| Version { token, number })
            .collect();
        versions.sort_unstable();
        Ok(versions)
    }

    /// All names of a group of the store for maps.
    pub async fn list_all(
        &self,
        group: &[u8],
        action: &'static str,
    ) -> Result<Vec<ObjectName>, MapError> {
        self.list_in(self.maps(), group, action).await
    }

    /// All names of a group.
    pub async fn list_in(
        &self,
        store: &W::Store,
        group: &[u8],
        action: &'static str,
    ) -> Result<Vec<ObjectName>, MapError> {
        let mut names = Vec::new();
        loop {
            let listing = store.list(group, names.last(), 1024).await;
            let listing = listing.map_err(|source| MapError::Store {
                action,
                object: group.escape_ascii().to_string(),
                source,
            })?;
            names.extend(listing.names);
            if !listing.more {
                return Ok(names);
            }
        }
    }

    /// The head in force, and what its journal says. `None`: there is no such volume.
    pub async fn load(&self, id: VolumeId) -> Result<Option<Loaded>, MapError> {
        let loaded = self.load_left(id).await?;
        if let Some(loaded) = &loaded {
            loaded.check_whole()?;
        }
        Ok(loaded)
    }

    /// The same of what may be on its way out (LOAD-3).
    pub async fn load_left(&self, id: VolumeId) -> Result<Option<Loaded>, MapError> {
        let mut last_damage = None;
        for look in 1.. {
            let mut versions = self.versions(id).await?;
            let Some(version) = versions.pop() else {
                return Ok(None);
            };
            let loaded = match self.load_version(id, version).await {
                Ok(loaded) if look < LOOKS_MAX && loaded.missing.is_some() => {
                    let is_in_force = self.versions(id).await?.last() == Some(&version);
                    if !is_in_force {
                        continue;
                    }
                    Ok(loaded)
                }
                loaded => loaded,
            };
            match loaded {
                Ok(mut loaded) => {
                    loaded.older = versions;
                    return Ok(Some(loaded));
                }
                // LOAD-2: a newer one may have taken its place, and its journal with it.
                Err(error) if look < LOOKS_MAX => {
                    // A journal that somebody writes meanwhile is not read at one moment: what is damaged is so twice.
                    let may_be_moving = error.is_damage() && last_damage.as_ref() != Some(&error);
                    if !may_be_moving && self.versions(id).await?.last() == Some(&version) {
                        return Err(error);
                    }
                    last_damage = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        unreachable!("the loop returns")
    }

    async fn load_version(&self, id: VolumeId, version: Version) -> Result<Loaded, MapError> {
        let object = names::head(id, version.token, version.number);
        let bytes = self.read_whole(&object, "read").await?;
        let corrupt = |why: String| MapError::Corrupt {
            object: object.clone(),
            why,
        };
        let head = Head::decode(&bytes)
            .map_err(|error| corrupt(error.to_string()))?
            .value;
        if (head.id, head.version) != (id, version) {
            return Err(corrupt(format!(
                "it says that it is head {:?} of {}",
                head.version, head.id
            )));
        }
        let mut loaded = Loaded {
            overlay: Overlay::new(head.shape),
            older: Vec::new(),
            end: None,
            records: Vec::new(),
            next_sequence: 1,
            inherited: Overlay::new(head.shape),
            missing: None,
            head,
        };
        self.replay(&mut loaded).await?;
        Ok(loaded)
    }

    pub async fn read_whole(
        &self,
        object: &ObjectName,
        action: &'static str,
    ) -> Result<Vec<u8>, MapError> {
        let stat = self.maps().stat(object).await;
        let size = stat.map_err(MapError::store(action, object))?.size;
        let mut bytes = vec![0; usize::try_from(size.min(1 << 24)).expect("at most 16 MiB")];
        let read = self.maps().read(object, 0, &mut bytes).await;
        let read = read.map_err(MapError::store(action, object))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    async fn replay(&self, loaded: &mut Loaded) -> Result<(), MapError> {
        let mut segments = std::mem::take(&mut loaded.head.segments);
        for segment in &segments {
            let replayed = match self.replay_segment(segment).await {
                Err(MapError::Store {
                    source: StoreError::NotFound,
                    ..
                }) if loaded.head.flags.snapshot => {
                    let missing = names::log(segment.birth, segment.token, segment.number);
                    loaded.missing = Some(missing);
                    break;
                }
                replayed => replayed?,
            };
            loaded.end = segment.to_offset.is_none().then_some(replayed.end);
            loaded.next_sequence = loaded.next_sequence.max(replayed.end.sequence);
            loaded.take(segment.birth, replayed.records)?;
        }
        if loaded.missing.is_some() {
            loaded.end = None;
        }
        // A segment that was ended after the head was published is followed by the next one (WAL-5).
        while let (Some(end), Some(last)) = (loaded.end, segments.last().copied()) {
            let start = Position::start_of(last.birth, last.token, last.number + 1, end.sequence);
            let next = SegmentRef {
                number: last.number + 1,
                from: start,
                to_offset: None,
                ..last
            };
            let bytes = match self.read_segment(&next).await {
                Err(MapError::Store {
                    source: StoreError::NotFound,
                    ..
                }) => break,
                other => other?,
            };
            let replayed = self.replayed(&next, &bytes)?;
            if replayed.records.is_empty() {
                check_end(&last, end, &next, &bytes)?;
                break;
            }
            if let Some(open) = segments.last_mut() {
                open.to_offset = Some(end.offset);
            }
            segments.push(next);
            loaded.end = Some(replayed.end);
            loaded.next_sequence = replayed.end.sequence;
            loaded.take(next.birth, replayed.records)?;
        }
        loaded.head.segments = segments;
        Ok(())
    }

    async fn replay_segment(&self, segment: &SegmentRef) -> Result<Replayed, MapError> {
        let bytes = self.read_segment(segment).await?;
        self.replayed(segment, &bytes)
    }

    async fn read_segment(&self, segment: &SegmentRef) -> Result<Vec<u8>, MapError> {
        let object = names::log(segment.birth, segment.token, segment.number);
        let to = segment.to_offset.unwrap_or(SEGMENT_BYTES);
        let length = to.saturating_sub(segment.from.offset).min(SEGMENT_BYTES);
        let mut bytes = vec![0; usize::try_from(length).expect("at most a segment")];
        let read = self
            .maps()
            .read(&object, segment.from.offset, &mut bytes)
            .await;
        bytes.truncate(read.map_err(MapError::store("read", &object))?);
        Ok(bytes)
    }

    fn replayed(&self, segment: &SegmentRef, bytes: &[u8]) -> Result<Replayed, MapError> {
        let replayed = match segment.to_offset {
            Some(_) => Replayed::over_closed(bytes, segment.from),
            None => Replayed::over(bytes, segment.from, self.world.boot()),
        };
        replayed.map_err(|error| MapError::Corrupt {
            object: names::log(segment.birth, segment.token, segment.number),
            why: error.to_string(),
        })
    }
}

/// LOG-5: `last` ends at `end`, and these are the bytes of the segment after it.
fn check_end(
    last: &SegmentRef,
    end: Position,
    next: &SegmentRef,
    bytes: &[u8],
) -> Result<(), MapError> {
    let start = |sequence| Position::start_of(next.birth, next.token, next.number, sequence);
    if !Replayed::is_begun(bytes, start) {
        return Ok(());
    }
    Err(MapError::Corrupt {
        object: names::log(last.birth, last.token, last.number),
        why: format!(
            "no whole record is at offset {}, and the next segment was begun; restore the segment",
            end.offset
        ),
    })
}

impl Loaded {
    /// What another volume's journal says of that volume itself, beyond its blocks, is in our head already.
    fn take(&mut self, birth: VolumeId, records: Vec<Record>) -> Result<(), MapError> {
        for record in records {
            self.overlay
                .apply(&record)
                .map_err(|error| MapError::Corrupt {
                    object: names::head(
                        self.head.id,
                        self.head.version.token,
                        self.head.version.number,
                    ),
                    why: format!("its journal: {error}"),
                })?;
            if birth == self.head.id {
                apply_to_head(&mut self.head, &record);
            }
            if matches!(record, Record::Snapshot { .. }) {
                self.inherit();
            } else {
                self.records.push(record);
            }
        }
        if birth != self.head.id {
            self.inherit();
        }
        Ok(())
    }

    /// All till now belongs to the parent as well.
    fn inherit(&mut self) {
        self.inherited = self.overlay.clone();
        self.records.clear();
    }
}

/// What a record changes beyond the blocks.
pub fn apply_to_head(head: &mut Head, record: &Record) {
    match record {
        Record::Snapshot { child, floor } => {
            head.parent = Some(*child);
            head.floor = *floor;
        }
        Record::Parent { parent } => head.parent = *parent,
        Record::Floor { floor } => head.floor = *floor,
        Record::Ceiling { ceiling } => head.ceiling = *ceiling,
        Record::Size { bytes } => head.size_bytes = *bytes,
        Record::Name { name } => head.name.clone_from(name),
        Record::Flags(flags) => head.flags = *flags,
        _ => {}
    }
}
