//! One volume: each command is a request to the composer, and payloads stay in the buffers that they came in (W1).
//!
//! # Invariants
//! * **BRIDGE-1** Who waits for a record already has its buffer, never the other way round: the waits of requests for each other
//!   have no circle.
//! * **BRIDGE-2** An answer that says less than was asked is an I/O error, for reads and for writes (F28).

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use archipelago_protocol::{BLOCK_STATUS, CHANGED, EXTENT_BYTES, VolumeName, VolumeRef};
use archipelago_runtime::local::GateGuard;
use archipelago_runtime::{CallError, LentMemory, Station};
use xseg::{Buffer, Draft, Errno, OpCode, PortId, Reply, RequestError, flags};

use super::answer;
use super::sizes::sizes;
use super::using::Using;
use crate::{Change, Disk, DiskFacts, DiskName, Extent, Orphans, Payload, ZeroOptions};

/// Room for extents in one answer; clients ask again for what lies behind the last.
const STATUS_BYTES: u64 = 256 * EXTENT_BYTES as u64;

/// How often a composer is asked for one CACHE: a hint is not worth more.
const CACHE_ASKS_MAX: usize = 64;

/// Zeroes are written in pieces of so many bytes, where they have to be written.
const ZERO_BYTES: u64 = 64 << 10;

/// The names by which a volume, or a snapshot, is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Volume(VolumeRef);

impl From<VolumeRef> for Volume {
    fn from(name: VolumeRef) -> Self {
        Self(name)
    }
}

impl Volume {
    /// The same, and the snapshot to compare with.
    fn compare(&self, draft: &mut Draft, snapshot: &VolumeName) -> Result<(), Errno> {
        let refused = |error: RequestError| error.errno();
        let target = self.0.name.as_str().as_bytes();
        draft.set_target(target).map_err(refused)?;
        draft
            .set_snapshot(snapshot.as_str().as_bytes())
            .map_err(refused)
    }

    /// What requests for it name as their target.
    pub fn as_str(&self) -> &str {
        self.0.name.as_str()
    }

    /// The target is what is to be opened; the second name is the volume that it must be a snapshot of, if one was
    /// given. A composer that overlooks that serves what was named all the same, and never the live volume instead.
    pub fn name(&self, draft: &mut Draft) -> Result<(), Errno> {
        let refused = |error: RequestError| error.errno();
        let target = self.0.name.as_str().as_bytes();
        draft.set_target(target).map_err(refused)?;
        match &self.0.volume {
            Some(volume) => draft
                .set_snapshot(volume.as_str().as_bytes())
                .map_err(refused),
            None => Ok(()),
        }
    }
}

/// A volume that a composer serves.
#[derive(Debug)]
pub struct SegmentDisk {
    station: Rc<Station>,
    composer: PortId,
    volume: Volume,
    facts: DiskFacts,
    orphans: Orphans,
    /// Since its client is gone.
    left: RefCell<Option<GateGuard>>,
    /// Dropped with the export (USING-3).
    _using: Using,
}

/// A request to a composer, but for its payload.
#[derive(Clone, Copy, Debug)]
struct Ask<'a> {
    op: OpCode,
    flags: u32,
    offset: u64,
    len_bytes: u64,
    since: Option<&'a VolumeName>,
}

fn fua_flag(fua: bool) -> u32 {
    if fua { flags::FUA } else { 0 }
}

impl SegmentDisk {
    pub(super) fn new(
        station: Rc<Station>,
        composer: PortId,
        volume: Volume,
        orphans: Orphans,
        (facts, using): (DiskFacts, Using),
    ) -> Self {
        Self {
            station,
            composer,
            volume,
            facts,
            orphans,
            left: RefCell::default(),
            _using: using,
        }
    }

    /// The same for clients that must not write to it.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.facts.features.read_only = true;
        self
    }

    /// A port looks for a buffer of the size that fits, or the next; here may be only larger ones.
    async fn buffer(&self, len_bytes: u64) -> Result<Buffer, Errno> {
        let geometry = self.station.segment().geometry();
        let fitting = sizes(geometry).find(|size| *size >= len_bytes);
        let buffer = self.station.buffer(fitting.unwrap_or(len_bytes)).await;
        buffer.map_err(|error| error.errno())
    }

    /// Asks, with so many bytes of a buffer if there is one (BRIDGE-1).
    async fn ask(&self, ask: Ask<'_>, data: Option<(Buffer, u64)>) -> Result<Reply, Errno> {
        let failed = |error: CallError| error.errno();
        let mut draft = self.station.draft(ask.op).await.map_err(failed)?;
        match ask.since {
            Some(snapshot) => self.volume.compare(&mut draft, snapshot)?,
            None => self.volume.name(&mut draft)?,
        }
        draft.set_flags(ask.flags);
        draft.set_extent(ask.offset, ask.len_bytes);
        if let Some((buffer, len_bytes)) = data {
            draft
                .attach(buffer, len_bytes)
                .map_err(|error| error.errno())?;
        }
        let call = self.station.call(draft, self.composer);
        call.await.map_err(failed)
    }

    /// Asks, and lends memory beside the buffer until the answer is there (LOAN-3). Tells which bytes are in the buffer.
    async fn ask_lending(
        &self,
        ask: Ask<'_>,
        memory: LentMemory,
    ) -> Result<(Reply, Vec<Range<u64>>), Errno> {
        let handle = self.station.handle().ok_or(Errno::CANCELED)?;
        let buffer = self.buffer(ask.len_bytes).await?;
        let loan = handle.lend(buffer.data(), memory).ok_or(Errno::INVAL)?;
        let reply = self.ask(ask, Some((buffer, ask.len_bytes))).await;
        let missing = loan.end().await;
        let reply = reply?;
        answer::whole(&reply, ask.len_bytes)?; // BRIDGE-2
        Ok((reply, missing?)) // LOAN-4
    }

    /// What cannot be left to the composer: zeroes that take their space.
    async fn write_out_zeroes(&self, offset: u64, len_bytes: u64, fua: bool) -> Result<(), Errno> {
        let mut done = 0;
        while done < len_bytes {
            let piece = (len_bytes - done).min(ZERO_BYTES);
            let buffer = self.buffer(piece).await?;
            buffer.data().fill(0);
            let payload = Payload::Buffer {
                buffer,
                len_bytes: piece as usize,
            };
            self.write(offset + done, payload, false).await?;
            done += piece;
        }
        match fua {
            true => self.flush().await,
            false => Ok(()),
        }
    }
}

impl Disk for SegmentDisk {
    fn facts(&self) -> DiskFacts {
        self.facts.clone()
    }

    async fn room(&self, len_bytes: u32) -> Result<Payload, Errno> {
        Ok(Payload::Buffer {
            buffer: self.buffer(len_bytes.into()).await?,
            len_bytes: len_bytes as usize,
        })
    }

    async fn read(&self, offset: u64, len_bytes: u32) -> Result<Payload, Errno> {
        let wanted = u64::from(len_bytes);
        let buffer = self.buffer(wanted).await?;
        let ask = Ask {
            op: OpCode::READ,
            flags: 0,
            offset,
            len_bytes: wanted,
            since: None,
        };
        let reply = self.ask(ask, Some((buffer, wanted))).await?;
        answer::whole(&reply, wanted)?; // BRIDGE-2
        Ok(Payload::Answer {
            station: self.station.clone(),
            reply,
            len_bytes: len_bytes as usize,
        })
    }

    async fn write(&self, offset: u64, payload: Payload, fua: bool) -> Result<(), Errno> {
        let Payload::Buffer { buffer, len_bytes } = payload else {
            return Err(Errno::INVAL); // it is no place that we gave
        };
        let len_bytes = len_bytes as u64;
        let ask = Ask {
            op: OpCode::WRITE,
            flags: fua_flag(fua),
            offset,
            len_bytes,
            since: None,
        };
        let reply = self.ask(ask, Some((buffer, len_bytes))).await?;
        answer::whole(&reply, len_bytes) // BRIDGE-2
    }

    fn takes_loans(&self) -> bool {
        let handle = self.station.handle();
        handle.is_some_and(|handle| handle.takes_loans(self.composer))
    }

    async fn read_lent(
        &self,
        offset: u64,
        memory: LentMemory,
    ) -> Result<(Payload, Vec<Range<u64>>), Errno> {
        let len_bytes = memory.len();
        let ask = Ask {
            op: OpCode::READ,
            flags: 0,
            offset,
            len_bytes: len_bytes as u64,
            since: None,
        };
        let (reply, missing) = self.ask_lending(ask, memory).await?;
        let read = Payload::Answer {
            station: self.station.clone(),
            reply,
            len_bytes,
        };
        Ok((read, missing))
    }

    async fn write_lent(&self, offset: u64, memory: LentMemory, fua: bool) -> Result<(), Errno> {
        let ask = Ask {
            op: OpCode::WRITE,
            flags: fua_flag(fua) | flags::LENT,
            offset,
            len_bytes: memory.len() as u64,
            since: None,
        };
        self.ask_lending(ask, memory).await.map(drop)
    }

    async fn flush(&self) -> Result<(), Errno> {
        let ask = Ask {
            op: OpCode::FLUSH,
            flags: 0,
            offset: 0,
            len_bytes: 0,
            since: None,
        };
        self.ask(ask, None).await?.result().map(drop)
    }

    async fn trim(&self, offset: u64, len_bytes: u64, fua: bool) -> Result<(), Errno> {
        if len_bytes == 0 {
            return Ok(());
        }
        let ask = Ask {
            op: OpCode::DISCARD,
            flags: fua_flag(fua),
            offset,
            len_bytes,
            since: None,
        };
        self.ask(ask, None).await?.result().map(drop)
    }

    async fn write_zeroes(
        &self,
        offset: u64,
        len_bytes: u64,
        options: ZeroOptions,
    ) -> Result<(), Errno> {
        if len_bytes == 0 {
            return Ok(());
        }
        match options {
            ZeroOptions {
                no_hole: true,
                fast: true,
                ..
            } => Err(Errno::OPNOTSUPP),
            ZeroOptions {
                no_hole: true, fua, ..
            } => self.write_out_zeroes(offset, len_bytes, fua).await,
            ZeroOptions { fua, .. } => {
                let ask = Ask {
                    op: OpCode::WRITE_ZEROES,
                    flags: fua_flag(fua),
                    offset,
                    len_bytes,
                    since: None,
                };
                self.ask(ask, None).await?.result().map(drop)
            }
        }
    }

    async fn block_status(&self, offset: u64, len_bytes: u64) -> Result<Vec<Extent>, Errno> {
        let buffer = self.buffer(STATUS_BYTES).await?;
        let ask = Ask {
            op: BLOCK_STATUS,
            flags: 0,
            offset,
            len_bytes,
            since: None,
        };
        let reply = self.ask(ask, Some((buffer, STATUS_BYTES))).await?;
        match answer::extents(&reply) {
            // A composer that does not tell: everything may be data.
            Err(Errno::OPNOTSUPP) => Ok(vec![Extent::data(len_bytes)]),
            told => told,
        }
    }

    async fn changed_since(
        &self,
        snapshot: &DiskName,
        offset: u64,
        len_bytes: u64,
    ) -> Result<Vec<Change>, Errno> {
        // What is no name names no snapshot.
        let snapshot = VolumeName::new(snapshot.as_str()).map_err(|_| Errno::NOENT)?;
        let buffer = self.buffer(STATUS_BYTES).await?;
        let ask = Ask {
            op: CHANGED,
            flags: 0,
            offset,
            len_bytes,
            since: Some(&snapshot),
        };
        answer::changes(&self.ask(ask, Some((buffer, STATUS_BYTES))).await?)
    }

    fn leave(&self) {
        let left = self.orphans.enter(self.volume.as_str());
        self.left.replace(Some(left));
    }

    /// The composer comes to know where the bytes are, which is what the first access lacks most; the bytes stay where they
    /// are.
    async fn cache(&self, offset: u64, len_bytes: u64) -> Result<(), Errno> {
        let (mut at, mut left) = (offset, len_bytes);
        for _ in 0..CACHE_ASKS_MAX {
            let told = self.block_status(at, left).await?;
            let told_bytes = told
                .iter()
                .fold(0, |sum: u64, one| sum.saturating_add(one.len_bytes));
            let told_bytes = told_bytes.min(left);
            (at, left) = (at + told_bytes, left - told_bytes);
            if left == 0 || told_bytes == 0 {
                break;
            }
        }
        Ok(())
    }
}
