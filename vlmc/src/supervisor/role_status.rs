//! From roles to hosts, and back from hosts to roles.

use archipelago_protocol::ErrorCode;

use super::core::Phase;
use super::message::{HostReport, Report};
use crate::cli::{ErrorReport, RoleState, RoleStatus};
use crate::config::Config;

/// The configuration was changed since the supervisor began.
const UNKNOWN: &str =
    "not known to the supervisor: `archipelago restart` has it read the configuration again";

/// Why the host of a role is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Start,
    /// Other roles of the host would stop too.
    Stop,
    /// Stop and start: for the others no more than a moment.
    Restart,
}

/// The host of a role. One that other roles share is not stopped for one of them, unless that is meant.
pub fn host_for(
    config: &Config,
    role: &str,
    purpose: Purpose,
    is_forced: bool,
) -> Result<String, ErrorReport> {
    let Some(host) = config.host_of(role) else {
        let message = format!("there is no role \"{}\"", role.escape_debug());
        return Err(ErrorReport::new(
            ErrorCode::NotFound,
            message,
            "`archipelago status` lists them",
        ));
    };
    if purpose == Purpose::Stop && !is_forced && host.roles.len() > 1 {
        let others = host.roles.iter().filter(|other| *other != role);
        let others: Vec<&str> = others.map(String::as_str).collect();
        let message = format!(
            "{role} shares the host {} with {}",
            host.name,
            others.join(", ")
        );
        let remedy = "stop everything, add --force to stop them too, or give it a process of its own in [hosts]";
        return Err(ErrorReport::new(ErrorCode::Busy, message, remedy));
    }
    Ok(host.name.clone())
}

/// How the roles are, in their order; those of one host, or all.
pub fn role_statuses(config: &Config, report: &Report, host: Option<&str>) -> Vec<RoleStatus> {
    let mut statuses = Vec::new();
    for role in &config.roles {
        let Some(home) = config.host_of(&role.name) else {
            continue;
        };
        if host.is_some_and(|host| host != home.name) {
            continue;
        }
        let found = report.hosts.iter().find(|host| host.name == home.name);
        statuses.push(RoleStatus {
            role: role.name.clone(),
            kind: role.kind().name().to_owned(),
            host: home.name.clone(),
            state: found.map_or(RoleState::Stopped, state),
            pid: found.and_then(|host| host.pid),
            uptime_seconds: found.and_then(|host| host.uptime_ms).map(|ms| ms / 1000),
            restarts: found.map_or(0, |host| host.restarts),
            inflight: None,
            paused_since: None,
            log_level: None,
            message: match found {
                Some(host) => host.message.clone(),
                // One that begins does not know its hosts yet.
                None if report.hosts.is_empty() => None,
                None => Some(UNKNOWN.into()),
            },
        });
    }
    statuses
}

fn state(host: &HostReport) -> RoleState {
    match host.phase {
        Phase::Running => RoleState::Running,
        Phase::Stopping { .. } => RoleState::Stopping,
        Phase::Starting { .. } | Phase::Waiting { .. } => RoleState::Starting,
        Phase::Down => RoleState::Stopped,
        Phase::Failed => RoleState::Failed,
    }
}
