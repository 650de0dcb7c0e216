//! The world of a mapper that is a peer: blockers and composers behind ports.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::{Recall, RecallKind};
use archipelago_runtime::{CallError, Handle, Station};
use archipelago_store::{BlockerClient, LockOwner, StoreError};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use xseg::{OpCode, PortId, boot_ns};

use crate::engine::{ComposerId, NoAnswer, UserId, World};
use crate::map::{BootId, VolumeId};

/// Between pieces of long work: some hundred pieces a second.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub struct PortWorld {
    handle: Handle,
    station: Rc<Station>,
    maps: Rc<BlockerClient>,
    data: Rc<BlockerClient>,
    /// Beside whose port our lease stands.
    locks: PortId,
    owner: LockOwner,
    boot: BootId,
    recall_timeout: Duration,
    composers: BTreeSet<ComposerId>,
}

/// Whom a mapper asks, and who it is.
#[derive(Clone, Debug)]
pub struct Places {
    /// The blocker of maps and locks.
    pub maps: PortId,
    /// The blocker of data.
    pub data: PortId,
    /// The composers that ask it.
    pub composers: Vec<PortId>,
    pub owner: LockOwner,
    /// How long a composer may take to give up what it was told (P1).
    pub recall_timeout: Duration,
}

impl PortWorld {
    pub fn new(handle: &Handle, station: Rc<Station>, places: Places) -> Result<Self, StoreError> {
        Ok(Self {
            maps: Rc::new(BlockerClient::new(station.clone(), places.maps)?),
            data: Rc::new(BlockerClient::new(station.clone(), places.data)?),
            locks: places.maps,
            owner: places.owner,
            boot: boot_id()?,
            recall_timeout: places.recall_timeout,
            composers: places
                .composers
                .iter()
                .map(|port| ComposerId(port.get()))
                .collect(),
            handle: handle.clone(),
            station,
        })
    }
}

/// The kernel's name for this boot.
fn boot_id() -> Result<BootId, StoreError> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_err(|error| StoreError::Io(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let number = u128::from_str_radix(&digits, 16).map_err(|_| StoreError::Io(Errno::INVAL))?;
    Ok(BootId(number.to_be_bytes()))
}

impl PortWorld {
    /// A composer that is not there holds nothing if nothing of it is under way (S7).
    fn has_gone(&self, composer: PortId) -> bool {
        let segment = self.station.segment();
        let report = segment.report_port(composer.get());
        let is_vacant = report.is_ok_and(|report| !report.life.is_owned() && !report.lock_held);
        is_vacant
            && segment
                .away_from(composer.get())
                .is_ok_and(|away| away.is_empty())
    }

    /// Does anybody use what is called so through this composer?
    pub fn is_used(&self, composer: ComposerId, name: &str) -> bool {
        !self.users_through(composer, name).is_empty()
    }

    /// How long our lease is in force yet; `None` where none is kept.
    pub fn lease_left_ms(&self) -> Option<u64> {
        let lease = self.station.segment().lease(self.locks);
        (lease.generation() > 0).then(|| lease.left_ns(boot_ns()) / 1_000_000)
    }

    fn users_through(&self, composer: ComposerId, name: &str) -> Vec<UserId> {
        let segment = self.station.segment();
        let port = segment.geometry().port(composer.0);
        let users = port.map(|port| archipelago_protocol::users(segment, port));
        let users = users.unwrap_or_default().into_iter();
        let of_name = users.filter(|user| user.target == name);
        let id_of = |user: archipelago_protocol::User| UserId {
            port: user.port,
            serial: user.serial,
        };
        of_name.map(id_of).collect()
    }
}

impl World for PortWorld {
    type Store = BlockerClient;

    fn maps(&self) -> &Rc<BlockerClient> {
        &self.maps
    }

    fn data(&self) -> &Rc<BlockerClient> {
        &self.data
    }

    fn owner(&self) -> &LockOwner {
        &self.owner
    }

    fn boot(&self) -> BootId {
        self.boot
    }

    fn now_seconds(&self) -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |since| since.as_secs())
    }

    fn random_id(&self) -> VolumeId {
        let mut bytes = [0; 16];
        loop {
            let filled = getrandom(&mut bytes, GetRandomFlags::empty());
            if let (Ok(16), Some(id)) = (filled, VolumeId::new(bytes)) {
                return id;
            }
        }
    }

    fn first_epoch(&self) -> u64 {
        self.handle.now_ns()
    }

    fn composers(&self) -> BTreeSet<ComposerId> {
        self.composers.clone()
    }

    fn users(&self, name: &str) -> BTreeSet<UserId> {
        let through = |composer: &ComposerId| self.users_through(*composer, name);
        self.composers.iter().flat_map(through).collect()
    }

    fn lease_generation(&self) -> u64 {
        self.station.segment().lease(self.locks).generation()
    }

    fn is_lease_in_force(&self, generation: u64) -> bool {
        let lease = self.station.segment().lease(self.locks);
        lease.generation() == generation && lease.is_in_force(boot_ns())
    }

    fn instance(&self) -> u32 {
        self.station.id().get()
    }

    async fn pause(&self) {
        self.handle.sleep(PAUSE).await;
    }

    async fn recall(
        &self,
        composer: ComposerId,
        volume: VolumeId,
        recall: Recall,
    ) -> Result<(), NoAnswer> {
        let asked = self.ask_back(composer, volume, recall).await;
        asked.map_err(|error| {
            tracing::warn!(composer = composer.0, %volume, ?recall, %error, "a composer keeps what it holds");
            NoAnswer(composer)
        })
    }
}

impl PortWorld {
    async fn ask_back(
        &self,
        composer: ComposerId,
        volume: VolumeId,
        recall: Recall,
    ) -> Result<(), Errno> {
        let refused = |error: CallError| error.errno();
        let to = self.station.segment().geometry().port(composer.0);
        let to = to.ok_or(Errno::NODEV)?;
        if recall.kind != RecallKind::Detach && self.has_gone(to) {
            return Ok(());
        }
        let mut draft = self.station.draft(OpCode::RECALL).await.map_err(refused)?;
        draft
            .set_target(volume.as_bytes())
            .map_err(|_| Errno::INVAL)?;
        draft.set_args(recall.to_args());
        draft.set_deadline_ns(self.handle.after_ns(self.recall_timeout));
        let reply = self.station.call(draft, to).await.map_err(refused)?;
        reply.result().map(drop)
    }
}
