//! Is there somebody who will answer: a dead node is told from a slow one.
//!
//! # Invariants
//! * **SERVED-1** Whoever asks waits while what is asked lives, or a supervisor is going to start it again; otherwise the answer
//!   is "not running", at once.

use archipelago_protocol::ErrorCode;
use xseg::Segment;

use super::asking::Whom;
use crate::cli::ErrorReport;
use crate::config::{Config, RoleConfig, RoleSettings};
use crate::supervisor::{LocalNode, Phase, Report};

/// The roles without which a call has no answer: the mapper that is asked, and what it asks.
fn needed(config: &Config, whom: Whom) -> Vec<&RoleConfig> {
    if whom == Whom::Bridge {
        return config.nbd_composer().into_iter().collect();
    }
    let owner = |port: u32| config.roles.iter().find(|role| role.ports.contains(port));
    let mapper = super::asking::mapper_port(config).and_then(owner);
    let Some(mapper) = mapper else {
        return Vec::new();
    };
    let mut needed = vec![mapper];
    if let RoleSettings::Mapperd {
        blockerb_port,
        blockerm_port,
    } = mapper.settings
    {
        needed.extend(owner(blockerm_port));
        needed.extend(owner(blockerb_port));
    }
    needed
}

/// Refuses if one of them has no process, and nobody is going to make it one (SERVED-1).
pub(super) fn check(config: &Config, segment: &Segment, whom: Whom) -> Result<(), ErrorReport> {
    let is_dead = |role: &&RoleConfig| {
        let report = segment.report_port(role.ports.start);
        report.is_ok_and(|report| !report.process_alive)
    };
    let dead: Vec<&RoleConfig> = needed(config, whom).into_iter().filter(is_dead).collect();
    let Some(first) = dead.first() else {
        return Ok(());
    };
    // Whoever may not ask the supervisor waits: there may be one.
    let Ok(report) = LocalNode::client(config).and_then(|client| Ok(client.report()?)) else {
        return Ok(());
    };
    if report.supervisor_pid.is_none() {
        return Err(ErrorReport::new(
            ErrorCode::Unavailable,
            format!(
                "archipelago is not running: the role {} has no process, and no supervisor runs",
                first.name
            ),
            "`archipelago start` starts what does not run",
        ));
    }
    match dead.iter().find(|role| is_left_down(config, &report, role)) {
        Some(role) => Err(ErrorReport::new(
            ErrorCode::Unavailable,
            format!("the role {} is not running", role.name),
            format!(
                "`archipelago start {}` starts it; `archipelago status` tells more",
                role.name
            ),
        )),
        None => Ok(()),
    }
}

/// It was stopped, or died too often.
fn is_left_down(config: &Config, report: &Report, role: &RoleConfig) -> bool {
    let Some(home) = config.host_of(&role.name) else {
        return false;
    };
    let mut hosts = report.hosts.iter();
    let host = hosts.find(|host| host.name == home.name);
    host.is_some_and(|host| match host.phase {
        Phase::Failed => true,
        Phase::Down => !host.is_wanted,
        _ => false,
    })
}
