//! Writing to a new place: grant, data, commit (W2).
//!
//! # Invariants
//! * **GRANTED-1** A grant is committed only when all its sub-blocks were written, whole, while it held (PIECE-3, EPOCH-3):
//!   data before map (F36).
//! * **GRANTED-2** Data are written by a grant only while a recall would wait for them; so none lands after the recall
//!   that voids the grant (S7).
//! * **GRANTED-4** What was written by a grant of a mapper that died is not written once more if the next one adopts it; that
//!   is asked only of a grant that still holds, for the dead mapper may have voided it for somebody else (ADOPT-2).
//! * **GRANTED-3** What others may write in place is not copied: what they write meanwhile would be lost.

use std::ops::Range;

use archipelago_protocol::{ChangedBy, GrantHead};
use xseg::{Buffer, Errno};

use super::ask::Granted;
use super::core::Composer;
use super::objects::ObjectRange;
use super::volume::{Question, Volume};
use super::write::{Change, Step};
use crate::error::ComposeError;
use crate::pure::{BlockMap, ClaimMode, Fill, Pad, Source, fill};

/// Mappers that may die one after the other before a grant is asked for anew.
const MAPPERS_MAX: u32 = 100;

/// What became of a grant.
enum End {
    Committed,
    /// It is void, or covers more than we have claimed: ask for another one.
    Void,
    Wider,
}

fn is_stale(error: &ComposeError) -> bool {
    match error {
        ComposeError::Mapper { errno, .. } => *errno == Errno::STALE,
        ComposeError::Orphaned { .. } => true,
        _ => false,
    }
}

impl Composer {
    /// Writes bytes of a block that must not be written where they are.
    pub async fn write_granted(
        &self,
        change: Change<'_>,
        block: u64,
        bytes: &Range<u64>,
    ) -> Result<Step, ComposeError> {
        let volume = change.volume;
        let subs = volume.shape.subs_touched(bytes);
        let mut claimed = subs.clone();
        let mut was_damaged = false;
        loop {
            let range = volume.shape.over_volume(block, &claimed);
            let _claim = volume.claim(range, ClaimMode::Exclusive).await;
            if is_writable_somewhere(volume, block, &subs) {
                return Ok(Step::Again); // somebody else has asked before us
            }
            let end = self.write_by_grant(change, block, bytes, &claimed).await;
            match end {
                Ok(End::Committed) => return Ok(Step::Done),
                Ok(End::Wider) => {
                    claimed = 0..volume.shape.subs(); // a grant is never wider than that
                    continue;
                }
                Ok(End::Void) => {}
                Err(error) if is_stale(&error) => {}
                Err(ComposeError::Damaged { object, why }) => {
                    if was_damaged {
                        tracing::error!(object, why, "what the map names is damaged");
                        return Err(ComposeError::Damaged { object, why });
                    }
                    was_damaged = true;
                    continue; // the next grant tells the map of then
                }
                Err(error) => return Err(error),
            }
            volume.forget(block);
            return Ok(Step::Again);
        }
    }

    async fn write_by_grant(
        &self,
        change: Change<'_>,
        block: u64,
        bytes: &Range<u64>,
        claimed: &Range<u16>,
    ) -> Result<End, ComposeError> {
        let volume = change.volume;
        let subs = volume.shape.subs_touched(bytes);
        let question = volume.ask(block..block + 1);
        let granted = self.ask_grant(volume, block, &subs).await?;
        let (head, source) = (granted.head, granted.source);
        let granted_subs = granted.subs.clone();
        volume.hear_grant(head.epoch, head.stamp);
        let end = if granted_subs.start < claimed.start || claimed.end < granted_subs.end {
            Ok(End::Wider) // CWRITE-2: the claim is given back first
        } else if may_others_write(volume, &granted, &subs) {
            Ok(End::Void)
        } else {
            let work = self.fill_grant(change, block, bytes, granted, &question);
            let written = work.await;
            written.map(|held| if held { End::Committed } else { End::Void })
        };
        if !matches!(end, Ok(End::Committed)) {
            self.ask_give_up(volume, &head).await;
            return end;
        }
        let changed = self.commit(volume, block, &head, &question).await?;
        change.made_by.note(changed.token);
        let place = (block, granted_subs);
        volume.committed(&question, changed.epoch, place, source);
        Ok(End::Committed)
    }

    /// Commits, also where the mapper that gave the grant has died meanwhile (GRANTED-4).
    async fn commit(
        &self,
        volume: &Volume,
        block: u64,
        head: &GrantHead,
        question: &Question<'_>,
    ) -> Result<ChangedBy, ComposeError> {
        let mut adopts = 0;
        for _ in 0..MAPPERS_MAX {
            match self.ask_commit(volume, block, head, adopts).await {
                Err(ComposeError::Orphaned { first_epoch })
                    if first_epoch != adopts && volume.holds(question, head.epoch) =>
                {
                    adopts = first_epoch;
                }
                done => return done,
            }
        }
        Err(ComposeError::Orphaned {
            first_epoch: adopts,
        })
    }

    /// Writes all sub-blocks of the grant. `false`: it was recalled.
    async fn fill_grant(
        &self,
        change: Change<'_>,
        block: u64,
        bytes: &Range<u64>,
        granted: Granted,
        question: &Question<'_>,
    ) -> Result<bool, ComposeError> {
        let volume = change.volume;
        // GRANTED-2: from here on only the blocker is waited for.
        let Some(_guard) = volume.begin_granted(question, granted.head.epoch) else {
            return Ok(false);
        };
        if granted.head.is_fresh {
            self.make_object(volume, granted.source, block).await?;
        }
        let Fill {
            pads,
            whole,
            copies,
        } = fill(volume.shape, bytes, &granted.subs);
        if !whole.is_empty() {
            self.write_whole(change, block, granted.source, whole)
                .await?;
        }
        let mut filling = Filling {
            composer: self,
            change,
            block,
            source: granted.source,
            old: granted.map,
            scratch: Some(granted.scratch),
        };
        for pad in pads {
            filling.write_pad(&pad).await?;
        }
        for subs in copies {
            filling.copy_up(subs).await?;
        }
        Ok(true)
    }

    async fn write_whole(
        &self,
        change: Change<'_>,
        block: u64,
        source: Source,
        bytes: Range<u64>,
    ) -> Result<(), ComposeError> {
        let from = change.from(block, bytes.start);
        let range = ObjectRange {
            source,
            block,
            bytes,
        };
        match change.request {
            Some(request) => self.write_view(change.volume, &range, request, from).await,
            None => self.write_zeros(change.volume, &range).await,
        }
    }
}

fn is_writable_somewhere(volume: &Volume, block: u64, subs: &Range<u16>) -> bool {
    let Some(map) = volume.cached(block) else {
        return false;
    };
    map.parts(subs.clone())
        .filter_map(|(_, source)| source)
        .any(|source| volume.is_writable(&source))
}

/// Another composer may have moved these sub-blocks to where it, and we, may write them in place (GRANTED-3).
fn may_others_write(volume: &Volume, granted: &Granted, subs: &Range<u16>) -> bool {
    let sources = granted
        .map
        .parts(subs.clone())
        .filter_map(|(_, source)| source);
    let mut elsewhere = sources.filter(|source| *source != granted.source);
    elsewhere.any(|source| volume.is_writable(&source))
}

/// A grant that is being filled, with the buffer for what is copied.
struct Filling<'a> {
    composer: &'a Composer,
    change: Change<'a>,
    block: u64,
    source: Source,
    old: BlockMap,
    scratch: Option<Buffer>,
}

impl Filling<'_> {
    /// It is put back after each use; after a failure there is no next one.
    fn take_scratch(&mut self) -> Result<Buffer, ComposeError> {
        self.scratch.take().ok_or(ComposeError::Moved)
    }

    fn range(&self, source: Source, bytes: Range<u64>) -> ObjectRange {
        ObjectRange {
            source,
            block: self.block,
            bytes,
        }
    }

    /// A sub-block that is written partly is written whole: its new place may hold anything.
    async fn write_pad(&mut self, pad: &Pad) -> Result<(), ComposeError> {
        let volume = self.change.volume;
        let subs = pad.sub..pad.sub + 1;
        let whole = volume.shape.bytes_of(&subs);
        let old = self.old.parts(subs).find_map(|(_, source)| source);
        if old == Some(self.source) {
            // GRANTED-3: it is there, whole, and others may be writing to the rest of it.
            let (source, bytes) = (self.source, pad.bytes.clone());
            let work = self
                .composer
                .write_whole(self.change, self.block, source, bytes);
            return work.await;
        }
        let len = whole.end - whole.start;
        let mut buffer = self.take_scratch()?;
        match old {
            Some(old) => {
                let range = self.range(old, whole.clone());
                buffer = self.composer.read_buffer(volume, &range, buffer).await?;
            }
            None => buffer.data().part(0, len)?.fill(0),
        }
        let at = pad.bytes.start - whole.start;
        let new_len = pad.bytes.end - pad.bytes.start;
        match self.change.request {
            Some(request) => {
                let mut new = vec![0; new_len as usize]; // less than a grain
                let from = self.change.from(self.block, pad.bytes.start);
                self.composer.read_payload(request, from, &mut new)?;
                buffer.data().write(at, &new)?;
            }
            None => buffer.data().part(at, new_len)?.fill(0),
        }
        let range = self.range(self.source, whole);
        let buffer = self.composer.write_buffer(volume, &range, buffer).await?;
        self.scratch = Some(buffer);
        Ok(())
    }

    /// Sub-blocks that were granted beyond what was asked for: they are in the new place from now on.
    async fn copy_up(&mut self, subs: Range<u16>) -> Result<(), ComposeError> {
        let shape = self.change.volume.shape;
        let parts: Vec<_> = self.old.parts(subs).collect();
        for (subs, old) in parts {
            let bytes = shape.bytes_of(&subs);
            match old {
                Some(old) if old == self.source => {} // there already
                Some(old) => self.copy(old, bytes).await?,
                None => {
                    let range = self.range(self.source, bytes);
                    self.composer
                        .write_zeros(self.change.volume, &range)
                        .await?;
                }
            }
        }
        Ok(())
    }

    async fn copy(&mut self, old: Source, bytes: Range<u64>) -> Result<(), ComposeError> {
        let volume = self.change.volume;
        let mut at = bytes.start;
        while at < bytes.end {
            let buffer = self.take_scratch()?;
            let end = bytes.end.min(at + buffer.data().len());
            let from = self.range(old, at..end);
            let to = self.range(self.source, at..end);
            let buffer = self.composer.read_buffer(volume, &from, buffer).await?;
            self.scratch = Some(self.composer.write_buffer(volume, &to, buffer).await?);
            at = end;
        }
        Ok(())
    }
}
