//! The processes of a configured node: what `start`, `stop`, `restart`, `status` and `supervise` do about them.
//!
//! What else these commands mean (volumes that are attached, requests in flight) is the caller's: it looks before it stops.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use archipelago_protocol::ErrorCode;

use super::client::{Client, Patience};
use super::core::Limits;
use super::detached::spawn_detached;
use super::error::SupervisorError;
use super::gate::Gate;
use super::handover::Handover;
use super::launcher::ProgramLauncher;
use super::orders::Orders;
use super::role_status::{Purpose, host_for, role_statuses};
use super::run::Supervisor;
use super::run_dir::RunDir;
use super::sockets::Sockets;
use crate::cli::{ErrorReport, RoleStatus, Scope};
use crate::config::{Config, Environment, directories};
use crate::log;

/// This machine, and the program that hosts are made of.
#[derive(Clone, Debug)]
pub struct LocalNode {
    environment: Environment,
    /// `archipelago` itself: it is asked to `supervise` and to be a `host`.
    program: PathBuf,
    /// As the user gave it, for the processes to come.
    config_file: Option<PathBuf>,
}

impl LocalNode {
    /// Relative paths of the configuration file mean the present directory, which the supervisor leaves.
    pub fn new(environment: Environment, program: PathBuf, config_file: Option<PathBuf>) -> Self {
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        Self {
            environment,
            program,
            config_file: config_file.map(absolute),
        }
    }

    /// Refuses a run directory that somebody else made: its sockets are not ours.
    pub fn client(config: &Config) -> Result<Client, ErrorReport> {
        directories::check_run_dir(config).map_err(|problem| {
            let message = format!("the run directory cannot be trusted\n{problem}");
            ErrorReport::new(
                ErrorCode::Permission,
                message,
                "name one of your own with run_dir",
            )
        })?;
        let hosts = config.hosts.iter().map(|host| host.name.clone()).collect();
        let run_dir = RunDir::new(&config.run_dir);
        Ok(Client::new(run_dir, hosts, Patience::default()))
    }

    /// Makes missing directories, starts the supervisor if there is none, and waits until the hosts are ready.
    pub fn start(&self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport> {
        let host = host(config, scope, Purpose::Start)?;
        let given = activated()?;
        self.prepare_directories(config)?;
        let log_file = log::supervisor_file(config);
        let mut spawn = || {
            let mut command = Command::new(&self.program);
            if let Some(file) = &self.config_file {
                command.arg("--config").arg(file);
            }
            if scope.is_user_only {
                command.arg("--user");
            }
            command.arg("supervise");
            if let Some(host) = &host {
                command.arg("--host").arg(host);
            }
            spawn_detached(command, &log_file, &given)
        };
        let client = Self::client(config)?;
        if !given.is_empty() && client.report()?.supervisor_pid.is_some() {
            // Whoever connects to them would wait for ever.
            return Err(ErrorReport::new(
                ErrorCode::Busy,
                "the node runs already, with the sockets that it has: those that this was started with would not be served",
                "`archipelago stop` first, or start it without sockets",
            ));
        }
        let report = client.start(host.as_deref(), &mut spawn, &log_file)?;
        Ok(role_statuses(config, &report, host.as_deref()))
    }

    /// Makes those that are missing.
    fn prepare_directories(&self, config: &Config) -> Result<(), ErrorReport> {
        directories::prepare(config, &self.environment).map_err(|problem| {
            ErrorReport::new(
                ErrorCode::Invalid,
                format!("a directory cannot be used\n{problem}"),
                "correct it; `archipelago config check` looks again",
            )
        })
    }

    /// Stops a host, or everything.
    pub fn stop(&self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport> {
        let host = host(config, scope, Purpose::Stop)?;
        let report = Self::client(config)?.stop(host.as_deref())?;
        Ok(role_statuses(config, &report, host.as_deref()))
    }

    /// Without a role the supervisor is restarted too, and reads the configuration again.
    pub fn restart(&self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport> {
        let host = host(config, scope, Purpose::Restart)?;
        Self::client(config)?.stop(host.as_deref())?;
        self.start(config, scope)
    }

    /// The supervisor's pid, if there is one, and the roles.
    pub fn status(&self, config: &Config) -> Result<(Option<u32>, Vec<RoleStatus>), ErrorReport> {
        let report = Self::client(config)?.report()?;
        let roles = role_statuses(config, &report, None);
        Ok((report.supervisor_pid, roles))
    }

    /// Does `what` while nobody supervises, nor begins to; not at all if somebody does.
    pub fn while_unsupervised<T>(
        config: &Config,
        what: impl FnOnce() -> T,
    ) -> Result<Option<T>, ErrorReport> {
        // In a directory that is not there nobody does.
        let _gate = match config.run_dir.is_dir() {
            true => match Gate::take(&RunDir::new(&config.run_dir)) {
                Err(SupervisorError::AlreadyRunning { .. }) => return Ok(None),
                gate => Some(gate?),
            },
            false => None,
        };
        Ok(Some(what()))
    }

    /// Is the supervisor, until a command or an order ends it; of all hosts, or at first of one and of those that live. Devices of
    /// the kernel may be left alone.
    /// `prepare` is called before the first host starts, if none lives.
    pub fn supervise(
        &self,
        config: &Config,
        (host, leave_devices): (Option<&str>, bool),
        orders: Option<&dyn Orders>,
        prepare: impl FnOnce() -> Result<(), ErrorReport>,
    ) -> Result<(), ErrorReport> {
        if let Some(name) = host
            && config.host(name).is_none()
        {
            let message = format!("there is no host \"{}\"", name.escape_debug());
            let remedy = "name one of those in [hosts], or none";
            return Err(ErrorReport::new(ErrorCode::NotFound, message, remedy));
        }
        let mut given = activated()?;
        if let Some((_, sockets)) = Handover::of_stdin().map_err(|error| not_taken(&error))? {
            given.extend(sockets);
        }
        self.prepare_directories(config)?;
        super::detached::detach_session();
        let launcher = ProgramLauncher {
            program: self.program.clone(),
            config_file: self.config_file.clone(),
            log_dir: config.log_dir.clone(),
            owner: config.user.as_ref().map(|user| user.id),
            bridges: config
                .nbd_composer()
                .and_then(|composer| config.host_of(&composer.name))
                .map(|host| host.name.clone()),
            leave_devices,
            reattached: Arc::default(),
            sockets: Arc::new(Mutex::new(Sockets::new(given))),
        };
        let hosts: Vec<String> = config.hosts.iter().map(|host| host.name.clone()).collect();
        let run_dir = RunDir::new(&config.run_dir);
        let supervisor = Supervisor::new(run_dir, &hosts, Limits::default(), launcher)?;
        if supervisor.is_alone() {
            prepare()?;
        }
        Ok(supervisor.run(host, orders)?)
    }
}

/// The sockets that whoever started this process gave it, as systemd does.
fn activated() -> Result<Vec<OwnedFd>, ErrorReport> {
    archipelago_nbd::activated().map_err(|error| not_taken(&error))
}

fn not_taken(error: &impl std::fmt::Display) -> ErrorReport {
    ErrorReport::new(
        ErrorCode::Invalid,
        format!("the sockets that this was started with are not taken: {error}"),
        "correct the socket unit, or start it without one",
    )
}

fn host(config: &Config, scope: &Scope, purpose: Purpose) -> Result<Option<String>, ErrorReport> {
    let role = scope.role.as_deref();
    role.map(|role| host_for(config, role, purpose, scope.is_forced))
        .transpose()
}
