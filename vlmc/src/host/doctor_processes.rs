//! What `doctor` says about processes: what should run and does not, what runs and should not, what the dead left.

use archipelago_protocol::rfc3339;

use super::doctor::finding;
use super::{paused, segment};
use crate::cli::{Finding, Grade};
use crate::config::{Config, RoleConfig, RoleKind};
use crate::supervisor::{Client, HostReport, LocalNode, Phase, Report};

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let looked = LocalNode::client(config).and_then(|client| {
        let report = client.report()?;
        Ok((client, report))
    });
    let (client, report) = match looked {
        Ok(looked) => looked,
        Err(error) => return vec![finding("hosts", Grade::Bad, error.message, &error.remedy)],
    };
    let mut findings = vec![supervisor(&report)];
    // A node that was stopped is none that is ill.
    if report.supervisor_pid.is_some() || report.hosts.iter().any(|host| host.phase.is_alive()) {
        findings.extend(report.hosts.iter().map(host));
        findings.extend(unknown(config, &report));
        findings.extend(clusters(config, &report));
    } else {
        findings.extend(remains(config));
    }
    findings.extend(strangers(&client));
    findings
}

fn supervisor(report: &Report) -> Finding {
    let lives = report.hosts.iter().any(|host| host.phase.is_alive());
    let (grade, message) = match report.supervisor_pid {
        Some(pid) if report.is_ending => (Grade::Note, format!("pid {pid}, about to end")),
        Some(pid) => (Grade::Good, format!("runs, pid {pid}")),
        None if lives => (
            Grade::Bad,
            "does not run, though hosts do: what dies stays dead".into(),
        ),
        None => (
            Grade::Note,
            "does not run, nor does any host: archipelago is not running".into(),
        ),
    };
    finding("supervisor", grade, message, "`archipelago start`")
}

fn host(host: &HostReport) -> Finding {
    let check = format!("host {}", host.name);
    let why = host.message.as_deref().unwrap_or("no reason is known");
    let (grade, message) = match host.phase {
        Phase::Running => (Grade::Good, "runs".to_owned()),
        Phase::Starting { .. } | Phase::Stopping { .. } => (Grade::Note, "starts or stops".into()),
        Phase::Waiting { .. } => (Grade::Bad, format!("died, and is started again: {why}")),
        Phase::Failed => (Grade::Bad, format!("does not run: {why}")),
        Phase::Down => (Grade::Bad, "does not run".into()),
    };
    finding(
        &check,
        grade,
        message,
        "look at its log; `archipelago start` starts it",
    )
}

/// Do the clusters answer that roles keep their objects in?
fn clusters(config: &Config, report: &Report) -> Vec<Finding> {
    let in_rados = |role: &&RoleConfig| role.kind() == RoleKind::RadosBlocker;
    let look = |role: &RoleConfig| {
        let host = config.host_of(&role.name)?;
        let host = report.hosts.iter().find(|found| found.name == host.name)?;
        host.pid?;
        let check = format!("cluster of {}", role.name);
        Some(match paused::since(config, &role.name, host.pid) {
            Some(since) => finding(
                &check,
                Grade::Bad,
                format!("has answered nothing since {}", rfc3339(since)),
                "`ceph status` tells which of its daemons are down; what waits goes on when they are back",
            ),
            None => finding(
                &check,
                Grade::Good,
                "answers, or is asked nothing".into(),
                "",
            ),
        })
    };
    let roles = config.roles.iter().filter(in_rados);
    roles.filter_map(look).collect()
}

/// Hosts of a configuration that the supervisor has not read.
fn unknown(config: &Config, report: &Report) -> Vec<Finding> {
    let is_unknown = |name: &&str| !report.hosts.iter().any(|host| host.name == *name);
    let hosts = config.hosts.iter().map(|host| host.name.as_str());
    let bad = |name: &str| {
        let message = "not known to the supervisor: the configuration was changed".into();
        finding(
            &format!("host {name}"),
            Grade::Bad,
            message,
            "`archipelago restart`",
        )
    };
    hosts.filter(is_unknown).map(bad).collect()
}

/// A node that was stopped leaves no segment behind; one that died does.
fn remains(config: &Config) -> Option<Finding> {
    segment::join(config).ok()?;
    let message = format!(
        "the segment {} is there, and no host: the node died",
        config.segment.name
    );
    let remedy = "`archipelago start` goes on with it; `archipelago stop` removes it";
    Some(finding("leftovers", Grade::Bad, message, remedy))
}

fn strangers(client: &Client) -> Vec<Finding> {
    let bad = |(name, pid): (String, u32)| {
        let message = format!("runs (pid {pid}), and the configuration has none of that name");
        let remedy = "`archipelago stop` stops it, then start again";
        finding(&format!("host {name}"), Grade::Bad, message, remedy)
    };
    match client.strangers() {
        Ok(strangers) => strangers.into_iter().map(bad).collect(),
        Err(error) => vec![finding("hosts", Grade::Bad, error.to_string(), "")],
    }
}
