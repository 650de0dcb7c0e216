//! The peer.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use archipelago_protocol::{
    ATTACH, CHILDREN, DETACH, LOCK, LOCKS, MAP_DISCARD, MAP_GIVE_UP, UNLOCK,
};
use archipelago_runtime::local::Notify;
use archipelago_runtime::{Handle, Peer, Service, Station};
use archipelago_store::StoreError;
use xseg::{Incoming, OpCode};

use super::answer::{Answer, answer};
use super::collecting::Collecting;
use super::hashing::Hashing;
use super::letting_go::LettingGo;
use super::predecessor::Predecessor;
use super::still::Still;
use super::world::{Places, PortWorld};
use crate::engine::{Base, MapError, Mapper};

/// A volume's journal is folded into its tree when it has so many bytes.
const JOURNAL_BYTES: u64 = 128 << 10;
/// Between a change and the tidying up after it (M5: within five seconds).
const TIDY_AFTER: Duration = Duration::from_secs(2);

/// Between looks at the locks of open volumes (TAKEN-2).
const LOOK_AFTER_LOCKS: Duration = Duration::from_secs(5);

/// Between looks whether a store that was late answers again.
const LOOK_AFTER_LATE: Duration = Duration::from_millis(500);

/// How a mapper is run.
#[derive(Clone, Debug)]
pub struct Options {
    pub places: Places,
    pub nr_ops: u32,
    /// What was removed is kept for so long.
    pub trash_ttl: Duration,
    /// Pages of maps in memory (M8).
    pub pages_max: usize,
}

#[derive(Debug)]
pub struct Mapperd {
    pub(super) mapper: Rc<Mapper<PortWorld>>,
    pub(super) still: Still,
    pub(super) letting_go: LettingGo,
    pub(super) hashing: Hashing,
    pub(super) collecting: Collecting,
    pub(super) hashed: Notify,
    tidy: Notify,
    /// A volume failed because its store did not answer in time.
    late: Notify,
    empty: Notify,
    trash_ttl: Duration,
    is_stopping: Cell<bool>,
    pub(super) predecessor: Predecessor,
    pub(super) handle: Handle,
    pub(super) me: Weak<Self>,
}

/// A mapper that runs.
#[derive(Debug)]
pub struct Running {
    peer: Rc<Mapperd>,
    service: Service,
}

impl Running {
    /// Serves `station`.
    pub fn start(
        handle: &Handle,
        station: &Rc<Station>,
        options: Options,
    ) -> Result<Self, StoreError> {
        let blockers = [options.places.maps, options.places.data];
        let predecessor = Predecessor::of(handle, station, &blockers);
        let world = PortWorld::new(handle, station.clone(), options.places)?;
        let base = Rc::new(Base::new(world, options.pages_max));
        let peer = Rc::new_cyclic(|me| Mapperd {
            mapper: Rc::new(Mapper::new(base)),
            still: Still::default(),
            letting_go: LettingGo::default(),
            hashing: Hashing::default(),
            collecting: Collecting::default(),
            hashed: Notify::new(),
            tidy: Notify::new(),
            late: Notify::new(),
            empty: Notify::new(),
            trash_ttl: options.trash_ttl,
            is_stopping: Cell::new(false),
            predecessor,
            handle: handle.clone(),
            me: me.clone(),
        });
        let service = handle.serve(station, options.nr_ops, peer.clone());
        let (tidying, emptying, looking) = (peer.clone(), peer.clone(), peer.clone());
        let own = handle.clone();
        handle.spawn(async move { looking.keep_looking_after_locks(&own).await });
        let (own, late) = (handle.clone(), peer.clone());
        handle.spawn(async move { late.keep_looking_after_late(&own).await });
        let own = handle.clone();
        handle.spawn(async move { tidying.keep_tidy(&own).await });
        let own = handle.clone();
        handle.spawn(async move { emptying.keep_emptying(&own).await });
        Ok(Self { peer, service })
    }

    pub fn inflight(&self) -> u32 {
        self.service.inflight()
    }

    /// Stops taking requests, and closes all volumes (P2).
    pub async fn stop(&self) {
        self.peer.is_stopping.set(true);
        self.service.drain().await;
        self.peer.stop_hashing().await;
        if let Err(error) = self.peer.mapper.close_all().await {
            tracing::warn!(%error, "a volume is left open; the next start goes on with it");
        }
    }
}

impl Mapperd {
    /// Something was changed that is to be tidied up after.
    pub(super) fn wake_tidy(&self) {
        self.tidy.notify_one();
    }

    pub(super) fn wake_emptying(&self) {
        self.empty.notify_one();
    }

    async fn keep_tidy(&self, handle: &Handle) {
        loop {
            self.tidy.notified().await;
            handle.sleep(TIDY_AFTER).await;
            if self.is_stopping.get() {
                return;
            }
            self.mapper.tidy(JOURNAL_BYTES).await;
        }
    }

    /// Whoever breaks our locks does not tell us (F49).
    async fn keep_looking_after_locks(&self, handle: &Handle) {
        loop {
            handle.sleep(LOOK_AFTER_LOCKS).await;
            if self.is_stopping.get() {
                return;
            }
            self.mapper.look_after_locks().await;
            self.note_late();
        }
    }

    fn note_late(&self) {
        if self.mapper.has_late() {
            self.late.notify_one();
        }
    }

    /// Who asks for a volume whose store was late is refused until it was read anew (REOPEN-1).
    async fn keep_looking_after_late(&self, handle: &Handle) {
        loop {
            self.late.notified().await;
            while self.mapper.has_late() && !self.is_stopping.get() {
                handle.sleep(LOOK_AFTER_LATE).await;
                self.mapper.look_after_late().await;
            }
        }
    }

    /// Gives back what was removed, when its time has come.
    async fn keep_emptying(&self, handle: &Handle) {
        self.predecessor.ended().await;
        if let Err(error) = self.mapper.open_left().await {
            tracing::warn!(%error, "volumes that were open are opened when they are used");
        }
        loop {
            if self.is_stopping.get() {
                return;
            }
            if let Err(error) = self.mapper.empty_trash(self.trash_ttl.as_secs()).await {
                tracing::warn!(%error, "the trash is not emptied");
            }
            let left = self
                .mapper
                .base()
                .trash()
                .await
                .is_ok_and(|trash| trash.is_empty());
            if left {
                self.empty.notified().await;
            } else {
                let pause = self
                    .trash_ttl
                    .clamp(Duration::from_secs(30), Duration::from_secs(3600));
                let _ = handle.timeout(pause, self.empty.notified()).await; // whichever comes first
            }
        }
    }

    async fn finish(&self, request: Incoming) {
        self.predecessor.ended().await; // PREDECESSOR-1
        let result = self.do_op(&request).await;
        if let Err(error) = &result {
            tracing::debug!(op = %request.request().op, target = ?request.target(), %error, "failed");
            self.note_late();
        }
        answer(request, result);
    }

    async fn do_op(&self, request: &Incoming) -> Result<Answer, MapError> {
        match request.request().op {
            OpCode::MAP_READ => self.read_map(request).await,
            OpCode::MAP_WRITE => self.grant(request).await,
            OpCode::MAP_COMMIT => self.commit(request).await,
            MAP_GIVE_UP => self.give_up(request),
            MAP_DISCARD => self.discard(request).await,
            OpCode::FLUSH => self.flush(request).await,
            ATTACH => self.attach(request).await,
            DETACH => self.detach(request),
            OpCode::CREATE | OpCode::CLONE => self.create(request).await,
            OpCode::SNAPSHOT => self.snapshot(request).await,
            OpCode::REMOVE => self.remove(request).await,
            OpCode::RENAME => self.rename(request).await,
            OpCode::RESIZE => self.resize(request).await,
            OpCode::INFO => self.info(request).await,
            OpCode::LIST => self.list(request).await,
            OpCode::OPEN => self.open(request).await,
            OpCode::CLOSE => self.close(request).await,
            LOCK => self.lock(request).await,
            UNLOCK => self.unlock(request).await,
            LOCKS => self.locks(request).await,
            CHILDREN => self.children(request).await,
            OpCode::HASH => self.hash(request).await,
            OpCode::GC => self.gc(request).await,
            other => Err(MapError::Unsupported { op: other.0 }),
        }
    }
}

impl Peer for Mapperd {
    async fn handle(&self, request: Incoming) {
        // What may wait for others (a foreign lock, another grant) leaves the count of requests: those whom it waits for
        // must get in (P1).
        let waits = matches!(request.request().op, OpCode::MAP_WRITE | MAP_DISCARD);
        match self.me.upgrade().filter(|_| waits) {
            Some(me) => drop(self.handle.spawn(async move { me.finish(request).await })),
            None => self.finish(request).await,
        }
    }

    fn notice(&self, notice: Incoming) {
        // A cancelled call runs to its end: what it changes is whole either way.
        notice.answer(0);
    }
}
