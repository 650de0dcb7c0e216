//! All bridges of a node: how they start, and how they end.

use std::rc::Rc;
use std::time::Duration;

use archipelago_front::{SegmentDisks, SegmentPlaces};
use archipelago_nbd::{Server, Tls};
use archipelago_runtime::{Handle, Service, Station};
use xseg::PortId;

use super::desk::Desk;
use super::limits::Limits;
use super::mapped_disks::MappedDisks;
use super::nbd;
use super::service::DeskPeer;
use crate::attach::{Records, Wishes};
use crate::config::Config;
use crate::host::HostError;
use crate::host::run::Lent;

/// How long clients may take for the answers to their last requests.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// When all is given up that has not ended: the roles that stop after us have time for what they hold, before the host is killed.
const STOP_WITHIN: Duration = Duration::from_secs(7);
/// Commands that are carried out at a time; others wait. More than there will be volumes that hang.
const CALLS_MAX: u32 = 64;

/// Bridges that run.
pub(in crate::host) struct Bridges {
    handle: Handle,
    nbd: Server<MappedDisks>,
    tls: Option<Tls>,
    desk: Rc<Desk>,
    calls: Service,
}

/// Whom bridges ask.
pub(in crate::host) struct Asked {
    pub composer: PortId,
    pub mapper: PortId,
}

impl Bridges {
    pub fn start(
        handle: &Handle,
        station: &Rc<Station>,
        config: &Config,
        asked: &Asked,
        lent: Option<Lent>,
    ) -> Result<Self, HostError> {
        let places = SegmentPlaces {
            composer: asked.composer,
            mappers: vec![asked.mapper],
            call_timeout: config.timeout,
        };
        let disks = SegmentDisks::new(handle, station.clone(), places);
        let wishes = Wishes::of(config);
        let mapped = MappedDisks {
            disks: disks.clone(),
            records: Records::of(config),
            wishes: wishes.directory().is_some().then_some(wishes.clone()),
        };
        let geometry = station.segment().geometry();
        let limits = Limits::of(geometry).ok_or_else(|| HostError::Role {
            role: nbd::ROLE.into(),
            why: "the segment has no buffers of a size that suits disks".into(),
        })?;
        let tls = nbd::tls(config)?;
        let options = nbd::options(config, tls.clone(), &limits);
        let nbd = nbd::start(handle, mapped, options, &config.nbd, lent)?;
        let desk = Desk::new(handle, disks, nbd.clone(), limits);
        let peer = Rc::new(DeskPeer { desk: desk.clone() });
        let calls = handle.serve(station, CALLS_MAX, peer);
        Ok(Self {
            handle: handle.clone(),
            nbd,
            tls,
            desk,
            calls,
        })
    }

    /// Who connects from now on sees renewed certificates. If these do not work the former ones stay.
    pub fn reload(&self) {
        let Some(tls) = &self.tls else {
            return;
        };
        match tls.reload() {
            Ok(()) => tracing::info!("certificates of the NBD export are read anew"),
            Err(error) => {
                tracing::error!(%error, "certificates of the NBD export stay as they were");
            }
        }
    }

    /// At once, so that the slowest alone is waited for (F89).
    pub async fn stop(self) {
        let Self {
            handle,
            nbd,
            desk,
            calls,
            ..
        } = self;
        let calls = handle.spawn(async move { calls.drain().await });
        let desk = handle.spawn(async move { desk.close(DRAIN_WITHIN).await });
        let nbd = handle.spawn(async move { nbd.drain(DRAIN_WITHIN).await });
        let all = async {
            calls.await;
            desk.await;
            nbd.await;
        };
        if handle.timeout(STOP_WITHIN, all).await.is_err() {
            tracing::warn!("what clients have asked for does not end: it is not waited for");
        }
    }
}
