//! The journal of an open volume: records are queued, written in batches, and count when they are written.
//!
//! # Invariants
//! * **WAL-1** Records are written in their order: none is answered before all before it are written, so that a replay,
//!   which ends at the first gap, finds what was answered (D1).
//! * **WAL-2** After a failed write nothing more is written: what lies on disk beyond the last good record is unknown (D3).
//! * **WAL-3** A segment's space is there before it is needed: one spare segment is kept (D5).
//! * **WAL-4** A barrier is written only behind records whose objects were synced after they were written: none is
//!   written while the objects are being synced (M6, F36).
//! * **WAL-7** A failure passes by itself only if all that failed was late (STORE-7): one of another kind stays.
//! * **WAL-5** A segment ends with a barrier that is durable before the next one begins.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use archipelago_runtime::local::Mutex;
use archipelago_store::{Store, StoreError};

use super::error::MapError;
use super::failure::Failure;
use super::names;
use crate::map::journal::{Appender, Position, Record};
use crate::map::{BootId, FormatError, SegmentRef, VolumeId};

mod given_up;
mod segments;
#[cfg(test)]
mod tests;

use given_up::{Promised, Withdrawn};

/// Bytes of a journal segment: some 3000 records. Read at once when a volume is opened.
pub const SEGMENT_BYTES: u64 = 256 << 10;
/// Kept free in each segment, for the barrier that ends it.
const SEAL_BYTES: u64 = 64;
/// Segments of a journal that is not folded: 256 MiB of records. Only a checkpoint goes beyond, to end the last one.
const SEGMENTS_GROWING_MAX: usize = 1024;
/// Behind it a segment has no room for an opening and the barrier that ends it: it is not gone on with.
pub const OPENING_OFFSET_MAX: u64 = SEGMENT_BYTES - 2 * SEAL_BYTES;

#[derive(Debug)]
struct Queued {
    /// Who waits for it: records get their sequence numbers when they are written, so that one can be withdrawn.
    ticket: u64,
    record: Record,
}

#[derive(Debug)]
struct State {
    /// What a head that is published now has to name. The last one is open, and is where we write.
    segments: Vec<SegmentRef>,
    appender: Appender,
    queue: VecDeque<Queued>,
    next_ticket: u64,
    has_spare: bool,
    /// Records behind the last barrier.
    since_barrier: u64,
    /// Where the last durable barrier of the open segment ends.
    durable_offset: u64,
    /// Records with smaller numbers are durable, and the journal does not say so yet (LOG-5).
    untold: Option<u64>,
    failed: Option<Failure>,
}

impl State {
    fn latch(&mut self, failure: Failure) {
        let is_late = failure.is_late;
        self.failed.get_or_insert(failure).is_late &= is_late; // WAL-7
    }

    fn note_synced(&mut self) {
        let end = self.appender.end();
        self.durable_offset = end.offset;
        self.untold = Some(end.sequence);
    }
}

#[derive(Debug)]
pub struct Log<S> {
    maps: Rc<S>,
    id: VolumeId,
    /// Who writes.
    turn: Mutex<()>,
    state: RefCell<State>,
}

impl<S: Store> Log<S> {
    /// Goes on at `end`, in the last of `segments`, which exists. What the records so far name is synced. The journal
    /// begins with a barrier, which is durable when this returns.
    pub async fn begin(
        maps: Rc<S>,
        id: VolumeId,
        boot: BootId,
        segments: Vec<SegmentRef>,
        end: Position,
    ) -> Result<Self, MapError> {
        let mut barrier = Vec::new();
        let appender = Appender::begin(end, boot, &mut barrier);
        let state = State {
            segments,
            appender,
            queue: VecDeque::new(),
            next_ticket: 0,
            has_spare: false,
            since_barrier: 0,
            durable_offset: 0,
            untold: None,
            failed: None,
        };
        let log = Self {
            maps,
            id,
            turn: Mutex::new(()),
            state: RefCell::new(state),
        };
        log.write_bytes(end.offset, &barrier).await?;
        log.sync().await?;
        log.state.borrow_mut().note_synced();
        // As when it rolls: what is open goes on without one (D5).
        if let Err(error) = log.make_spare_in_turn().await {
            tracing::warn!(volume = %id, %error, "the journal has no spare segment");
        }
        Ok(log)
    }

    /// Makes a segment, with its space.
    pub async fn make_segment(
        maps: &S,
        id: VolumeId,
        token: u64,
        number: u64,
    ) -> Result<(), MapError> {
        let object = names::log(id, token, number);
        maps.extend(names::scope(id), &object, SEGMENT_BYTES, true)
            .await
            .map_err(MapError::store("make room for journal", &object))
    }

    async fn make_spare_in_turn(&self) -> Result<(), MapError> {
        if self.state.borrow().has_spare {
            return Ok(());
        }
        let last = self.last();
        Self::make_segment(&self.maps, self.id, last.token, last.number + 1).await?;
        self.state.borrow_mut().has_spare = true;
        Ok(())
    }

    fn last(&self) -> SegmentRef {
        let state = self.state.borrow();
        *state.segments.last().expect("a journal has a segment")
    }

    /// Where the next record goes.
    pub fn end(&self) -> Position {
        self.state.borrow().appender.end()
    }

    /// Writes the records. `apply` is told all that is written, in order, whoever queued it. Records that could not be
    /// written are withdrawn.
    pub async fn append(
        &self,
        records: impl IntoIterator<Item = Record>,
        sync_objects: impl AsyncFn() -> Result<(), MapError>,
        apply: impl Fn(u64, &Record),
    ) -> Result<(), MapError> {
        self.check()?;
        let tickets = self.enqueue(records);
        let end = tickets.end;
        let _withdrawn = Withdrawn { log: self, tickets };
        while self.waits_before(end) {
            let _turn = self.turn.lock().await;
            if self.waits_before(end) {
                self.write_batch(&sync_objects, &apply).await?;
            }
        }
        Ok(())
    }

    fn enqueue(&self, records: impl IntoIterator<Item = Record>) -> Range<u64> {
        let mut state = self.state.borrow_mut();
        let first = state.next_ticket;
        for record in records {
            let ticket = state.next_ticket;
            state.queue.push_back(Queued { ticket, record });
            state.next_ticket += 1;
        }
        first..state.next_ticket
    }

    fn waits_before(&self, ticket: u64) -> bool {
        let state = self.state.borrow();
        state
            .queue
            .front()
            .is_some_and(|queued| queued.ticket < ticket)
    }

    fn check(&self) -> Result<(), MapError> {
        match &self.state.borrow().failed {
            None => Ok(()),
            Some(failure) => Err(MapError::Failed {
                volume: self.id,
                why: failure.why.clone(),
            }),
        }
    }

    /// Writes as much of the queue as the segment has room for; goes on to the next segment if it has none.
    async fn write_batch(
        &self,
        sync_objects: &impl AsyncFn() -> Result<(), MapError>,
        apply: &impl Fn(u64, &Record),
    ) -> Result<(), MapError> {
        self.check()?;
        let from = self.end();
        let told = u64::from(self.state.borrow().untold.is_some());
        let Some((bytes, count, appender)) = self.batch()? else {
            self.check_length()?;
            return self.roll_in_turn(sync_objects).await;
        };
        self.write_bytes(from.offset, &bytes).await?;
        let done: Vec<Queued> = {
            let mut state = self.state.borrow_mut();
            state.appender = appender;
            state.untold = None;
            state.since_barrier += count as u64;
            state.queue.drain(..count).collect()
        };
        for (sequence, queued) in (from.sequence + told..).zip(&done) {
            apply(sequence, &queued.record);
        }
        Ok(())
    }

    /// A journal that cannot be folded does not grow for ever: heads could not name it any more.
    fn check_length(&self) -> Result<(), MapError> {
        if self.state.borrow().segments.len() < SEGMENTS_GROWING_MAX {
            return Ok(());
        }
        Err(MapError::Store {
            action: "lengthen",
            object: format!("the journal of volume {}, which cannot be folded", self.id),
            source: StoreError::NoSpace,
        })
    }

    /// The bytes of the first records, as many as fit; none if not even one does.
    fn batch(&self) -> Result<Option<(Vec<u8>, usize, Appender)>, MapError> {
        let state = self.state.borrow();
        let mut appender = state.appender.clone();
        let mut bytes = Vec::new();
        let mut count = 0;
        if let Some(sequence) = state.untold {
            let synced = Record::Synced { sequence };
            appender.append(&synced, &mut bytes).map_err(bad_record)?;
        }
        for queued in &state.queue {
            let (before, kept) = (bytes.len(), appender.clone());
            appender
                .append(&queued.record, &mut bytes)
                .map_err(bad_record)?;
            if appender.end().offset > SEGMENT_BYTES - SEAL_BYTES {
                bytes.truncate(before);
                appender = kept;
                break;
            }
            count += 1;
        }
        Ok((count > 0 || state.queue.is_empty()).then_some((bytes, count, appender)))
    }

    async fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<(), MapError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let last = self.last();
        let object = names::log(self.id, last.token, last.number);
        let mut promised = Promised {
            log: self,
            is_kept: false,
        };
        let scope = names::scope(self.id);
        let written = self.maps.write(scope, &object, offset, bytes).await;
        promised.is_kept = true;
        written.map_err(|error| self.fail("write", &object.to_string(), &error))
    }

    async fn sync(&self) -> Result<(), MapError> {
        let synced = self.maps.sync(names::scope(self.id)).await;
        synced.map_err(|error| self.fail("sync", "the journal", &error))
    }

    fn fail(&self, action: &str, object: &str, error: &StoreError) -> MapError {
        let why = format!("{action} of {object}: {error}");
        let is_late = *error == StoreError::Late;
        self.latch(Failure {
            why: why.clone(),
            is_late,
        });
        MapError::Failed {
            volume: self.id,
            why,
        }
    }

    /// Why nothing more is appended.
    pub fn failure(&self) -> Option<Failure> {
        self.state.borrow().failed.clone()
    }

    pub fn has_failed(&self) -> bool {
        self.state.borrow().failed.is_some()
    }

    /// Refuses everything from now on.
    pub fn latch(&self, failure: Failure) {
        self.state.borrow_mut().latch(failure);
    }

    /// Until nothing is being written. Nothing is afterwards if it has failed (WAL-2).
    pub async fn written(&self) {
        drop(self.turn.lock().await);
    }

    /// Makes all that was appended before durable, with the objects that it names.
    pub async fn barrier(
        &self,
        sync_objects: impl AsyncFn() -> Result<(), MapError>,
    ) -> Result<(), MapError> {
        let _turn = self.turn.lock().await;
        self.barrier_in_turn(&sync_objects).await
    }

    /// The turn is kept while the objects are synced: WAL-4.
    async fn barrier_in_turn(
        &self,
        sync_objects: &impl AsyncFn() -> Result<(), MapError>,
    ) -> Result<(), MapError> {
        self.check()?;
        sync_objects().await?;
        if self.state.borrow().since_barrier == 0 {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let mut appender = self.state.borrow().appender.clone();
        let offset = appender.end().offset;
        appender
            .append(&Record::Barrier, &mut bytes)
            .map_err(bad_record)?;
        if appender.end().offset > SEGMENT_BYTES - SEAL_BYTES {
            self.check_length()?;
            return self.roll_synced().await;
        }
        self.write_bytes(offset, &bytes).await?;
        self.state.borrow_mut().appender = appender;
        self.sync().await?;
        let mut state = self.state.borrow_mut();
        state.since_barrier = 0;
        state.note_synced();
        Ok(())
    }

    /// Ends the segment; records go to the next one. `ended` is told the sequence number with which that begins, when all
    /// records before it count, and none after it.
    pub async fn roll(
        &self,
        sync_objects: impl AsyncFn() -> Result<(), MapError>,
        ended: impl FnOnce(u64),
    ) -> Result<(), MapError> {
        let _turn = self.turn.lock().await;
        self.roll_in_turn(&sync_objects).await?;
        ended(self.last().from.sequence);
        Ok(())
    }

    async fn roll_in_turn(
        &self,
        sync_objects: &impl AsyncFn() -> Result<(), MapError>,
    ) -> Result<(), MapError> {
        self.check()?;
        self.make_spare_in_turn().await?;
        sync_objects().await?;
        self.roll_synced().await
    }

    /// The objects are synced, and no record was written since.
    async fn roll_synced(&self) -> Result<(), MapError> {
        self.make_spare_in_turn().await?;
        let mut seal = Vec::new();
        let mut appender = self.state.borrow().appender.clone();
        let offset = appender.end().offset;
        appender
            .append(&Record::Barrier, &mut seal)
            .map_err(bad_record)?;
        self.write_bytes(offset, &seal).await?;
        self.sync().await?;
        let sealed = appender.end();
        let last = self.last();
        let start = Position::start_of(self.id, last.token, last.number + 1, sealed.sequence);
        appender.continue_at(start);
        {
            let mut state = self.state.borrow_mut();
            let open = state.segments.last_mut().expect("a journal has a segment");
            open.to_offset = Some(sealed.offset);
            state.segments.push(SegmentRef {
                number: last.number + 1,
                from: start,
                to_offset: None,
                ..last
            });
            state.has_spare = false;
            state.since_barrier = 0;
            state.durable_offset = 0;
            state.untold = None;
        }
        let mut barrier = Vec::new();
        appender
            .append(&Record::Barrier, &mut barrier)
            .map_err(bad_record)?;
        self.write_bytes(0, &barrier).await?;
        self.state.borrow_mut().appender = appender;
        // Without a spare the journal goes on to the end of this segment, and then says that space is out.
        if let Err(error) = self.make_spare_in_turn().await {
            tracing::warn!(volume = %self.id, %error, "no spare journal segment");
        }
        Ok(())
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is the argument of map_err"
)]
fn bad_record(error: FormatError) -> MapError {
    MapError::Invalid {
        what: "a journal record",
        why: error.to_string(),
    }
}
