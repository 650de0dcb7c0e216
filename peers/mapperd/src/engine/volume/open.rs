//! Opening a volume: the lock, the head, the journal, and what an interrupted owner left.
//!
//! # Invariants
//! * **OWNER-1** Nothing is read before the lock is held, and nothing is written to a file that an older token could
//!   write (L3): a new token begins a new segment, under a new head.
//! * **OWNER-2** No stamp up to the ceiling is given out again (M2).
//! * **OWNER-3** A lock that was ours before is given back by a close alone, never because an open failed: only a close tells
//!   the composers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use archipelago_runtime::local::{Mutex, Notify};
use archipelago_store::{LockRecord, ObjectName, OwnerLife, Store, StoreError};

use super::changed::changed_blocks;
use super::granting::first_stamp;
use super::state::{Displaced, State};
use super::volume::{Life, Volume};
use crate::engine::error::MapError;
use crate::engine::layers::{Layers, merge};
use crate::engine::load::Loaded;
use crate::engine::log::{Log, OPENING_OFFSET_MAX};
use crate::engine::names;
use crate::engine::world::{Base, World};
use crate::map::journal::{Position, Record};
use crate::map::{Head, SegmentRef, Stamp, Version, VolumeId};

/// Numbers of segments of one head: those of the next begin after them.
pub const SEGMENTS_A_HEAD_BITS: u32 = 20;

/// Which volumes may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Those that somebody may ask for.
    Named,
    /// Those that were removed, too: what hangs from them or they hang from goes.
    Any,
}

impl<W: World> Volume<W> {
    /// Opens the volume. Its lock is held from then on, until it is closed.
    pub async fn open(base: Rc<Base<W>>, id: VolumeId, whom: Whom) -> Result<Rc<Self>, MapError> {
        let was_ours = base
            .lock_record(id)
            .await?
            .is_some_and(|record| record.is_of(base.world.owner()));
        let lease = base.world.lease_generation(); // before the lock is seen to be ours
        let lock = base.lock(id, false).await?;
        match Self::open_locked(base.clone(), id, &lock, whom).await {
            Ok(volume) => {
                volume.vouched.set(lease); // VOUCH-1
                // Our predecessor may have told composers what they may do; who takes the lock anew has none.
                let composers = if was_ours {
                    base.world.composers()
                } else {
                    BTreeSet::new()
                };
                let first_epoch = base.world.first_epoch();
                volume.state.borrow_mut().succeed(first_epoch, composers);
                Ok(volume)
            }
            Err(error) => {
                // A lock that was ours is kept: composers may still write by what our predecessor told them (OWNER-3).
                if !was_ours && let Err(error) = base.release(id).await {
                    tracing::warn!(volume = %id, %error, "the lock is kept");
                }
                Err(error)
            }
        }
    }

    async fn open_locked(
        base: Rc<Base<W>>,
        id: VolumeId,
        lock: &LockRecord,
        whom: Whom,
    ) -> Result<Rc<Self>, MapError> {
        let token = lock.token;
        let loaded = base.load(id).await?.ok_or_else(|| MapError::NotFound {
            name: id.to_string(),
        })?;
        // TAKEN-1: the next owner's head is not ours to replace. Where the lock is ours all the same, the locks were lost, as in a
        // store that was restored without them.
        if loaded.head.version.token > token {
            base.check_token(id, token).await?;
        }
        if loaded.head.flags.snapshot {
            return Err(MapError::ReadOnly {
                name: loaded.head.name,
            });
        }
        if loaded.head.flags.nameless && whom == Whom::Named {
            return Err(MapError::NotFound {
                name: id.to_string(),
            });
        }
        let root = loaded.root();
        let older = loaded.older.clone();
        let touched = base.touched(&loaded).await?;
        let mut head = loaded.head;
        let ceiling_before = head.ceiling;
        let unnamed_page_number = head.next_page_number;
        head.next_page_number = head.next_page_number.max(first_page_number(token));
        let next_stamp = first_stamp(head.ceiling, token)?;
        let layers = Layers::new(head.shape, root, loaded.overlay);
        // Before a head, or a barrier, says for ever that these records count (F36).
        if !loaded.records.is_empty() {
            base.sync_data(id).await?;
        }
        let end = base
            .begin_journal(&mut head, loaded.end, loaded.next_sequence, token)
            .await?;
        let (maps, boot) = (base.world.maps().clone(), base.world.boot());
        let log = Log::begin(maps, id, boot, head.segments.clone(), end).await?;
        let mut state = State::new(head.clone(), layers, next_stamp);
        state.displaced = touched;
        let volume = Rc::new(Self {
            id,
            shape: head.shape,
            state: RefCell::new(state),
            log,
            change: Mutex::new(()),
            moved: Notify::new(),
            parent: RefCell::new(None),
            in_force: RefCell::new(head),
            frozen_at: Cell::new(0),
            token,
            ceiling_before,
            life: Cell::new(Life::Open),
            was_left: Cell::new(false),
            taken: RefCell::default(),
            vouched: Cell::default(),
            base,
        });
        volume.leave_behind(lock.broken).await?;
        let mut now = volume.in_force.borrow().clone();
        now.segments = volume.log.segments_and_spare();
        let unnamed = volume.base.unnamed(&now, unnamed_page_number).await?;
        volume.check_lock().await?; // TAKEN-1
        volume.clean_up_after(&older, &now).await?;
        for object in unnamed {
            volume.base.delete_quietly(&object).await?;
        }
        volume.settle_drafts_in_change().await?;
        Ok(volume)
    }

    /// Cleans up after heads that an earlier checkpoint could not.
    pub(super) async fn clean_up_old_heads(&self) -> Result<(), MapError> {
        let mut older = self.base.versions(self.id).await?;
        let mut now = self.in_force.borrow().clone();
        older.retain(|version| *version < now.version);
        now.segments = self.log.segments_and_spare();
        self.check_lock().await?; // TAKEN-1
        self.clean_up_after(&older, &now).await
    }

    /// Gives back what older heads had and `now` has not (CHECK-2).
    async fn clean_up_after(&self, older: &[Version], now: &Head) -> Result<(), MapError> {
        let parent = self.parent_view().await?;
        for version in older {
            let object = names::head(self.id, version.token, version.number);
            let before = match self.base.read_whole(&object, "read").await {
                Err(MapError::Store {
                    source: StoreError::NotFound,
                    ..
                }) => continue,
                read => read?,
            };
            match Head::decode(&before) {
                Ok(before) => {
                    let mut before = before.value;
                    before
                        .segments
                        .extend(self.base.followers(&before, now).await?);
                    self.base.clean_up(&before, now, parent.as_deref()).await?;
                }
                Err(error) => {
                    tracing::warn!(volume = %self.id, %object, %error, "an old head is damaged; it is deleted");
                    self.base.delete_quietly(&object).await?;
                }
            }
        }
        Ok(())
    }
}

/// Page objects of a token have it in their numbers, so that no two owners write one.
fn first_page_number(token: u64) -> u64 {
    token << Stamp::COUNTER_BITS
}

impl<W: World> Base<W> {
    /// Takes a volume's lock.
    pub async fn lock(&self, id: VolumeId, wait: bool) -> Result<LockRecord, MapError> {
        let object = names::lock(id);
        match self.maps().lock(&object, self.world.owner(), wait).await {
            Ok(record) => Ok(record),
            Err(StoreError::Locked { owner }) => {
                let name = self.name_of(id).await;
                Err(self.locked(id, name, owner).await)
            }
            Err(error) => Err(MapError::store("lock", &object)(error)),
        }
    }

    pub async fn unlock(&self, id: VolumeId, force: bool) -> Result<(), MapError> {
        let object = names::lock(id);
        let unlocked = self.maps().unlock(&object, self.world.owner(), force).await;
        unlocked.map_err(MapError::store("unlock", &object))
    }

    /// Breaks it, whether its owner lives or not.
    pub async fn break_lock(&self, id: VolumeId) -> Result<(), MapError> {
        let object = names::lock(id);
        let broken = self.maps().break_lock(&object, self.world.owner()).await;
        broken.map_err(MapError::store("break", &object))
    }

    /// The same when its owner answers nothing any more.
    pub async fn fence_lock(&self, id: VolumeId) -> Result<(), MapError> {
        let object = names::lock(id);
        let broken = self.maps().fence_lock(&object, self.world.owner()).await;
        broken.map_err(MapError::store("break", &object))
    }

    /// Whether who has the lock lives, if that can be told.
    pub async fn owner_lives(&self, id: VolumeId) -> Result<Option<bool>, MapError> {
        let object = names::lock(id);
        match self.maps().owner_life(&object).await {
            Ok(OwnerLife::Lives) => Ok(Some(true)),
            Ok(OwnerLife::Gone) => Ok(Some(false)),
            Ok(OwnerLife::Unknown) | Err(StoreError::NotLocked) => Ok(None),
            Err(error) => Err(MapError::store("look at", &object)(error)),
        }
    }

    /// Somebody else has it, `owner` when it was asked for; since when is known if he still has it.
    pub async fn locked(&self, id: VolumeId, name: String, owner: String) -> MapError {
        let record = self.lock_record(id).await.ok().flatten();
        let record = record.filter(|record| record.owner.to_string() == owner);
        MapError::Locked {
            name,
            owner,
            since: record.map(|record| record.since),
        }
    }

    /// Who has the volume's lock.
    pub async fn lock_record(&self, id: VolumeId) -> Result<Option<LockRecord>, MapError> {
        let object = names::lock(id);
        let owner = self.maps().lock_owner(&object).await;
        owner.map_err(MapError::store("look at", &object))
    }

    /// The volume's name for messages; its id if that cannot be told.
    pub async fn name_of(&self, id: VolumeId) -> String {
        match self.load(id).await {
            Ok(Some(loaded)) if !loaded.head.name.is_empty() => loaded.head.name,
            _ => id.to_string(),
        }
    }

    /// The place where the journal goes on: in the open segment, or in a new one that a new head names.
    async fn begin_journal(
        &self,
        head: &mut Head,
        end: Option<Position>,
        next_sequence: u64,
        token: u64,
    ) -> Result<Position, MapError> {
        let last = head.segments.last().copied();
        if let (Some(end), Some(last)) = (end, last)
            && last.token == token
            && last.birth == head.id
            && end.offset <= OPENING_OFFSET_MAX
        {
            return Ok(end);
        }
        let before = head.version;
        head.version = Version {
            token,
            number: before.number + 1,
        };
        if let (Some(end), Some(open)) = (end, head.segments.last_mut()) {
            open.to_offset = Some(end.offset);
        }
        let number = head.version.number << SEGMENTS_A_HEAD_BITS;
        // Sequence numbers go on over what was inherited: a checkpoint forgets what comes before a number.
        let start = Position::start_of(head.id, token, number, next_sequence);
        head.segments.push(SegmentRef {
            birth: head.id,
            token,
            number,
            from: start,
            to_offset: None,
        });
        let begun = self.publish_with_segment(head, last, token, number).await;
        if let Err(error) = begun {
            let is_unknown = matches!(&error, MapError::Store { action: "publish", source, .. }
                if *source != StoreError::NoSpace);
            if !is_unknown {
                // The next owner has another token: it would not know of this one.
                let segment = names::log(head.id, token, number);
                if let Err(error) = self.delete_quietly(&segment).await {
                    tracing::warn!(volume = %head.id, %error, "a segment is left");
                }
            }
            return Err(error);
        }
        self.delete_quietly(&names::head(head.id, before.token, before.number))
            .await?;
        Ok(start)
    }

    async fn publish_with_segment(
        &self,
        head: &Head,
        last: Option<SegmentRef>,
        token: u64,
        number: u64,
    ) -> Result<(), MapError> {
        Log::make_segment(self.maps(), head.id, token, number).await?;
        // What the last owner kept for later: nothing that counts was written there, or it would have been replayed.
        if let Some(last) = last.filter(|last| last.birth == head.id) {
            let spare = names::log(last.birth, last.token, last.number + 1);
            self.delete_quietly(&spare).await?;
        }
        // The segments that are closed now, and the new one, are durable before a head relies on them.
        self.sync_maps(head.id).await?;
        self.create_head(head).await
    }

    /// What the journal may have displaced: whatever was in the blocks that it speaks of, since the parent is the parent
    /// (SPACE-3). What went before was compared with the parent of its time.
    async fn touched(&self, loaded: &Loaded) -> Result<BTreeSet<Displaced>, MapError> {
        let mut touched = BTreeSet::new();
        let mut blocks = BTreeSet::new();
        let shape = loaded.head.shape;
        for record in &loaded.records {
            let range = match record {
                Record::Assign { block, source, .. } => {
                    blocks.insert(*block);
                    touched.extend(source.map(|source| Displaced {
                        block: *block,
                        source,
                    }));
                    continue;
                }
                Record::Zero { first_block, count } => *first_block..first_block + count,
                Record::Size { bytes } => shape.blocks(*bytes)..u64::MAX,
                _ => continue,
            };
            changed_blocks(&loaded.inherited, range.clone(), &mut blocks);
            let mapped = self.pages.mapped(loaded.root(), range).await?;
            blocks.extend(mapped);
        }
        for block in blocks {
            let below = self.pages.block(loaded.root(), block, shape).await?;
            let before = merge(&loaded.inherited, block, below)?;
            let sources = before.sources().iter().copied();
            touched.extend(sources.map(|source| Displaced { block, source }));
        }
        Ok(touched)
    }

    /// Segments and pages that were begun by an owner that died before a head named them: they come after all that the head
    /// in force names, and after the spare. What comes before may be a snapshot's.
    async fn unnamed(&self, now: &Head, first_page: u64) -> Result<Vec<ObjectName>, MapError> {
        let id = now.id;
        let mut unnamed = Vec::new();
        let last = now.segments.iter().filter(|segment| segment.birth == id);
        let last = last.map(|segment| (segment.token, segment.number)).max();
        for object in self
            .list_all(&names::log_group(id), "list the journal")
            .await?
        {
            if names::numbers(&object) > last {
                unnamed.push(object);
            }
        }
        for object in self
            .list_all(&names::page_group(id), "list the pages")
            .await?
        {
            if names::number(&object).is_some_and(|number| number >= first_page) {
                unnamed.push(object);
            }
        }
        Ok(unnamed)
    }

    /// The segments that followed those that an old head names, up to those of the head in force.
    async fn followers(&self, before: &Head, now: &Head) -> Result<Vec<SegmentRef>, MapError> {
        let Some(last) = before.segments.last().filter(|last| last.birth == now.id) else {
            return Ok(Vec::new());
        };
        let first = now.segments.iter().find(|segment| segment.birth == now.id);
        let end = first.map_or((u64::MAX, u64::MAX), |first| (first.token, first.number));
        let listed = self
            .list_all(&names::log_group(now.id), "list the journal")
            .await?;
        let numbers = listed.iter().filter_map(names::numbers);
        Ok(numbers
            .filter(|(token, number)| {
                (last.token, last.number) < (*token, *number) && (*token, *number) < end
            })
            .map(|(token, number)| SegmentRef {
                token,
                number,
                ..*last
            })
            .collect())
    }
}
