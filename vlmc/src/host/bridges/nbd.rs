//! The NBD server of a node.

use std::os::fd::OwnedFd;

use archipelago_nbd::{Server, ServerOptions, Tls, TlsError, TlsFiles};
use archipelago_runtime::Handle;

use super::limits::Limits;
use super::listeners::listeners;
use super::mapped_disks::MappedDisks;
use crate::config::{Config, NbdConfig, TlsConfig};
use crate::host::HostError;
use crate::host::run::Lent;

/// As errors and log lines call it.
pub(super) const ROLE: &str = "nbd";

fn failed(error: &dyn std::fmt::Display) -> HostError {
    HostError::Role {
        role: ROLE.into(),
        why: error.to_string(),
    }
}

pub(super) fn options(config: &Config, tls: Option<Tls>, limits: &Limits) -> ServerOptions {
    let nbd = &config.nbd;
    ServerOptions {
        connections_max: nbd.connections_max as usize,
        requests_max: nbd.requests_max as usize,
        memory_max: usize::try_from(nbd.memory_max).unwrap_or(usize::MAX),
        handshake_timeout: nbd.handshake_timeout,
        stall_timeout: nbd.stall_timeout,
        list: nbd.list,
        piece_bytes_max: limits.front.piece_bytes_max,
        receiving_max: limits.kept_max,
        sending_max: limits.kept_max,
        tls,
        plain_off_host: nbd.allow_plain,
        ..ServerOptions::default()
    }
}

/// Serves the sockets that the supervisor lends, and makes those that are missing, of which the supervisor gets its own.
pub(super) fn start(
    handle: &Handle,
    disks: MappedDisks,
    options: ServerOptions,
    config: &NbdConfig,
    lent: Option<Lent>,
) -> Result<Server<MappedDisks>, HostError> {
    let server = Server::new(handle, disks, options).map_err(|error| failed(&error))?;
    let (supervisor, sockets) = match lent {
        Some((supervisor, sockets)) => (Some(supervisor), sockets),
        None => (None, Vec::new()),
    };
    let sockets: Vec<OwnedFd> = listeners(config, sockets).map_err(|error| failed(&error))?;
    if let Some(Err(error)) = supervisor.map(|supervisor| supervisor.send(&sockets)) {
        // It is gone, and who comes after it cannot have them from us.
        tracing::info!(%error, "nobody keeps the sockets of the NBD export for the next host");
    }
    for socket in sockets {
        server.listen(socket).map_err(|error| failed(&error))?;
    }
    Ok(server)
}

/// What encryption needs, from its files.
pub(in crate::host) fn load(tls: &TlsConfig) -> Result<Tls, TlsError> {
    match tls {
        TlsConfig::Certificates {
            certificate,
            key,
            client_authorities,
        } => Tls::load(TlsFiles {
            certificates: certificate.clone(),
            key: key.clone(),
            client_authorities: client_authorities.clone(),
        }),
        TlsConfig::SharedKeys { file } => Tls::load_shared_keys(file),
    }
}

pub(super) fn tls(config: &Config) -> Result<Option<Tls>, HostError> {
    let loaded = config.nbd.tls.as_ref().map(load).transpose();
    loaded.map_err(|error| failed(&error))
}
