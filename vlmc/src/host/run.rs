//! The life of a host.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use archipelago_runtime::local::either;
use archipelago_runtime::{Handle, Reactor, ReactorOptions, Signals, block_signals};
use rustix::process::Signal;
use xseg::{BindOptions, Segment, Takeover};

use super::confinement::{Confined, Places};
use super::error::HostError;
use super::porter::Porter;
use super::refused::die_when_refused;
use super::roles::{self, Role};
use super::{paused, presence, privileges, segment};
use crate::config::{Config, HostConfig, RoleConfig, RoleKind};
use crate::log::{self, Levels, LiveLevels, Outlets, RoleLevel};
use crate::supervisor::{Handover, HostLock, RunDir};

/// The way to the supervisor, and the sockets that it lends.
pub(super) type Lent = (Handover, Vec<OwnedFd>);

/// How long the I/O of a dead predecessor may take to end: a slow device takes seconds (S6).
const TAKEOVER: Duration = Duration::from_secs(60);

/// Runs the host `name` until SIGTERM or SIGINT; SIGHUP has it open its log files and read its certificates anew.
pub fn run(config: &Config, name: &str) -> Result<(), HostError> {
    let host = config.host(name).ok_or_else(|| HostError::Unknown {
        name: name.to_owned(),
    })?;
    // Before there is any other thread.
    block_signals(&[Signal::TERM, Signal::INT, Signal::HUP, Signal::PIPE])
        .map_err(HostError::Signals)?;
    let mut lent = Handover::of_stdin().map_err(HostError::Handover)?;
    // Given up last, when the ports are free: whoever finds it free binds them.
    let mut lock = HostLock::take(&RunDir::new(&config.run_dir), name)?;
    let flushes = privileges::become_flusher();
    privileges::drop_to(config)?;
    let roles: Vec<&RoleConfig> = roles_of(config, host);
    let (levels, outlets) = begin_log(config, name, &roles);
    if let Err(error) = flushes {
        tracing::debug!(%error, "memory for I/O may wait for write-back to devices that we serve");
    }
    let segment = segment::join_or_create(config)?;
    // Before anything is asked of a store, and until the very end.
    let _presences = presence::announce(config, &segment)?;
    match Places::of(config, name, &roles).confine()? {
        Confined::Yes => tracing::debug!("confined to its directories"),
        Confined::NotHere => {
            tracing::info!("this kernel cannot confine the host to its directories (landlock)");
        }
    }
    let Some(first) = roles.first() else {
        return Ok(());
    };
    let threads_max = roles.iter().map(|role| role.nr_threads as usize).max();
    let options = ReactorOptions::default()
        .threads_max(threads_max.unwrap_or(16))
        .spin_max(config.look);
    let reactor = Reactor::new(bind(&segment, &first.name, first.ports.start)?, &options)?;
    let handle = reactor.handle();
    let serving = async {
        let mut signals = handle.signals(&[Signal::TERM, Signal::INT, Signal::HUP])?;
        handle.answer_log_levels(Rc::new(LiveLevels(levels.clone())));
        let mut running = Vec::new();
        let started = start_all(&handle, config, &roles, &mut lent, &mut running);
        let stores = running.iter().filter_map(Role::in_rados).collect();
        // From its beginning to its end, however long that takes.
        let _watch = handle.spawn(die_when_refused(stores));
        for (role, running) in roles.iter().zip(&running) {
            if let Some(store) = running.in_rados() {
                let _goes_on = handle.spawn(paused::tell(config.clone(), role.name.clone(), store));
            }
        }
        let porter = started.and_then(|()| Porter::start(&segment, &roles, &levels));
        if porter.is_ok() {
            lock.ready()?;
            tracing::info!(host = name, "ready");
            let destroyed = handle.destroyed();
            either(told_to_stop(&mut signals, &outlets, &running), destroyed).await;
            tracing::info!(host = name, "stopping");
        }
        let ended = porter.map(|porter| {
            if let Some(porter) = porter {
                porter.stop();
            }
        });
        for role in running.into_iter().rev() {
            if role.has_clients() {
                stop_clients(role, told_to_stop(&mut signals, &outlets, &[])).await;
            } else {
                role.stop().await;
            }
        }
        ended
    };
    reactor.block_on(serving)
}

/// The roles' log files are opened by the user that the host has become.
fn begin_log(config: &Config, host: &str, roles: &[&RoleConfig]) -> (Arc<Levels>, Arc<Outlets>) {
    let level = |role: &&RoleConfig| RoleLevel {
        name: role.name.clone(),
        ports: role.ports,
        level: role.log_level,
    };
    let levels = Levels::new(config.log_level(), roles.iter().map(level).collect());
    let file = |role: &&RoleConfig| (role.name.clone(), role.logfile.clone());
    let outlets = Outlets::new(&log::host_file(config, host), roles.iter().map(file));
    log::begin(&levels, &outlets);
    outlets.reopen();
    (levels, outlets)
}

/// Clients may take their time; whoever says it twice does not give it to them (F89).
async fn stop_clients(role: Role, told_again: impl Future<Output = ()>) {
    let told_again = async {
        told_again.await;
        tracing::warn!("told again: clients are not waited for");
    };
    either(role.stop(), told_again).await;
}

async fn told_to_stop(signals: &mut Signals, outlets: &Outlets, running: &[Role]) {
    while let Ok(Signal::HUP) = signals.next().await {
        tracing::info!("log files are opened anew");
        outlets.reopen();
        for role in running {
            role.reload();
        }
    }
}

/// In the order of the configuration.
fn roles_of<'a>(config: &'a Config, host: &HostConfig) -> Vec<&'a RoleConfig> {
    let is_here = |role: &&RoleConfig| host.roles.contains(&role.name);
    config.roles.iter().filter(is_here).collect()
}

pub(super) fn bind(segment: &Segment, role: &str, port: u32) -> Result<xseg::Port, HostError> {
    let options = BindOptions::default()
        .label(role)
        .takeover(Takeover::AfterDeath(TAKEOVER));
    segment
        .bind(port, &options)
        .map_err(|source| HostError::Port {
            role: role.to_owned(),
            port,
            source,
        })
}

fn start_all(
    handle: &Handle,
    config: &Config,
    roles: &[&RoleConfig],
    lent: &mut Option<Lent>,
    running: &mut Vec<Role>,
) -> Result<(), HostError> {
    let segment = handle.station().segment().clone();
    for (index, role) in roles.iter().enumerate() {
        let station = if index == 0 {
            handle.station()
        } else {
            handle.add_port(bind(&segment, &role.name, role.ports.start)?)?
        };
        // What it spawns and serves logs as this role.
        let started = Levels::tenant(index).within(|| roles::start(handle, &station, config, role));
        running.push(started?);
    }
    let mut numbered = roles.iter().enumerate();
    let composer = numbered.find(|(_, role)| role.kind() == RoleKind::Vlmcd);
    if let Some((index, composer)) = composer
        && config.nbd_composer().map(|first| &first.name) == Some(&composer.name)
    {
        let station = handle.add_port(bind(&segment, "bridges", config.bridges.start)?)?;
        let start = || roles::start_bridges(handle, &station, config, composer, lent.take());
        running.push(Levels::tenant(index).within(start)?);
    }
    Ok(())
}
