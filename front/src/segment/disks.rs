//! Which volumes there are, and opening them.
//!
//! # Invariants
//! * **BRIDGE-3** Clients' payloads never fill all buffers of a size, where there are two: composer and mapper, for whom they
//!   wait, always find some (P1, F65, MAG-2).

use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::{CALL_BYTES_MAX, ListAnswer, ListCall, VolumeInfo, VolumeRef};
use archipelago_runtime::{CallError, Handle, Station};
use xseg::{Errno, OpCode, PortId, RequestError};

use super::answer;
use super::disk::{SegmentDisk, Volume};
use super::predecessor;
use super::using::Using;
use crate::Disks;
use crate::listed::{Listed, OpenRefusal};
use crate::name::DiskName;
use crate::orphans::Orphans;

/// Pages of a list that are asked for: an end, should a mapper never say that there is one.
const LIST_PAGES_MAX: usize = 10_000;

/// One in so many buffers of each size is not for clients (BRIDGE-3).
const LEFT_PART: u32 = 8;

/// Whom to ask.
#[derive(Clone, Debug)]
pub struct SegmentPlaces {
    /// The composer: I/O, and what a volume is.
    pub composer: PortId,
    /// The mappers, each of which knows some of the volumes: for the list.
    pub mappers: Vec<PortId>,
    /// How long they may take to tell. I/O takes as long as it takes.
    pub call_timeout: Duration,
}

/// All volumes of a deployment.
#[derive(Clone, Debug)]
pub struct SegmentDisks {
    handle: Handle,
    station: Rc<Station>,
    places: SegmentPlaces,
    orphans: Orphans,
}

impl SegmentDisks {
    /// `station` is the bridge's port.
    pub fn new(handle: &Handle, station: Rc<Station>, places: SegmentPlaces) -> Self {
        station.leave_buffers_to_others(LEFT_PART);
        Self {
            handle: handle.clone(),
            station,
            places,
            orphans: Orphans::default(),
        }
    }

    async fn list_of(&self, mapper: PortId) -> Result<Vec<Listed>, Errno> {
        let mut all = Vec::new();
        let mut call = ListCall::default();
        for _ in 0..LIST_PAGES_MAX {
            let page = self.page_of(mapper, &call).await?;
            all.extend(page.volumes.iter().map(listed));
            let last = page.last().map(str::to_owned);
            if !page.more || last.is_none() {
                return Ok(all);
            }
            call.after = last;
        }
        Err(Errno::OVERFLOW)
    }

    async fn page_of(&self, mapper: PortId, call: &ListCall) -> Result<ListAnswer, Errno> {
        let text = serde_json::to_vec(call).expect("a list call has nothing that JSON lacks");
        let fits = |error: CallError| error.errno();
        let buffer = match self.station.buffer(CALL_BYTES_MAX).await {
            // A small segment has no buffers of that size; its lists come in smaller pages.
            Err(CallError::Refused(RequestError::TooLarge { largest, .. })) => {
                self.station.buffer(largest).await
            }
            other => other,
        }
        .map_err(fits)?;
        let room = buffer.data().len();
        let refused = |error: RequestError| error.errno();
        buffer.data().write(0, &text).map_err(refused)?;
        let mut draft = self.station.draft(OpCode::LIST).await.map_err(fits)?;
        draft.attach(buffer, room).map_err(refused)?;
        draft.set_extent(0, text.len() as u64);
        draft.set_deadline_ns(self.handle.after_ns(self.places.call_timeout));
        let reply = self.station.call(draft, mapper).await.map_err(fits)?;
        let len_bytes = reply.result()?;
        let data = reply.data().ok_or(Errno::IO)?;
        let data = data.part(0, len_bytes).map_err(|_| Errno::IO)?;
        let mut answer = vec![0; len_bytes as usize];
        data.read(0, &mut answer).map_err(refused)?;
        serde_json::from_slice(&answer).map_err(|_| Errno::IO)
    }

    async fn info(&self, volume: &Volume) -> Result<SegmentDisk, Errno> {
        let composer = self.places.composer;
        let using = Using::begin(&self.handle, &self.station, composer, volume).await?;
        let failed = |error: CallError| error.errno();
        let mut draft = self.station.draft(OpCode::INFO).await.map_err(failed)?;
        volume.name(&mut draft)?;
        draft.set_deadline_ns(self.handle.after_ns(self.places.call_timeout));
        let reply = self.station.call(draft, composer).await.map_err(failed)?;
        let facts = answer::facts(&reply, String::new())?;
        let settled = async {
            self.orphans.settled(volume.as_str()).await; // ORPHAN-1
            predecessor::settled(&self.handle, &self.station, volume.as_str()).await;
        };
        let settled = self.handle.timeout(self.places.call_timeout, settled);
        settled.await.map_err(|_| Errno::BUSY)?; // BEFORE-1
        let station = self.station.clone();
        Ok(SegmentDisk::new(
            station,
            composer,
            volume.clone(),
            self.orphans.clone(),
            (facts, using),
        ))
    }
}

fn listed(volume: &VolumeInfo) -> Listed {
    let kind = if volume.is_snapshot {
        "snapshot"
    } else {
        "volume"
    };
    Listed {
        name: volume.name.clone(),
        description: format!("{kind} of {} bytes", volume.size),
    }
}

impl Disks for SegmentDisks {
    type Disk = SegmentDisk;

    async fn list(&self) -> Result<Vec<Listed>, Errno> {
        let mut all = Vec::new();
        for mapper in &self.places.mappers {
            all.extend(self.list_of(*mapper).await?);
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    async fn open(&self, name: &DiskName) -> Result<SegmentDisk, OpenRefusal> {
        let name: VolumeRef = name.as_str().parse().map_err(|_| OpenRefusal::Unknown)?;
        let volume = Volume::from(name);
        match self.info(&volume).await {
            Ok(export) => Ok(export),
            Err(Errno::NOENT) => Err(OpenRefusal::Unknown),
            Err(Errno::SHUTDOWN) => Err(OpenRefusal::Shutdown),
            Err(errno) => {
                tracing::warn!(?volume, %errno, "a volume was not opened");
                let reason = format!("the volume cannot be opened: {errno}");
                Err(OpenRefusal::Denied { reason })
            }
        }
    }
}
