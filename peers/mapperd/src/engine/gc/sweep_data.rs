//! Judging data objects, and content.

use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

use archipelago_protocol::{CONTENT_GROUPS, CONTENT_ID_BYTES};
use archipelago_store::{ObjectName, Store, StoreError};

use super::collect::{AT_ONCE, Judge, Mode};
use super::heads::{Heads, Known};
use super::unnamed::{data_in, unnamed_parts};
use crate::engine::beside::Neighbour;
use crate::engine::error::MapError;
use crate::engine::names;
use crate::engine::world::World;
use crate::map::{ContentId, Source, Stamp, VolumeId, object_name};

/// An object of a volume, and what of it is named.
#[derive(Clone, Debug)]
struct Candidate {
    object: ObjectName,
    birth: VolumeId,
    stamp: Stamp,
    block: u64,
    size: u64,
    allocated: u64,
    /// Sub-blocks that somebody names, in volumes of this grain.
    used: BTreeSet<u16>,
    grain_bytes: u64,
    /// It is somebody's to give back.
    is_kept: bool,
}

impl Candidate {
    fn is_all_used(&self) -> bool {
        self.is_kept || (!self.used.is_empty() && self.unused().is_empty())
    }

    /// The parts of the object that nobody names, in bytes.
    fn unused(&self) -> Vec<Range<u64>> {
        unnamed_parts(&self.used, self.grain_bytes, self.size)
    }
}

/// `<birth>/<stamp>`
fn birth_and_stamp(group: &[u8]) -> Option<(VolumeId, Stamp)> {
    let (birth, stamp) = std::str::from_utf8(group).ok()?.split_once('/')?;
    let is_plain = stamp.len() == 16 && stamp.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bits = is_plain.then(|| u64::from_str_radix(stamp, 16).ok())??;
    Some((birth.parse().ok()?, Stamp::from_bits(bits)))
}

impl<W: World> Judge<'_, W> {
    pub async fn sweep_data(
        &self,
        groups: &[Vec<u8>],
        heads: &mut Heads<W>,
    ) -> Result<(), MapError> {
        for group in groups {
            let Some((birth, stamp)) = birth_and_stamp(group) else {
                continue;
            };
            if !self.limits.may_judge_stamp(birth, stamp) {
                continue;
            }
            let base = &self.mapper.base;
            let objects = base.list_in(base.data(), group, "list the objects").await?;
            for some in objects.chunks(AT_ONCE) {
                self.judge_data(some, (birth, stamp), heads).await?;
                self.rest().await?;
            }
        }
        Ok(())
    }

    async fn judge_data(
        &self,
        objects: &[ObjectName],
        (birth, stamp): (VolumeId, Stamp),
        heads: &mut Heads<W>,
    ) -> Result<(), MapError> {
        let mut suspects = Vec::new();
        for object in objects {
            self.report.look();
            let Some(block) = names::number(object) else {
                continue;
            };
            let Some((size, allocated)) = self.stat(object).await? else {
                continue;
            };
            let mut candidate = Candidate {
                object: object.clone(),
                birth,
                stamp,
                block,
                size,
                allocated,
                used: BTreeSet::new(),
                grain_bytes: 0,
                is_kept: false,
            };
            let own = heads.get(birth).cloned();
            let known: Vec<_> = heads.all().map(|(_, known)| known.clone()).collect();
            for known in own.iter().chain(&known) {
                if candidate.is_all_used() {
                    break;
                }
                self.look_into(known, &mut candidate).await?;
            }
            if !candidate.is_all_used() {
                suspects.push(candidate);
            }
        }
        if suspects.is_empty() {
            return Ok(());
        }
        // GC-2
        while self.mapper.read_heads(heads).await? {
            for (_, known) in heads.take_new() {
                for candidate in &mut suspects {
                    self.look_into(&known, candidate).await?;
                }
            }
        }
        for candidate in suspects {
            if !candidate.is_all_used() {
                self.give_back(&candidate, heads).await?;
            }
        }
        Ok(())
    }

    async fn look_into(
        &self,
        known: &Rc<Known<W>>,
        candidate: &mut Candidate,
    ) -> Result<(), MapError> {
        let source = Source::Born {
            birth: candidate.birth,
            stamp: candidate.stamp,
        };
        let map = self.mapper.block_of(known, candidate.block).await?;
        let shape = known.is.shape();
        for (subs, from) in map.runs(0..shape.subs()) {
            if from == Some(source) {
                candidate.grain_bytes = shape.grain_bytes();
                candidate.used.extend(subs);
            }
        }
        if let Neighbour::Open(volume) = &known.is
            && volume.may_still_need(candidate.block, source)
        {
            candidate.is_kept = true; // GC-3
        }
        Ok(())
    }

    async fn give_back(&self, candidate: &Candidate, heads: &Heads<W>) -> Result<(), MapError> {
        let Candidate { object, birth, .. } = candidate;
        let base = &self.mapper.base;
        let scope = names::scope(*birth);
        let bytes = if candidate.used.is_empty() {
            candidate.allocated
        } else {
            data_in(base.data(), object, &candidate.unused()).await?
        };
        if !candidate.used.is_empty() && bytes == 0 {
            return Ok(());
        }
        self.report.find(object, bytes);
        if self.mode == Mode::DryRun {
            return Ok(());
        }
        tracing::info!(%object, bytes, "nobody names it, or not all of it");
        if candidate.used.is_empty() {
            return self.delete_data(object).await;
        }
        // Where it may be written, unused parts of it may be granted at any moment.
        let volume = match heads.get(*birth) {
            Some(known) if is_writable(known, candidate.stamp) => {
                match self.mapper.open_id(*birth, false).await {
                    Ok(volume) => Some(volume),
                    Err(MapError::NotFound { .. }) => None,
                    Err(error) => return Err(error),
                }
            }
            _ => None,
        };
        let _change = match &volume {
            Some(volume) => Some(volume.begin_change().await),
            None => None,
        };
        let held = volume
            .as_ref()
            .map(|volume| volume.hold_block(candidate.block));
        if matches!(held, Some(None)) {
            return Ok(()); // somebody writes there: the next time
        }
        let mut candidate = candidate.clone();
        if let Some(volume) = &volume {
            // What was granted and committed since.
            let map = volume.block(candidate.block).await?;
            let source = Source::Born {
                birth: *birth,
                stamp: candidate.stamp,
            };
            let own = map.runs(0..volume.shape.subs());
            let own = own.filter(|(_, from)| *from == Some(source));
            candidate.used.extend(own.flat_map(|(subs, _)| subs));
            candidate.is_kept = volume.may_still_need(candidate.block, source);
        }
        if candidate.is_kept {
            return Ok(());
        }
        for range in candidate.unused() {
            let punched = base
                .data()
                .punch(scope, object, range.start, range.end - range.start);
            punched.await.map_err(MapError::store("punch", object))?;
        }
        Ok(())
    }

    async fn delete_data(&self, object: &ObjectName) -> Result<(), MapError> {
        match self.mapper.base.data().delete(object).await {
            Ok(()) | Err(StoreError::NotFound) => Ok(()),
            Err(error) => Err(MapError::store("delete", object)(error)),
        }
    }

    /// Its length, and what it takes. `None`: it is gone.
    async fn stat(&self, object: &ObjectName) -> Result<Option<(u64, u64)>, MapError> {
        match self.mapper.base.data().stat(object).await {
            Ok(stat) => Ok(Some((stat.size, stat.allocated))),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(MapError::store("look at", object)(error)),
        }
    }

    /// Content that no head names. Nobody makes any meanwhile (GC-5).
    pub async fn sweep_content(&self, groups: &[Vec<u8>]) -> Result<(), MapError> {
        let base = &self.mapper.base;
        for group in groups.iter().filter(|group| is_of_content(group)) {
            let objects = base.list_in(base.data(), group, "list the content").await?;
            for (count, object) in objects.iter().enumerate() {
                self.report.look();
                let is_named =
                    content_of(object).is_none_or(|content| self.marks.contents.contains(&content));
                if !is_named && let Some((_, allocated)) = self.stat(object).await? {
                    self.report.find(object, allocated);
                    if self.mode == Mode::Collect {
                        tracing::info!(%object, allocated, "no head names this content");
                        self.delete_data(object).await?;
                    }
                }
                if count % AT_ONCE == 0 {
                    self.rest().await?;
                }
            }
        }
        Ok(())
    }
}

fn is_writable<W: World>(known: &Known<W>, stamp: Stamp) -> bool {
    match &known.is {
        Neighbour::Open(volume) => stamp > volume.with_state(|state| state.head.floor),
        Neighbour::Still(view) => !view.head.flags.snapshot && stamp > view.head.floor,
    }
}

fn is_of_content(group: &[u8]) -> bool {
    group.starts_with(CONTENT_GROUPS.as_bytes())
}

/// The content that an object of such a group is. What has another name is not ours.
fn content_of(object: &ObjectName) -> Option<ContentId> {
    let text = std::str::from_utf8(object.as_bytes()).ok()?;
    let digits = text.rsplit('/').next()?;
    let mut id = [0; CONTENT_ID_BYTES];
    if digits.len() != 2 * id.len() || !digits.is_ascii() {
        return None;
    }
    for (byte, at) in id.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
    }
    let content = ContentId::from_bytes(id);
    (object_name(Source::Content(content), 0) == *object).then_some(content)
}
