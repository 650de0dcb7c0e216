//! The life of a host.

use std::time::Duration;

use archipelago_runtime::{Handle, Reactor, ReactorOptions, block_signals};
use rustix::process::Signal;
use xseg::{BindOptions, Segment, Takeover};

use super::error::HostError;
use super::roles::{self, Role};
use super::{logging, privileges, segment};
use crate::config::{Config, HostConfig, RoleConfig, RoleKind};
use crate::supervisor::{HostLock, RunDir};

/// How long the I/O of a dead predecessor may take to end: a slow device takes seconds (S6).
const TAKEOVER: Duration = Duration::from_secs(60);

/// Runs the host `name` until SIGTERM or SIGINT.
pub fn run(config: &Config, name: &str) -> Result<(), HostError> {
    let host = config.host(name).ok_or_else(|| HostError::Unknown {
        name: name.to_owned(),
    })?;
    // Before there is any other thread.
    block_signals(&[Signal::TERM, Signal::INT, Signal::HUP, Signal::PIPE])
        .map_err(HostError::Signals)?;
    let mut lock = HostLock::take(&RunDir::new(&config.run_dir), name)?;
    privileges::drop_to(config)?;
    let roles: Vec<&RoleConfig> = roles_of(config, host);
    logging::begin(roles.iter().map(|role| role.log_level).max().unwrap_or(1));
    let segment = segment::join_or_create(config)?;
    let Some(first) = roles.first() else {
        return Ok(());
    };
    let threads_max = roles.iter().map(|role| role.nr_threads as usize).max();
    let options = ReactorOptions::default().threads_max(threads_max.unwrap_or(16));
    let reactor = Reactor::new(bind(&segment, &first.name, first.ports.start)?, &options)?;
    let handle = reactor.handle();
    reactor.block_on(async move {
        let mut signals = handle.signals(&[Signal::TERM, Signal::INT])?;
        let mut running = Vec::new();
        let started = start_all(&handle, config, &roles, &mut running);
        if started.is_ok() {
            lock.ready()?;
            tracing::info!(host = name, "ready");
            let destroyed = handle.destroyed();
            let told = signals.next();
            either(told, destroyed).await;
            tracing::info!(host = name, "stopping");
        }
        for role in running.into_iter().rev() {
            role.stop().await;
        }
        drop(lock);
        started
    })
}

/// In the order of the configuration.
fn roles_of<'a>(config: &'a Config, host: &HostConfig) -> Vec<&'a RoleConfig> {
    let is_here = |role: &&RoleConfig| host.roles.contains(&role.name);
    config.roles.iter().filter(is_here).collect()
}

fn bind(segment: &Segment, role: &str, port: u32) -> Result<xseg::Port, HostError> {
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
    running: &mut Vec<Role>,
) -> Result<(), HostError> {
    let segment = handle.station().segment().clone();
    for (index, role) in roles.iter().enumerate() {
        let station = if index == 0 {
            handle.station()
        } else {
            handle.add_port(bind(&segment, &role.name, role.ports.start)?)?
        };
        running.push(roles::start(handle, &station, config, role)?);
    }
    let composer = roles.iter().find(|role| role.kind() == RoleKind::Vlmcd);
    if let Some(composer) = composer
        && first_composer(config) == Some(composer.name.as_str())
    {
        let station = handle.add_port(bind(&segment, "nbd", config.bridges.start)?)?;
        running.push(roles::start_nbd(handle, &station, config, composer)?);
    }
    Ok(())
}

/// The NBD server is beside the first composer of the node: there is one.
fn first_composer(config: &Config) -> Option<&str> {
    let mut roles = config.roles.iter();
    let composer = roles.find(|role| role.kind() == RoleKind::Vlmcd);
    composer.map(|role| role.name.as_str())
}

async fn either<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) {
    let mut one = std::pin::pin!(one);
    let mut other = std::pin::pin!(other);
    std::future::poll_fn(|context| {
        if one.as_mut().poll(context).is_ready() || other.as_mut().poll(context).is_ready() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}
