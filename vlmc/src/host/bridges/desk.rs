//! What is served to guests and to the kernel, and the calls that begin and end it.
//!
//! # Invariants
//! * **DESK-1** A volume is served once, however often that is asked for.
//! * **DESK-2** Who may only read cannot write, whatever was agreed with whom else (MAPPED-1).
//! * **DESK-3** A volume whose call does not end, as when its store hangs, keeps no other's from theirs, nor the node from its stop
//!   (F38). Nobody waits for it longer than [`CALL_WITHIN`]; it goes on, and is not overtaken by another one of its volume.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::{Disk as _, DiskName, Disks as _, OpenRefusal, SegmentDisk, SegmentDisks};
use archipelago_nbd::Server;
use archipelago_protocol::ErrorCode;
use archipelago_runtime::Handle;

use super::limits::Limits;
use super::mapped_disks::MappedDisks;
use super::turns::Turns;
use super::ublk::UblkDisk;
use super::vhost::VhostDisk;
use crate::attach::{BridgeAnswer, BridgeCall, Kind, ServeCall, Served};
use crate::cli::ErrorReport;

/// How long what is in flight may take when a volume is served no more.
const END_WITHIN: Duration = Duration::from_secs(10);
/// How long whoever calls waits.
const CALL_WITHIN: Duration = Duration::from_secs(20);

/// One volume that is served, and what serves it.
#[derive(Clone)]
struct Serving {
    call: ServeCall,
    by: By,
}

#[derive(Clone)]
enum By {
    Vhost(Rc<VhostDisk>),
    Ublk(Rc<UblkDisk>),
}

/// See the module.
pub(super) struct Desk {
    handle: Handle,
    disks: SegmentDisks,
    nbd: Server<MappedDisks>,
    limits: Limits,
    served: RefCell<BTreeMap<String, Serving>>,
    /// One that ends what another begins does not overtake it.
    turns: Rc<Turns>,
    is_closed: Cell<bool>,
}

impl Desk {
    pub fn new(
        handle: &Handle,
        disks: SegmentDisks,
        nbd: Server<MappedDisks>,
        limits: Limits,
    ) -> Rc<Self> {
        Rc::new(Self {
            handle: handle.clone(),
            disks,
            nbd,
            limits,
            served: RefCell::default(),
            turns: Rc::default(),
            is_closed: Cell::new(false),
        })
    }

    /// DESK-3
    pub async fn call(self: &Rc<Self>, call: BridgeCall) -> Result<BridgeAnswer, ErrorReport> {
        let Some(volume) = changed(&call).map(str::to_owned) else {
            return self.carry_out(call).await;
        };
        let done = async {
            let turn = self.turns.take(&volume).await;
            let desk = self.clone();
            let carried_out = self.handle.spawn(async move {
                let _turn = turn;
                desk.carry_out(call).await
            });
            carried_out.await
        };
        let done = self.handle.timeout(CALL_WITHIN, done).await;
        done.unwrap_or_else(|_| Err(no_end(&volume)))
    }

    async fn carry_out(&self, call: BridgeCall) -> Result<BridgeAnswer, ErrorReport> {
        let served = match call {
            // The NBD server serves whatever is asked for by its name.
            BridgeCall::Serve(call) if call.kind.is_nbd() => Vec::new(),
            BridgeCall::Serve(call) => vec![self.serve(call).await?],
            BridgeCall::End { volume } => self.end(&volume).await.into_iter().collect(),
            BridgeCall::Resized { volume } => self.resized(&volume).await?.into_iter().collect(),
            BridgeCall::Look { volume } => vec![self.look(volume).await?],
            BridgeCall::Report {} => self.served.borrow().values().map(Serving::report).collect(),
        };
        Ok(BridgeAnswer {
            pid: std::process::id(),
            served,
        })
    }

    async fn serve(&self, call: ServeCall) -> Result<Served, ErrorReport> {
        let found = self.served.borrow().get(&call.volume).cloned();
        if let Some(serving) = found {
            // A device that lost its server, or was made anew, is not served by what served the old one.
            if serving.call == call && serving.is_alive() {
                return Ok(serving.report()); // DESK-1
            }
            let _ = self.end(&call.volume).await;
        }
        let disk = self.open(&call.volume, call.is_read_only).await?;
        if self.is_closed.get() {
            return Err(stopping());
        }
        let by = match call.kind {
            Kind::VhostUser => {
                let disk = VhostDisk::start(&self.handle, disk, &call, &self.limits)?;
                By::Vhost(Rc::new(disk))
            }
            Kind::Ublk => {
                let disk = UblkDisk::start(&self.handle, disk, &call, &self.limits)?;
                By::Ublk(Rc::new(disk))
            }
            Kind::Nbd | Kind::NbdSocket => return Err(no_device(call.kind)),
        };
        let serving = Serving { call, by };
        let report = serving.report();
        let volume = report.volume.clone();
        self.served.borrow_mut().insert(volume, serving);
        Ok(report)
    }

    async fn look(&self, volume: String) -> Result<Served, ErrorReport> {
        let facts = self.open(&volume, false).await?.facts();
        Ok(Served {
            volume,
            kind: Kind::NbdSocket, // how everything can be had
            size_bytes: facts.size_bytes,
            is_read_only: facts.features.read_only,
            clients: 0,
        })
    }

    async fn open(&self, volume: &str, is_read_only: bool) -> Result<SegmentDisk, ErrorReport> {
        let unknown = || {
            let message = format!("there is no volume {}", volume.escape_debug());
            ErrorReport::new(ErrorCode::NotFound, message, "`vlmc list` shows all")
        };
        let name = DiskName::parse(volume.as_bytes()).map_err(|_| unknown())?;
        let disk = self
            .disks
            .open(&name)
            .await
            .map_err(|refusal| match refusal {
                OpenRefusal::Unknown => unknown(),
                OpenRefusal::Shutdown => stopping(),
                OpenRefusal::Denied { reason } => {
                    ErrorReport::new(ErrorCode::Failed, format!("{volume}: {reason}"), "")
                }
            })?;
        match is_read_only {
            true => Ok(disk.read_only()), // DESK-2
            false => Ok(disk),
        }
    }

    async fn end(&self, volume: &str) -> Option<Served> {
        let serving = self.served.borrow_mut().remove(volume)?;
        let report = serving.report();
        serving.close(END_WITHIN).await;
        Some(report)
    }

    async fn resized(&self, volume: &str) -> Result<Option<Served>, ErrorReport> {
        let size_bytes = self.open(volume, true).await?.facts().size_bytes;
        if let Ok(name) = DiskName::parse(volume.as_bytes()) {
            self.nbd.resized(&name, size_bytes);
        }
        let found = self.served.borrow().get(volume).cloned();
        let Some(serving) = found else {
            return Ok(None);
        };
        serving.resized(size_bytes);
        Ok(Some(serving.report()))
    }

    /// All of them, as a node stops: devices of the kernel wait for the next one, guests too.
    pub async fn close(&self, within: Duration) {
        self.is_closed.set(true);
        let all = std::mem::take(&mut *self.served.borrow_mut());
        let closing: Vec<_> = all
            .into_values()
            .map(|serving| {
                self.handle
                    .spawn(async move { serving.close(within).await })
            })
            .collect();
        for one in closing {
            one.await;
        }
    }
}

impl Serving {
    fn report(&self) -> Served {
        let (size_bytes, clients) = match &self.by {
            By::Vhost(disk) => (disk.size_bytes(), disk.clients()),
            By::Ublk(disk) => (disk.size_bytes(), 1),
        };
        Served {
            volume: self.call.volume.clone(),
            kind: self.call.kind,
            size_bytes,
            is_read_only: self.call.is_read_only,
            clients,
        }
    }

    fn is_alive(&self) -> bool {
        match &self.by {
            By::Vhost(_) => true,
            By::Ublk(disk) => disk.is_alive(),
        }
    }

    fn resized(&self, size_bytes: u64) {
        match &self.by {
            By::Vhost(disk) => disk.resized(size_bytes),
            By::Ublk(disk) => disk.resized(size_bytes),
        }
    }

    async fn close(&self, within: Duration) {
        match &self.by {
            By::Vhost(disk) => disk.close(within).await,
            By::Ublk(disk) => disk.close(within).await,
        }
    }
}

/// The volume that is changed, or served, by a call.
fn changed(call: &BridgeCall) -> Option<&str> {
    match call {
        BridgeCall::Serve(call) => Some(&call.volume),
        BridgeCall::End { volume } | BridgeCall::Resized { volume } => Some(volume),
        BridgeCall::Look { .. } | BridgeCall::Report {} => None,
    }
}

fn stopping() -> ErrorReport {
    ErrorReport::new(
        ErrorCode::Unavailable,
        "the node is stopping",
        "`archipelago status` tells what runs",
    )
}

fn no_end(volume: &str) -> ErrorReport {
    ErrorReport::new(
        ErrorCode::Timeout,
        format!("what was asked for {} does not end", volume.escape_debug()),
        "look at its store, and try again",
    )
}

fn no_device(kind: Kind) -> ErrorReport {
    ErrorReport::new(
        ErrorCode::Unsupported,
        format!("{} is not served one by one", kind.name()),
        "are all programs of one version?",
    )
}
