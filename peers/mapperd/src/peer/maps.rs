//! What composers ask.

use std::rc::Rc;

use archipelago_protocol::{
    ATTACHED_BYTES, Attached, ChangedBy, CommitCall, GrantCall, GrantHead, Had, MapHead, NOT_KEPT,
    RUN_BYTES, Run,
};
use xseg::Incoming;

use super::answer::{Answer, target_id};
use super::mapperd::Mapperd;
use super::world::PortWorld;
use crate::engine::{ComposerId, MapError, Orphan, View, Volume, World};
use crate::map::{BlockMap, Head, Shape, Stamp, VolumeId};

/// Blocks of one answer, however large the buffer.
const BLOCKS_MAX: u64 = 4096;
/// The epoch of what never changes.
const FOR_EVER: u64 = 1;

fn bad(error: &archipelago_protocol::BadMessage) -> MapError {
    MapError::Invalid {
        what: "the request",
        why: error.to_string(),
    }
}

/// What a composer says that it was granted.
fn orphan(request: &Incoming, call: &CommitCall) -> Result<Orphan, MapError> {
    let words = request.request();
    let narrow = |value: u64| {
        u16::try_from(value).map_err(|_| MapError::Invalid {
            what: "the sub-blocks of a grant",
            why: format!("{:#x}", words.length),
        })
    };
    let (from, count) = (narrow(words.length & 0xffff)?, narrow(words.length >> 16)?);
    Ok(Orphan {
        first_epoch: call.adopts,
        block: words.offset,
        subs: from..from.saturating_add(count),
        stamp: Stamp::from_bits(words.handle),
    })
}

fn composer(request: &Incoming) -> Result<ComposerId, MapError> {
    let port = request.args()[0];
    u32::try_from(port)
        .map(ComposerId)
        .map_err(|_| MapError::Invalid {
            what: "the composer's port",
            why: port.to_string(),
        })
}

/// By which token the composer had the volume (LOST-3).
fn had_by(request: &Incoming) -> u64 {
    request.args()[1]
}

/// What the composer had when it asked for a name: the volume of that name now, or one before it (LOST-3).
fn had_before(request: &Incoming) -> Had {
    let [_, token, low, high] = request.args();
    Had::from_words([token, low, high])
}

fn changed_by(volume: &Volume<PortWorld>, epoch: u64) -> Answer {
    let token = volume.token();
    Answer::args(ChangedBy { epoch, token }.to_args())
}

fn head_of(head: &Head, epoch: u64, floor: u64) -> MapHead {
    MapHead {
        epoch,
        floor,
        size: head.size_bytes,
        object_bits: head.shape.object_bits(),
        grain_bits: head.shape.grain_bits(),
        is_read_only: head.flags.snapshot,
        runs: 0,
    }
}

fn push_runs(block: u64, map: &BlockMap, shape: Shape, to: &mut Vec<u8>) -> u32 {
    let mut count = 0;
    for (subs, source) in map.runs(0..shape.subs()) {
        let Some(source) = source else { continue };
        let run = Run {
            block,
            from: subs.start,
            count: subs.end - subs.start,
            source: source.to_wire(),
        };
        run.write(to);
        count += 1;
    }
    count
}

/// What a map is read from.
enum Readable {
    Open(Rc<Volume<PortWorld>>),
    Still(Rc<View>),
    /// Somebody else may change it.
    Foreign(Rc<View>),
}

impl Mapperd {
    pub(super) async fn attach(&self, request: &Incoming) -> Result<Answer, MapError> {
        let name = super::answer::target_name(request)?;
        let composer = composer(request)?;
        let mut loaded = self.mapper.find(&name).await?;
        while self.letting_go.over(loaded.head.id).await {
            loaded = self.mapper.find(&name).await?;
        }
        self.check_snapshot_of(request, &loaded.head).await?;
        let id = loaded.head.id;
        let had = had_before(request);
        if let Some(had_id) = VolumeId::new(had.id) {
            self.mapper.hear_had(had_id, had.token).await?;
        }
        let without_lock = |lease| Attached {
            id: *id.as_bytes(),
            lease,
            token: 0,
            is_lost: self.mapper.check_not_lost(id).is_err(),
        };
        // Before it is looked whose the lock is.
        let lease = self.mapper.base().world.lease_generation();
        let (head, attached) = if loaded.head.flags.snapshot {
            let view = Rc::new(View::of(loaded));
            self.still.attach(view.clone(), composer);
            (head_of(&view.head, FOR_EVER, u64::MAX), without_lock(lease))
        } else {
            match self.attach_open(id, composer).await {
                Ok(told) => told,
                // Reads do without the lock (L2).
                Err(MapError::Locked { .. } | MapError::Taken { .. }) => {
                    let head = head_of(&loaded.head, NOT_KEPT, u64::MAX);
                    (head, without_lock(lease))
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Answer {
            done: ATTACHED_BYTES as u64,
            args: head.to_args(),
            payload: attached.to_bytes().to_vec(),
        })
    }

    async fn attach_open(
        &self,
        id: VolumeId,
        composer: ComposerId,
    ) -> Result<(MapHead, Attached), MapError> {
        let volume = self.mapper.open_id(id, false).await?;
        let lease = self.mapper.vouch(&volume).await?; // VOUCH-1
        volume.add_composer(composer);
        settled(&volume).await?;
        let attached = Attached {
            id: *id.as_bytes(),
            lease,
            token: volume.token(),
            is_lost: false,
        };
        Ok((head_now(&Readable::Open(volume)), attached))
    }

    /// `V@S` means S only if it is V's.
    pub(super) async fn check_snapshot_of(
        &self,
        request: &Incoming,
        head: &Head,
    ) -> Result<(), MapError> {
        let volume = request.snapshot();
        if volume.as_bytes().is_empty() {
            return Ok(());
        }
        let volume = super::answer::name(volume.as_str())?;
        self.check_is_of(head, &volume).await
    }

    pub(super) fn detach(&self, request: &Incoming) -> Result<Answer, MapError> {
        let (id, composer) = (target_id(request)?, composer(request)?);
        self.still.detach(id, composer);
        if let Some(volume) = self.mapper.open_volume(id) {
            volume.remove_composer(composer);
        }
        Ok(Answer::default())
    }

    async fn readable(&self, id: VolumeId) -> Result<Readable, MapError> {
        if let Some(view) = self.still.view(id) {
            return Ok(Readable::Still(view));
        }
        match self.mapper.open_id(id, false).await {
            Ok(volume) => Ok(Readable::Open(volume)),
            Err(MapError::ReadOnly { .. }) => {
                Ok(Readable::Still(Rc::new(self.mapper.base().view(id).await?)))
            }
            Err(MapError::Locked { .. } | MapError::Taken { .. }) => Ok(Readable::Foreign(
                Rc::new(self.mapper.base().view(id).await?),
            )),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn read_map(&self, request: &Incoming) -> Result<Answer, MapError> {
        let (id, composer) = (target_id(request)?, composer(request)?);
        self.letting_go.over(id).await;
        let words = request.request();
        let room = request.data().map_or(0, |data| data.len());
        let mut readable = self.readable(id).await?;
        if let Readable::Open(volume) = &readable {
            volume.add_composer(composer);
        }
        loop {
            if let Readable::Open(volume) = &readable {
                settled(volume).await?;
            }
            let head = head_now(&readable);
            let wanted = (words.offset, words.length);
            match self.told_of(&readable, head, wanted, room).await {
                // All of it is said under one epoch.
                Ok(answer) if head_now(&readable).epoch == head.epoch => return Ok(answer),
                Ok(_) => {}
                Err(error) => readable = self.look_again(id, &readable, error).await?,
            }
        }
    }

    /// Whoever has the lock may have published, and have taken away what we read: then that is no error (L2).
    async fn look_again(
        &self,
        id: VolumeId,
        readable: &Readable,
        error: MapError,
    ) -> Result<Readable, MapError> {
        let Readable::Foreign(view) = readable else {
            return Err(error);
        };
        let newer = self.mapper.base().view(id).await?;
        if newer.head.version == view.head.version {
            return Err(error);
        }
        Ok(Readable::Foreign(Rc::new(newer)))
    }

    /// The runs of as many of these blocks as there is room for.
    async fn told_of(
        &self,
        readable: &Readable,
        head: MapHead,
        (first, count): (u64, u64),
        room: u64,
    ) -> Result<Answer, MapError> {
        let shape = Shape::new(head.object_bits, head.grain_bits);
        let shape = shape.map_err(|error| MapError::Invalid {
            what: "the shape",
            why: error.to_string(),
        })?;
        let end = first.saturating_add(count.min(BLOCKS_MAX));
        let end = end.min(shape.blocks(head.size));
        let mut runs = Vec::new();
        let mut told = MapHead { runs: 0, ..head };
        let mut done = 0;
        for block in first..end {
            let map = match readable {
                Readable::Open(volume) => volume.block(block).await?,
                Readable::Still(view) | Readable::Foreign(view) => {
                    view.block(self.mapper.base(), block).await?
                }
            };
            let before = runs.len();
            let of_block = push_runs(block, &map, shape, &mut runs);
            if runs.len() as u64 > room {
                runs.truncate(before);
                break;
            }
            told.runs += of_block;
            done += 1;
        }
        Ok(Answer {
            done,
            args: told.to_args(),
            payload: runs,
        })
    }

    pub(super) async fn grant(&self, request: &Incoming) -> Result<Answer, MapError> {
        let id = target_id(request)?;
        let call = GrantCall::from_args(request.args()).map_err(|error| bad(&error))?;
        self.letting_go.over(id).await;
        // Writes wait until the owner releases the lock (L2).
        let volume = self.mapper.open_id(id, true).await?;
        check_asker(request)?;
        let composer = ComposerId(call.composer);
        volume.add_composer(composer);
        let subs = call.from..call.from.saturating_add(call.count);
        let granted = volume.grant(composer, call.block, subs).await?;
        let mut runs = Vec::new();
        for (subs, source) in granted.map.runs(granted.subs.clone()) {
            let Some(source) = source else { continue };
            Run {
                block: call.block,
                from: subs.start,
                count: subs.end - subs.start,
                source: source.to_wire(),
            }
            .write(&mut runs);
        }
        let head = GrantHead {
            grant: granted.number,
            epoch: granted.epoch,
            stamp: granted.source.stamp().map_or(0, Stamp::bits),
            is_fresh: granted.is_fresh,
            from: granted.subs.start,
            count: granted.subs.end - granted.subs.start,
            runs: u16::try_from(runs.len() / RUN_BYTES).unwrap_or(u16::MAX),
        };
        if runs.len() as u64 > request.data().map_or(0, |data| data.len()) {
            volume.give_up(composer, granted.number);
            return Err(MapError::Invalid {
                what: "the buffer",
                why: format!("{} bytes of runs do not fit", runs.len()),
            });
        }
        Ok(Answer {
            done: runs.len() as u64,
            args: head.to_args(),
            payload: runs,
        })
    }

    pub(super) async fn commit(&self, request: &Incoming) -> Result<Answer, MapError> {
        let id = target_id(request)?;
        let call = CommitCall::from_args(request.args()).map_err(|error| bad(&error))?;
        let volume = self.mapper.open_or_left(id).await?;
        let volume = volume.ok_or(MapError::Stale)?;
        let composer = ComposerId(call.composer);
        let committed = if call.adopts == 0 {
            volume.commit(composer, call.grant).await
        } else {
            let orphan = orphan(request, &call)?;
            volume.adopt(composer, &orphan).await
        };
        let epoch = committed.map_err(|error| {
            let adopts = volume.with_state(crate::engine::State::adopts);
            match (&error, adopts) {
                (MapError::Stale, Some(first_epoch)) => MapError::Orphaned { first_epoch },
                _ => error,
            }
        })?;
        self.wake_tidy();
        Ok(changed_by(&volume, epoch))
    }

    pub(super) fn give_up(&self, request: &Incoming) -> Result<Answer, MapError> {
        let id = target_id(request)?;
        let call = CommitCall::from_args(request.args()).map_err(|error| bad(&error))?;
        if let Some(volume) = self.mapper.open_volume(id) {
            volume.give_up(ComposerId(call.composer), call.grant);
            self.wake_tidy();
        }
        Ok(Answer::default())
    }

    pub(super) async fn discard(&self, request: &Incoming) -> Result<Answer, MapError> {
        let (id, composer) = (target_id(request)?, composer(request)?);
        self.letting_go.over(id).await;
        let words = request.request();
        let volume = self.mapper.open_id(id, true).await?;
        check_asker(request)?;
        let epoch = volume
            .discard(Some(composer), words.offset, words.length)
            .await?;
        self.wake_tidy();
        Ok(changed_by(&volume, epoch))
    }

    pub(super) async fn flush(&self, request: &Incoming) -> Result<Answer, MapError> {
        let id = target_id(request)?;
        let had = had_by(request);
        self.mapper.flush(id, composer(request)?, had).await?;
        Ok(Answer::default())
    }
}

/// What was asked for by a composer that is gone is not begun any more: another node may have had the lock since (L3).
fn check_asker(request: &Incoming) -> Result<(), MapError> {
    if request.has_asker() {
        return Ok(());
    }
    Err(MapError::Stale)
}

/// Of a volume that was closed meanwhile nothing is told: its lock is given back, and nobody would recall it (CLOSE-3).
async fn settled(volume: &Volume<PortWorld>) -> Result<(), MapError> {
    volume.settled().await;
    volume.check_open()
}

fn head_now(readable: &Readable) -> MapHead {
    match readable {
        Readable::Open(volume) => {
            volume.with_state(|state| head_of(&state.head, state.epoch, state.told_floor().bits()))
        }
        Readable::Still(view) => head_of(&view.head, FOR_EVER, u64::MAX),
        Readable::Foreign(view) => head_of(&view.head, NOT_KEPT, u64::MAX),
    }
}
