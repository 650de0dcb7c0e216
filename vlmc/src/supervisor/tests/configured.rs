//! Nodes with a configuration: roles and their hosts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::cli::{RoleState, Scope};
use crate::config::{Config, load_text};

#[test]
fn roles_are_shown_by_their_hosts_and_shared_hosts_are_not_stopped_for_one_role() {
    let environment = environment();
    let text = "[hosts]\na = [\"blockerb\", \"blockerm\", \"mapperd\"]\nb = [\"vlmcd\"]";
    let config = load_text("a.toml", text, &environment).unwrap_or_else(|error| panic!("{error}"));
    let refused = host_for(&config, "mapperd", Purpose::Stop, false).expect_err("shared");
    assert!(
        refused
            .message
            .contains("shares the host a with blockerb, blockerm"),
        "{refused}"
    );
    assert_eq!(
        host_for(&config, "mapperd", Purpose::Stop, true),
        Ok("a".into())
    );
    assert_eq!(
        host_for(&config, "mapperd", Purpose::Restart, false),
        Ok("a".into())
    );
    assert_eq!(
        host_for(&config, "vlmcd", Purpose::Stop, false),
        Ok("b".into())
    );
    assert!(host_for(&config, "x", Purpose::Start, false).is_err());

    let host = |name: &str, phase| HostReport {
        name: name.into(),
        phase,
        is_wanted: true,
        pid: Some(7),
        uptime_ms: Some(5500),
        restarts: 2,
        message: None,
    };
    let report = Report {
        supervisor_pid: Some(1),
        hosts: vec![host("a", Phase::Running), host("b", Phase::Failed)],
        ..Report::default()
    };
    let statuses = role_statuses(&config, &report, None);
    let states: Vec<RoleState> = statuses.iter().map(|status| status.state).collect();
    let running = RoleState::Running;
    assert_eq!(states, [running, running, running, RoleState::Failed]);
    assert_eq!(
        (statuses[0].uptime_seconds, statuses[0].restarts),
        (Some(5), 2)
    );
    assert_eq!(role_statuses(&config, &report, Some("b")).len(), 1);
}

/// A node whose roles have a process each, with a program of the test's own.
fn isolated(dir: &Path) -> (LocalNode, Config) {
    let at = |name: &str| dir.join(name);
    let text = format!(
        "run_dir = \"{0}/run\"\nlog_dir = \"{0}/log\"\n[role.blockerb]\narchip_dir = \"{0}/b\"\n\
         [role.blockerm]\narchip_dir = \"{0}/m\"\n[hosts]\nisolate = true\n",
        dir.display()
    );
    fs::write(at("a.toml"), text).expect("written");
    let mut command = player("$part", &at("run"));
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let script = format!(
        "#!/bin/sh\nfor word; do\n[ \"$part\" = --host ] && export {HOST}=$word\n\
         [ \"$word\" = supervise ] && kind=configured-supervisor\npart=$word\ndone\npart=${{kind:-$part}}\n\
         export {PART}=$part {RUN_DIR}='{0}/run' {CONFIG}='{0}/a.toml' {PROGRAM}='{0}/program'\nexec {1}\n",
        dir.display(),
        words.join(" ")
    );
    command.env_clear();
    fs::write(at("program"), script).expect("written");
    fs::set_permissions(at("program"), fs::Permissions::from_mode(0o700)).expect("executable");

    let environment = environment();
    let config = load(Some(&at("a.toml")), &environment).unwrap_or_else(|error| panic!("{error}"));
    let node = LocalNode::new(environment, at("program"), Some(at("a.toml")));
    (node, config)
}

/// The whole way of `archipelago start`, `status`, `restart` and `stop`.
#[test]
fn a_configured_node_starts_twice_restarts_a_role_and_stops() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, config) = isolated(dir.path());
    let everything = Scope::default();
    let mapperd = Scope {
        role: Some("mapperd".into()),
        ..Scope::default()
    };
    let started = node
        .start(&config, &everything)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(started.len(), 4);
    assert!(
        started.iter().all(|role| role.state == RoleState::Running),
        "{started:?}"
    );
    let pids =
        |roles: &[crate::cli::RoleStatus]| roles.iter().map(|role| role.pid).collect::<Vec<_>>();
    let again = node.start(&config, &everything).expect("runs already");
    assert_eq!(pids(&again), pids(&started));

    let restarted = node.restart(&config, &mapperd).expect("restarted");
    assert_eq!(restarted.len(), 1);
    assert_eq!(restarted[0].state, RoleState::Running);
    assert_ne!(restarted[0].pid, started[2].pid);
    let (supervisor_pid, status) = node.status(&config).expect("an answer");
    assert!(supervisor_pid.is_some());
    assert_eq!(
        (status[0].pid, status[2].pid),
        (started[0].pid, restarted[0].pid)
    );

    let stopped = node.stop(&config, &everything).expect("stopped");
    assert!(
        stopped.iter().all(|role| role.state == RoleState::Stopped),
        "{stopped:?}"
    );
    let (supervisor_pid, _) = node.status(&config).expect("looked");
    assert_eq!(supervisor_pid, None);
    assert_eq!(
        pids(&node.stop(&config, &everything).expect("stopped already")),
        [None; 4]
    );
}

#[test]
fn a_run_directory_of_somebody_else_is_not_spoken_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = format!("run_dir = \"{}\"", dir.path().display());
    let config = load_text("a.toml", &text, &environment()).expect("fine");
    assert!(LocalNode::client(&config).is_ok());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("opened");
    let refused = LocalNode::client(&config).expect_err("open to all");
    assert_eq!(refused.code, archipelago_protocol::ErrorCode::Permission);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("closed");
}

#[test]
fn a_role_is_started_alone_on_a_node_that_does_not_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, config) = isolated(dir.path());
    let one = |name: &str| Scope {
        role: Some(name.into()),
        ..Scope::default()
    };
    let running = || -> Vec<String> {
        let (_, roles) = node.status(&config).expect("an answer");
        let running = roles.into_iter().filter(|role| role.pid.is_some());
        running.map(|role| role.role).collect()
    };
    let started = node.start(&config, &one("blockerm")).expect("started");
    assert_eq!(started.len(), 1);
    assert_eq!(running(), ["blockerm"]);
    // Its supervisor dies: the next one adopts it, and starts only what it is told.
    let (pid, _) = node.status(&config).expect("an answer");
    kill(pid.expect("runs"));
    let client = LocalNode::client(&config).expect("trusted");
    while client.supervisor_pid().expect("looked").is_some() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let again = node.start(&config, &one("mapperd")).expect("started");
    assert_eq!(again.len(), 1);
    assert_eq!(running(), ["blockerm", "mapperd"]);
    node.start(&config, &Scope::default()).expect("started");
    assert_eq!(running().len(), 4);
    node.stop(&config, &Scope::default()).expect("stopped");
    let error = node.supervise(&config, (Some("nobody"), false), None, || Ok(()));
    assert!(error.expect_err("unknown").message.contains("nobody"));
}
