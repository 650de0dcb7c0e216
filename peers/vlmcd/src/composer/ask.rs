//! What is asked of the mapper.

use std::rc::Rc;

use archipelago_protocol::{
    ATTACH, ATTACHED_BYTES, Attached, ChangedBy, CommitCall, DETACH, GrantCall, GrantHead, Had,
    MAP_DISCARD, MAP_GIVE_UP, MapHead, RUN_BYTES, Run, VolumeIdBytes,
};
use std::ops::Range;
use xseg::{Buffer, Data, Errno, OpCode, PortId, Reply};

use super::core::{Composer, Name};
use super::volume::Volume;
use crate::error::ComposeError;
use crate::pure::{BlockMap, Source};

/// Room for the runs of a MAP_READ answer, if the worst block needs no more.
const RUNS_BYTES: u64 = 64 << 10;

/// One request to the mapper.
struct Ask<'a> {
    action: &'static str,
    op: OpCode,
    target: &'a [u8],
    second: &'a [u8],
    args: [u64; 4],
    extent: (u64, u64),
    handle: u64,
    room: Option<Buffer>,
}

/// A grant, and the buffer that its answer came in, to be used again.
#[derive(Debug)]
pub struct Granted {
    pub head: GrantHead,
    pub source: Source,
    pub subs: Range<u16>,
    /// What the block is made of as yet.
    pub map: BlockMap,
    pub scratch: Buffer,
}

impl<'a> Ask<'a> {
    fn new(action: &'static str, op: OpCode, target: &'a [u8]) -> Self {
        Self {
            action,
            op,
            target,
            second: &[],
            args: [0; 4],
            extent: (0, 0),
            handle: 0,
            room: None,
        }
    }
}

fn nonsense(field: &'static str, value: u64) -> ComposeError {
    ComposeError::Nonsense(archipelago_protocol::BadMessage { field, value })
}

/// The first `count` runs of an answer's data.
fn runs_of(data: Option<Data<'_>>, count: u64) -> Result<Vec<Run>, ComposeError> {
    let len = count.saturating_mul(RUN_BYTES as u64);
    if len == 0 {
        return Ok(Vec::new());
    }
    let data = data.filter(|data| len <= data.len());
    let data = data.ok_or(nonsense("the number of runs", count))?;
    let mut bytes = vec![0; len as usize];
    data.read(0, &mut bytes)?;
    Ok(Run::read_all(&bytes)?)
}

impl Composer {
    /// The mapper that serves the volumes. With several, each volume will have one of its own (P4).
    fn mapper(&self) -> Result<PortId, ComposeError> {
        let first = self.options.mappers.first().copied();
        first.ok_or(ComposeError::Mapper {
            action: "to be there",
            errno: Errno::NOTCONN,
        })
    }

    fn own_port(&self) -> u32 {
        self.station.id().get()
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<Reply, ComposeError> {
        let mapper = self.mapper()?;
        let _permit = self.mapper_permits.acquire(ask.op).await;
        let mut draft = self.station.draft(ask.op).await?;
        draft.set_target(ask.target)?;
        draft.set_snapshot(ask.second)?;
        draft.set_args(ask.args);
        draft.set_extent(ask.extent.0, ask.extent.1);
        draft.set_handle(ask.handle);
        if let Some(room) = ask.room {
            let len = room.data().len();
            draft.attach(room, len)?;
        }
        let reply = self.station.call(draft, mapper).await?;
        match reply.result() {
            Ok(_) => Ok(reply),
            Err(Errno::BADFD) => Err(ComposeError::NotAttached),
            Err(Errno::STALE) if ask.op == OpCode::MAP_COMMIT && reply.args()[3] != 0 => {
                let first_epoch = reply.args()[3];
                Err(ComposeError::Orphaned { first_epoch })
            }
            Err(errno) => Err(ComposeError::Mapper {
                action: ask.action,
                errno,
            }),
        }
    }

    /// `had` is what we had under this name (COMPOSE-4).
    pub async fn ask_attach(
        &self,
        name: &Name,
        had: Had,
    ) -> Result<(Attached, MapHead), ComposeError> {
        let [token, low, high] = had.to_words();
        let room = self.buffer(ATTACHED_BYTES as u64).await?;
        let reply = self
            .ask(Ask {
                second: &name.1,
                args: [self.own_port().into(), token, low, high],
                room: Some(room),
                ..Ask::new("to attach the volume", ATTACH, &name.0)
            })
            .await?;
        let head = MapHead::from_args(reply.args())?;
        let mut bytes = [0; ATTACHED_BYTES];
        let told = reply.result().unwrap_or(0);
        let data = reply.data().filter(|_| told == ATTACHED_BYTES as u64);
        let data = data.ok_or(nonsense("the bytes that tell of a volume", told))?;
        data.read(0, &mut bytes)?;
        Ok((Attached::from_bytes(&bytes), head))
    }

    pub async fn ask_detach(&self, id: &VolumeIdBytes) -> Result<(), ComposeError> {
        let ask = Ask {
            args: [self.own_port().into(), 0, 0, 0],
            ..Ask::new("to detach the volume", DETACH, id)
        };
        self.ask(ask).await.map(drop)
    }

    /// What the first ones of these blocks are made of, as many as it tells.
    pub async fn ask_maps(
        &self,
        volume: &Volume,
        blocks: Range<u64>,
    ) -> Result<(MapHead, Vec<Rc<BlockMap>>), ComposeError> {
        let subs = volume.shape.subs();
        let worst = u64::from(subs) * RUN_BYTES as u64;
        let room = self.buffer(worst.max(RUNS_BYTES)).await?;
        let count = blocks.end - blocks.start;
        let reply = self
            .ask(Ask {
                args: [self.own_port().into(), 0, 0, 0],
                extent: (blocks.start, count),
                room: Some(room),
                ..Ask::new("to read the map", OpCode::MAP_READ, &volume.id)
            })
            .await?;
        let told = reply.result().unwrap_or(0);
        if told == 0 || told > count {
            return Err(nonsense("the number of blocks", told));
        }
        let head = MapHead::from_args(reply.args())?;
        let mut runs = runs_of(reply.data(), head.runs.into())?;
        runs.sort_by_key(|run| run.block);
        let mut maps = Vec::with_capacity(told as usize);
        let mut rest = runs.as_slice();
        for block in blocks.start..blocks.start + told {
            let count = rest.iter().take_while(|run| run.block == block).count();
            let (mine, others) = rest.split_at(count);
            maps.push(Rc::new(BlockMap::from_wire(mine, subs)?));
            rest = others;
        }
        match rest.first() {
            Some(stray) => Err(nonsense("the block of a run", stray.block)),
            None => Ok((head, maps)),
        }
    }

    /// The right to write sub-blocks to a new place.
    pub async fn ask_grant(
        &self,
        volume: &Volume,
        block: u64,
        subs: &Range<u16>,
    ) -> Result<Granted, ComposeError> {
        let a_block = volume.shape.subs();
        let worst = u64::from(a_block) * RUN_BYTES as u64;
        // Also for what is copied up: nobody who has a grant waits for a buffer.
        let room = self.buffer(worst.max(volume.shape.grain_bytes())).await?;
        let call = GrantCall {
            block,
            from: subs.start,
            count: subs.end - subs.start,
            composer: self.own_port(),
        };
        let mut reply = self
            .ask(Ask {
                args: call.to_args(),
                room: Some(room),
                ..Ask::new("a new place", OpCode::MAP_WRITE, &volume.id)
            })
            .await?;
        let head = GrantHead::from_args(reply.args());
        let granted = head.from.checked_add(head.count).map(|end| head.from..end);
        let covers = |granted: &Range<u16>| {
            granted.start <= subs.start && subs.end <= granted.end && granted.end <= a_block
        };
        let granted = granted.filter(covers);
        let granted = granted.ok_or(nonsense("the granted range", head.from.into()))?;
        let runs = runs_of(reply.data(), head.runs.into())?;
        let map = BlockMap::from_wire(&runs, a_block)?;
        let scratch = reply.take_buffer();
        Ok(Granted {
            source: Source::Born {
                birth: volume.id,
                stamp: head.stamp,
            },
            head,
            subs: granted,
            map,
            scratch: scratch.ok_or(nonsense("the buffer of a grant", 0))?,
        })
    }

    fn commit_args(&self, grant: &GrantHead, adopts: u64) -> [u64; 4] {
        let call = CommitCall {
            grant: grant.grant,
            epoch: grant.epoch,
            composer: self.own_port(),
            adopts,
        };
        call.to_args()
    }

    /// The granted write of a block was done. `adopts` is 0, or what the mapper has told that may adopt the grant.
    pub async fn ask_commit(
        &self,
        volume: &Volume,
        block: u64,
        grant: &GrantHead,
        adopts: u64,
    ) -> Result<ChangedBy, ComposeError> {
        let closings = volume.closings();
        let subs = u64::from(grant.from) | u64::from(grant.count) << 16;
        let ask = Ask {
            args: self.commit_args(grant, adopts),
            extent: (block, subs),
            handle: grant.stamp,
            ..Ask::new("to commit a write", OpCode::MAP_COMMIT, &volume.id)
        };
        let changed = ChangedBy::from_args(self.ask(ask).await?.args());
        if volume.hear_token(changed.token, closings) {
            self.note_had(volume);
        }
        Ok(changed)
    }

    /// The granted write was not done.
    pub async fn ask_give_up(&self, volume: &Volume, grant: &GrantHead) {
        let ask = Ask {
            args: self.commit_args(grant, 0),
            ..Ask::new("to give a grant back", MAP_GIVE_UP, &volume.id)
        };
        if let Err(error) = self.ask(ask).await {
            tracing::debug!(%error, "the mapper keeps a grant until we attach the volume anew");
        }
    }

    /// These bytes, whole sub-blocks, become zero.
    pub async fn ask_discard(
        &self,
        volume: &Volume,
        bytes: &Range<u64>,
    ) -> Result<ChangedBy, ComposeError> {
        let closings = volume.closings();
        let ask = Ask {
            args: [self.own_port().into(), 0, 0, 0],
            extent: (bytes.start, bytes.end - bytes.start),
            ..Ask::new("to discard a range", MAP_DISCARD, &volume.id)
        };
        let changed = ChangedBy::from_args(self.ask(ask).await?.args());
        if volume.hear_token(changed.token, closings) {
            self.note_had(volume);
        }
        Ok(changed)
    }

    /// All that was answered is durable when this returns (D2).
    pub async fn ask_flush(&self, volume: &Volume) -> Result<(), ComposeError> {
        let ask = Ask {
            args: [self.own_port().into(), volume.had().token, 0, 0],
            ..Ask::new("to flush the volume", OpCode::FLUSH, &volume.id)
        };
        self.ask(ask).await.map(drop)
    }
}
