//! The roles of a host: what each is made of, and how it ends.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use archipelago_filed::{Filed, FiledOptions, LeaseOptions, SyncMethod};
use archipelago_mapperd::{Options as MapperOptions, Places, Running as Mapper};
use archipelago_radosd::{Radosd, RadosdError, RadosdOptions};
use archipelago_runtime::{Handle, Service, Station};
use archipelago_vlmcd::{Options as ComposerOptions, RunningComposer};
use xseg::{Lease, PortId};

use super::bridges::{Asked, Bridges};
use super::error::HostError;
use super::identity;
use super::run::Lent;
use crate::config::{BackendLoss, Config, RoleConfig, RoleKind, RoleSettings, SyncKind};
use crate::supervisor::{RunDir, tenure, tenure_before};

/// How long a composer may take to give up what it was told.
const RECALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of maps in memory: 16 MiB.
const PAGES_MAX: usize = 4096;
/// What a store of maps keeps back for the time when it is full.
const RESERVE_BYTES: u64 = 16 << 20;

/// Parts of the indexes of a new store in RADOS: a store of data has millions of names in a group.
const INDEX_PARTS_OF_MAPS: u32 = 4;
const INDEX_PARTS_OF_DATA: u32 = 64;

/// A role that runs.
pub(super) enum Role {
    Blocker {
        filed: Rc<Filed>,
        service: Service,
    },
    RadosBlocker {
        radosd: Rc<Radosd>,
        service: Service,
    },
    Mapper(Mapper),
    Composer(RunningComposer),
    Bridges(Bridges),
}

impl Role {
    /// It, if it is a store whose cluster may refuse it.
    pub fn in_rados(&self) -> Option<Rc<Radosd>> {
        match self {
            Self::RadosBlocker { radosd, .. } => Some(radosd.clone()),
            _ => None,
        }
    }

    /// They are programs of others, which may not take their answers.
    pub fn has_clients(&self) -> bool {
        matches!(self, Self::Bridges(_))
    }

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
            Self::RadosBlocker { radosd, service } => {
                radosd.close();
                service.drain().await;
                if let Err(error) = radosd.leave().await {
                    tracing::warn!(%error, "the cluster was not told of the end: the next start fences this instance");
                }
            }
            Self::Mapper(mapper) => mapper.stop().await,
            Self::Composer(composer) => composer.drain().await,
            Self::Bridges(bridges) => bridges.stop().await,
        }
    }

    /// Reads anew what may have changed in files while it runs.
    pub fn reload(&self) {
        if let Self::Bridges(bridges) = self {
            bridges.reload();
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
                options.lease = lease_options(config, role);
            }
            let started = Filed::serve(handle, station, &options);
            let (filed, service) = started.map_err(|error| no_start(role, &error))?;
            Ok(Role::Blocker { filed, service })
        }
        RoleSettings::RadosBlocker { .. } => {
            // The cluster refuses what is late. A store in a directory may have been configured here before.
            station.segment().set_lease(station.id(), Lease::NONE);
            let options = radosd_options(config, role)?;
            let started = Radosd::serve(handle, station, &options);
            let (radosd, service) = started.map_err(|error| match error {
                RadosdError::Fenced { .. } => HostError::Fenced {
                    role: role.name.clone(),
                    why: error.to_string(),
                },
                error => no_start(role, &error),
            })?;
            Ok(Role::RadosBlocker { radosd, service })
        }
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
            let locks = locks_of(config, *mapper_port);
            options.lease = locks.map(|number| port(handle, role, number)).transpose()?;
            options.nr_ops = role.nr_ops;
            Ok(Role::Composer(archipelago_vlmcd::serve(
                handle, station, options,
            )))
        }
    }
}

/// Does a mapper keep its maps there? Removing a volume writes to them before it gives any space back (D5).
pub(super) fn keeps_maps(config: &Config, blocker: &RoleConfig) -> bool {
    config.roles.iter().any(|role| match role.settings {
        RoleSettings::Mapperd { blockerm_port, .. } => blocker.ports.contains(blockerm_port),
        _ => false,
    })
}

/// The port of the blocker that keeps the maps and locks of the mapper with this port, and a lease if they lie in a directory.
fn locks_of(config: &Config, mapper_port: u32) -> Option<u32> {
    config.roles.iter().find_map(|role| match role.settings {
        RoleSettings::Mapperd { blockerm_port, .. } if role.ports.contains(mapper_port) => {
            Some(config.home_port(blockerm_port))
        }
        _ => None,
    })
}

fn lease_options(config: &Config, role: &RoleConfig) -> Option<LeaseOptions> {
    let RoleSettings::FileBlocker { lease, .. } = &role.settings else {
        return None;
    };
    Some(LeaseOptions {
        owner: identity::owner(config),
        term: *lease,
    })
}

/// Where a blocker keeps locks; its own directory for them it makes by itself.
pub(super) fn lock_dir(role: &RoleConfig) -> Option<&Path> {
    match &role.settings {
        RoleSettings::FileBlocker {
            archip_dir,
            lock_dir,
            ..
        } if *lock_dir != archip_dir.join("locks") => Some(lock_dir),
        _ => None,
    }
}

fn filed_options(role: &RoleConfig) -> Result<FiledOptions, HostError> {
    let RoleSettings::FileBlocker {
        archip_dir,
        fdcache,
        direct,
        sync,
        ..
    } = &role.settings
    else {
        return Err(no_start(role, &"it is no file_blocker"));
    };
    let mut options = FiledOptions::new(archip_dir);
    options.lock_dir = self::lock_dir(role).map(Path::to_path_buf);
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

fn radosd_options(config: &Config, role: &RoleConfig) -> Result<RadosdOptions, HostError> {
    let mut options = rados_place(role)?;
    options.owner = identity::owner(config);
    options.role.clone_from(&role.name);
    let run_dir = RunDir::new(&config.run_dir);
    options.tenure = tenure(&run_dir);
    options.tenure_before = tenure_before(&run_dir);
    options.is_quiet_when_fenced = true;
    let companions = companions(config, role).into_iter();
    let companions = companions.map(rados_place);
    options.companions = companions.collect::<Result<_, _>>()?;
    options.index_parts = match keeps_maps(config, role) {
        true => INDEX_PARTS_OF_MAPS,
        false => INDEX_PARTS_OF_DATA,
    };
    options.nr_ops = role.nr_ops;
    Ok(options)
}

/// Where it lies, and how it is reached.
fn rados_place(role: &RoleConfig) -> Result<RadosdOptions, HostError> {
    let RoleSettings::RadosBlocker {
        pool,
        cephx_id,
        namespace,
        ceph_conf,
        on_backend_loss,
        backend_timeout,
    } = &role.settings
    else {
        return Err(no_start(role, &"it is no rados_blocker"));
    };
    let mut options = RadosdOptions::new(pool, namespace);
    options.cephx_id.clone_from(cephx_id);
    options.conf.clone_from(ceph_conf);
    options.operation_timeout = match on_backend_loss {
        BackendLoss::Pause => None,
        BackendLoss::Error => Some(*backend_timeout),
    };
    Ok(options)
}

/// The blockers in RADOS of whose data this one keeps the maps: who loses a lock here writes there no more.
pub(super) fn companions<'a>(config: &'a Config, maps: &RoleConfig) -> Vec<&'a RoleConfig> {
    let mappers = config.roles.iter().filter_map(|role| match role.settings {
        RoleSettings::Mapperd {
            blockerb_port,
            blockerm_port,
        } if maps.ports.contains(blockerm_port) => Some(blockerb_port),
        _ => None,
    });
    let data: Vec<u32> = mappers.collect();
    let is_companion = |role: &&RoleConfig| {
        role.kind() == RoleKind::RadosBlocker
            && role.name != maps.name
            && data.iter().any(|port| role.ports.contains(*port))
    };
    config.roles.iter().filter(is_companion).collect()
}

/// The bridges, beside the composer `composer`.
pub(super) fn start_bridges(
    handle: &Handle,
    station: &Rc<Station>,
    config: &Config,
    composer: &RoleConfig,
    lent: Option<Lent>,
) -> Result<Role, HostError> {
    let RoleSettings::Vlmcd { mapper_port, .. } = &composer.settings else {
        return Err(no_start(composer, &"it is no vlmcd"));
    };
    let asked = Asked {
        composer: port(handle, composer, composer.ports.start)?,
        mapper: port(handle, composer, config.home_port(*mapper_port))?,
    };
    let bridges = Bridges::start(handle, station, config, &asked, lent)?;
    Ok(Role::Bridges(bridges))
}
