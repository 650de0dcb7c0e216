//! What a stop or a restart would take from whom.
//!
//! NBD clients are served by the host of the first composer: with it they lose their connections. With any other host they keep
//! them, and wait.

use archipelago_protocol::ErrorCode;

use crate::attach::{Kind, Record, Records};
use crate::cli::{Attachment, ErrorReport, Scope};
use crate::config::Config;
use crate::volumes::Clients;

/// Would this take the clients' connections?
fn takes_connections(config: &Config, scope: &Scope) -> bool {
    let Some(role) = &scope.role else {
        return true;
    };
    let host = config.host_of(role);
    let server = config
        .nbd_composer()
        .and_then(|role| config.host_of(&role.name));
    host.is_some_and(|host| server.is_some_and(|server| server.name == host.name))
}

/// Refuses to stop what serves mapped volumes, or clients.
pub(super) fn check_stop(
    config: &Config,
    scope: &Scope,
    mapped: &[Attachment],
) -> Result<(), ErrorReport> {
    if scope.is_forced {
        return Ok(());
    }
    if let Some(first) = mapped.first() {
        let message = format!(
            "{} volumes are mapped, {} among them",
            mapped.len(),
            first.volume
        );
        let remedy = format!(
            "unmap them (`vlmc showmapped`, `vlmc unmap`), or say --force: {}",
            fate(config, scope)
        );
        return Err(ErrorReport::new(ErrorCode::Busy, message, remedy));
    }
    check_clients(config, scope)
}

/// Refuses to restart what holds the connections of clients. For all others a restart is no more than a moment.
pub(super) fn check_restart(config: &Config, scope: &Scope) -> Result<(), ErrorReport> {
    if scope.is_forced || !takes_connections(config, scope) {
        return Ok(());
    }
    check_clients(config, scope)
}

fn check_clients(config: &Config, scope: &Scope) -> Result<(), ErrorReport> {
    // Devices and guests wait while what serves them is restarted (S8).
    let waits = |record: &Record| record.kind() != Kind::NbdSocket;
    let patient = Records::of(config).all()?.into_iter().filter(waits);
    let patient: Vec<_> = patient
        .filter_map(|record| record.volume().parse().ok())
        .collect();
    let clients = Clients::settled(config, None);
    let Some((volume, count)) = clients.any_but(&patient) else {
        return Ok(());
    };
    let message = match count {
        1 => format!("an NBD client is connected to {volume}"),
        _ => format!("{count} NBD clients are connected, one of them to {volume}"),
    };
    let remedy = format!("disconnect them, or say --force: {}", fate(config, scope));
    Err(ErrorReport::new(ErrorCode::Busy, message, remedy))
}

/// What becomes of them.
fn fate(config: &Config, scope: &Scope) -> &'static str {
    if takes_connections(config, scope) {
        "NBD clients lose their connections then and must reconnect; what was answered is kept"
    } else {
        "their requests wait then until it is started again"
    }
}
