//! The roles of a host: what each is made of, and how it ends.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use archipelago_filed::{Filed, FiledOptions, SyncMethod};
use archipelago_front::{SegmentDisks, SegmentPlaces, piece_bytes_max};
use archipelago_mapperd::{Options as MapperOptions, Places, Running as Mapper};
use archipelago_nbd::{Server, ServerOptions, bind_tcp, bind_unix};
use archipelago_runtime::{Handle, Service, Station};
use archipelago_vlmcd::{Options as ComposerOptions, RunningComposer};
use xseg::PortId;

use super::error::HostError;
use super::identity;
use super::mapped_disks::MappedDisks;
use crate::config::{Config, RoleConfig, RoleSettings, SyncKind};
use crate::volumes::Attachments;

/// How long a composer may take to give up what it was told.
const RECALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of maps in memory: 16 MiB.
const PAGES_MAX: usize = 4096;
/// What a store of maps keeps back for the time when it is full.
const RESERVE_BYTES: u64 = 16 << 20;
/// How long clients may take for the answers to their last requests.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// A role that runs.
pub(super) enum Role {
    Blocker { filed: Rc<Filed>, service: Service },
    Mapper(Mapper),
    Composer(RunningComposer),
    Nbd(Server<MappedDisks>),
}

impl Role {
    /// Finishes what it has begun, and releases what it holds (P2).
    pub async fn stop(self) {
        match self {
            Self::Blocker { filed, service } => {
                filed.close();
                service.drain().await;
                if let Err(error) = filed.flush().await {
                    tracing::error!(%error, "the store is not flushed");
                }
            }
            Self::Mapper(mapper) => mapper.stop().await,
            Self::Composer(composer) => composer.drain().await,
            Self::Nbd(server) => server.drain(DRAIN_WITHIN).await,
        }
    }
}

fn port(handle: &Handle, role: &RoleConfig, number: u32) -> Result<PortId, HostError> {
    let segment = handle.station().segment().clone();
    segment
        .geometry()
        .port(number)
        .ok_or_else(|| HostError::Role {
            role: role.name.clone(),
            why: format!("the segment has no port {number}"),
        })
}

fn no_start(role: &RoleConfig, error: &impl std::fmt::Display) -> HostError {
    HostError::Role {
        role: role.name.clone(),
        why: error.to_string(),
    }
}

/// The ports of the composers that ask this mapper.
fn composers(
    handle: &Handle,
    config: &Config,
    mapper: &RoleConfig,
) -> Result<Vec<PortId>, HostError> {
    let asks = |role: &&RoleConfig| match role.settings {
        RoleSettings::Vlmcd { mapper_port, .. } => mapper.ports.contains(mapper_port),
        _ => false,
    };
    let composers = config.roles.iter().filter(asks);
    composers
        .map(|role| port(handle, role, role.ports.start))
        .collect()
}

/// Starts a role at its port.
pub(super) fn start(
    handle: &Handle,
    station: &Rc<Station>,
    config: &Config,
    role: &RoleConfig,
) -> Result<Role, HostError> {
    match &role.settings {
        RoleSettings::FileBlocker { .. } => {
            let mut options = filed_options(role)?;
            if keeps_maps(config, role) {
                options.reserve_bytes = RESERVE_BYTES;
            }
            let started = Filed::serve(handle, station, &options);
            let (filed, service) = started.map_err(|error| no_start(role, &error))?;
            Ok(Role::Blocker { filed, service })
        }
        RoleSettings::RadosBlocker { .. } => Err(HostError::Unbuilt {
            role: role.name.clone(),
            kind: "rados_blocker",
        }),
        RoleSettings::Mapperd {
            blockerb_port,
            blockerm_port,
        } => {
            let options = MapperOptions {
                places: Places {
                    maps: port(handle, role, config.home_port(*blockerm_port))?,
                    data: port(handle, role, config.home_port(*blockerb_port))?,
                    composers: composers(handle, config, role)?,
                    owner: identity::owner(config),
                    recall_timeout: RECALL_TIMEOUT,
                },
                nr_ops: role.nr_ops,
                trash_ttl: config.trash_ttl,
                pages_max: PAGES_MAX,
            };
            let mapper = Mapper::start(handle, station, options);
            Ok(Role::Mapper(
                mapper.map_err(|error| no_start(role, &error))?,
            ))
        }
        RoleSettings::Vlmcd {
            blocker_port,
            mapper_port,
        } => {
            let mapper = port(handle, role, config.home_port(*mapper_port))?;
            let blocker = port(handle, role, config.home_port(*blocker_port))?;
            let mut options = ComposerOptions::new(vec![mapper], blocker);
            options.nr_ops = role.nr_ops;
            Ok(Role::Composer(archipelago_vlmcd::serve(
                handle, station, options,
            )))
        }
    }
}

/// Does a mapper keep its maps there? Removing a volume writes to them before it gives any space back (D5).
fn keeps_maps(config: &Config, blocker: &RoleConfig) -> bool {
    config.roles.iter().any(|role| match role.settings {
        RoleSettings::Mapperd { blockerm_port, .. } => blocker.ports.contains(blockerm_port),
        _ => false,
    })
}

fn filed_options(role: &RoleConfig) -> Result<FiledOptions, HostError> {
    let RoleSettings::FileBlocker {
        archip_dir,
        lock_dir,
        fdcache,
        direct,
        sync,
    } = &role.settings
    else {
        return Err(no_start(role, &"it is no file_blocker"));
    };
    let mut options = FiledOptions::new(archip_dir);
    // Its own one filed makes by itself.
    if *lock_dir != archip_dir.join("locks") {
        options.lock_dir = Some(lock_dir.clone());
    }
    options.fdcache = *fdcache as usize;
    options.direct = *direct;
    options.nr_ops = role.nr_ops;
    options.nr_threads = role.nr_threads as usize;
    options.sync = match sync {
        SyncKind::Auto => SyncMethod::Auto,
        SyncKind::Fdatasync => SyncMethod::Files,
        SyncKind::Syncfs => SyncMethod::FileSystem,
    };
    Ok(options)
}

/// The NBD server, beside the composer `composer`.
pub(super) fn start_nbd(
    handle: &Handle,
    station: &Rc<Station>,
    config: &Config,
    composer: &RoleConfig,
) -> Result<Role, HostError> {
    let RoleSettings::Vlmcd { mapper_port, .. } = &composer.settings else {
        return Err(no_start(composer, &"it is no vlmcd"));
    };
    let places = SegmentPlaces {
        composer: port(handle, composer, composer.ports.start)?,
        mappers: vec![port(handle, composer, config.home_port(*mapper_port))?],
        call_timeout: config.timeout,
    };
    let disks = MappedDisks {
        disks: SegmentDisks::new(handle, station.clone(), places),
        attachments: Attachments::of(config),
    };
    let geometry = station.segment().geometry();
    let piece_bytes = piece_bytes_max(geometry).ok_or_else(|| {
        no_start(
            composer,
            &"the segment has no buffers of a size that suits NBD",
        )
    })?;
    let options = ServerOptions {
        connections_max: config.nbd.connections_max as usize,
        requests_max: config.nbd.requests_max as usize,
        piece_bytes_max: piece_bytes,
        ..ServerOptions::default()
    };
    let failed = |error: &dyn std::fmt::Display| HostError::Role {
        role: "nbd".into(),
        why: error.to_string(),
    };
    let server = Server::new(handle, disks, options).map_err(|error| failed(&error))?;
    let socket: &Path = &config.nbd.socket;
    server.listen(bind_unix(socket).map_err(|error| failed(&error))?);
    if let Some(address) = config.nbd.listen {
        server.listen(bind_tcp(address).map_err(|error| failed(&error))?);
    }
    Ok(Role::Nbd(server))
}
