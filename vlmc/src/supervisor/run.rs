//! The supervisor's one thread: it sleeps until a host dies, a command asks, or a time is up.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;

use super::core::{Action, Core, Limits, Phase};
use super::error::SupervisorError;
use super::gate::Gate;
use super::host_lock::{Liveness, look};
use super::host_process::HostProcess;
use super::launcher::Launcher;
use super::orders::{Order, Orders};
use super::run_dir::RunDir;
use super::service_manager::ServiceManager;
use super::tenure;

/// How often a host that starts is asked whether it is ready: it tells by its file.
const READY_EVERY: Duration = Duration::from_millis(20);
/// How long a host may hold its lock without saying who it is.
const UNNAMED_PATIENCE: Duration = Duration::from_secs(2);

/// Holds the gate of its run directory.
#[derive(Debug)]
pub struct Supervisor<L> {
    run_dir: RunDir,
    _gate: Gate,
    pub(super) listener: UnixListener,
    pub(super) core: Core,
    pub(super) processes: BTreeMap<String, HostProcess>,
    launcher: L,
    manager: ServiceManager,
    epoch: Instant,
}

impl<L: Launcher> Supervisor<L> {
    /// Takes the gate and adopts the hosts that live. `hosts` are in the order in which they start.
    pub fn new(
        run_dir: RunDir,
        hosts: &[String],
        limits: Limits,
        launcher: L,
    ) -> Result<Self, SupervisorError> {
        let gate = Gate::take(&run_dir)?;
        let listener = listen(&run_dir)?;
        let mut supervisor = Self {
            core: Core::new(hosts.iter().cloned(), limits),
            run_dir,
            _gate: gate,
            listener,
            processes: BTreeMap::new(),
            launcher,
            manager: ServiceManager::of_process(),
            epoch: Instant::now(),
        };
        for host in hosts {
            supervisor.adopt(host)?;
        }
        supervisor.refuse_strangers(hosts)?;
        Ok(supervisor)
    }

    /// A host that the configuration does not have (any more) has ports that ours will want.
    fn refuse_strangers(&self, hosts: &[String]) -> Result<(), SupervisorError> {
        for host in self.run_dir.hosts_but(hosts) {
            if let Liveness::Alive(live) = look(&self.run_dir, &host)? {
                let pid = live.pid;
                return Err(SupervisorError::Stranger { host, pid });
            }
        }
        Ok(())
    }

    /// No host lives: whatever the dead left behind is nobody's.
    pub fn is_alone(&self) -> bool {
        self.processes.is_empty()
    }

    fn adopt(&mut self, host: &str) -> Result<(), SupervisorError> {
        let deadline = Instant::now() + UNNAMED_PATIENCE;
        loop {
            match look(&self.run_dir, host)? {
                Liveness::Dead => return Ok(()),
                Liveness::Alive(live) => {
                    tracing::info!(host, pid = live.pid, "adopted");
                    self.core.adopted(host, self.now());
                    if live.is_ready {
                        self.launcher.became_ready(host); // whoever was to do that may have died before
                    }
                    let process = HostProcess::adopt(live);
                    self.processes.insert(host.to_owned(), process);
                    return Ok(());
                }
                Liveness::Unnamed if Instant::now() < deadline => std::thread::sleep(READY_EVERY),
                Liveness::Unnamed => {
                    let host = host.to_owned();
                    return Err(SupervisorError::HostRunning { host, pid: None });
                }
            }
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Starts all hosts, or one beside those that live, and returns when all have been stopped: by a command, or an order.
    pub fn run(
        mut self,
        host: Option<&str>,
        mut orders: Option<&dyn Orders>,
    ) -> Result<(), SupervisorError> {
        self.core.start(host);
        loop {
            self.look_after();
            self.tell_manager();
            for action in self.core.actions(self.now()) {
                self.act(action);
            }
            if self.core.is_over() {
                let _ = fs::remove_file(self.run_dir.socket());
                return Ok(());
            }
            let (asked, told) = self.sleep(orders.map(Orders::descriptor))?;
            if told && self.follow(orders) {
                // Twice is enough, and what told it may stay readable.
                orders = None;
            }
            if asked {
                self.answer_all();
            }
        }
    }

    /// Who died, who is ready.
    fn look_after(&mut self) {
        let now = self.now();
        let mut gone = Vec::new();
        for (name, process) in &mut self.processes {
            if let Some(how) = process.ended() {
                if matches!(self.core.phase(name), Some(Phase::Stopping { .. })) {
                    tracing::info!(host = name, pid = process.pid, how = how.text, "ended");
                } else {
                    tracing::warn!(host = name, pid = process.pid, how = how.text, "died");
                }
                if how.was_killed {
                    self.core.killed(name, now);
                } else {
                    // One that ended by itself has said why.
                    let words = how
                        .has_exited
                        .then(|| self.launcher.last_words(name))
                        .flatten();
                    let words = words.map(|words| format!(" ({words})"));
                    let text = format!("{}{}", how.text, words.unwrap_or_default());
                    self.core.exited(name, &text, now);
                }
                if how.is_fenced {
                    tracing::warn!(host = name, "fenced: all hosts begin anew");
                    self.core.renew();
                }
                if self.core.phase(name) == Some(Phase::Failed) {
                    self.launcher.gave_up(name);
                }
                gone.push(name.clone());
            }
        }
        for name in gone {
            self.processes.remove(&name);
        }
        for (name, process) in &self.processes {
            if !matches!(self.core.phase(name), Some(Phase::Starting { .. })) {
                continue;
            }
            if let Ok(Liveness::Alive(live)) = look(&self.run_dir, name)
                && live.is_ready
                && live.pid == process.pid
            {
                tracing::info!(host = name, pid = process.pid, "ready");
                self.core.ready(name);
                self.launcher.became_ready(name);
            }
        }
    }

    fn tell_manager(&mut self) {
        let mut hosts = self.core.hosts();
        if hosts.all(|(name, phase, ..)| phase == Phase::Running || !self.core.is_wanted(name)) {
            drop(hosts);
            self.manager.ready();
        }
    }

    /// Was it told to end, and told again?
    fn follow(&mut self, orders: Option<&dyn Orders>) -> bool {
        /// Neither must a flood of signals keep us from anything.
        const ORDERS_PER_TURN: usize = 8;
        let orders = std::iter::from_fn(|| orders?.take());
        for order in orders.take(ORDERS_PER_TURN) {
            match order {
                Order::End if self.core.is_ending() => {
                    self.hasten();
                    return true;
                }
                Order::End => {
                    self.manager.stopping();
                    self.core.end();
                }
                Order::ReopenLogs => {
                    for (name, process) in &self.processes {
                        // One that has only begun would die of it: it opens them by itself.
                        if self.core.phase(name) == Some(Phase::Running) {
                            process.signal(Signal::HUP);
                        }
                    }
                }
            }
        }
        false
    }

    /// Hosts that stop are told once more: they wait for no client then (F89).
    fn hasten(&self) {
        let is_stopping =
            |name: &str| matches!(self.core.phase(name), Some(Phase::Stopping { .. }));
        for (name, process) in &self.processes {
            if is_stopping(name) {
                tracing::info!(host = name, pid = process.pid, "told again to stop");
                process.signal(Signal::TERM);
            }
        }
    }

    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Spawn(name) => match self.launch(&name) {
                Ok(process) => {
                    tracing::info!(host = name, pid = process.pid, "started");
                    self.processes.insert(name, process);
                }
                Err(error) => {
                    tracing::error!(host = name, %error, "cannot be started");
                    let how = format!("a failed start ({error})");
                    self.core.exited(&name, &how, self.now());
                }
            },
            Action::Terminate(name) => self.signal(&name, Signal::TERM),
            Action::Kill(name) => self.signal(&name, Signal::KILL),
        }
    }

    fn launch(&mut self, name: &str) -> io::Result<HostProcess> {
        if self.is_alone() {
            tenure::begin(&self.run_dir)?; // TENURE-1
        }
        self.launcher.launch(name).and_then(HostProcess::of_child)
    }

    fn signal(&self, name: &str, signal: Signal) {
        if let Some(process) = self.processes.get(name) {
            tracing::info!(host = name, pid = process.pid, ?signal, "told to stop");
            process.signal(signal);
        }
    }

    /// Until something happens: does somebody ask, is there an order?
    fn sleep(&self, orders: Option<BorrowedFd<'_>>) -> Result<(bool, bool), SupervisorError> {
        let due = self
            .core
            .next_due()
            .map(|due| due.saturating_sub(self.now()));
        let is_starting = self
            .core
            .hosts()
            .any(|(_, phase, ..)| matches!(phase, Phase::Starting { .. }));
        let timeout = if is_starting {
            Some(due.unwrap_or(READY_EVERY).min(READY_EVERY))
        } else {
            due
        };
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut fds = vec![PollFd::from_borrowed_fd(
            self.listener.as_fd(),
            PollFlags::IN,
        )];
        // Without one the listener stands in for it, and is not taken for it below.
        let orders_fd = orders.unwrap_or(self.listener.as_fd());
        fds.push(PollFd::from_borrowed_fd(orders_fd, PollFlags::IN));
        for process in self.processes.values() {
            fds.push(PollFd::from_borrowed_fd(
                process.descriptor(),
                PollFlags::IN,
            ));
        }
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => {
                let path = self.run_dir.path();
                return Err(SupervisorError::system("cannot wait in", path)(
                    errno.into(),
                ));
            }
        }
        let happened = |fd: &PollFd<'_>| !fd.revents().is_empty();
        Ok((happened(&fds[0]), orders.is_some() && happened(&fds[1])))
    }
}

/// The gate is ours, so a socket that is there was left by the dead.
fn listen(run_dir: &RunDir) -> Result<UnixListener, SupervisorError> {
    let path = run_dir.socket();
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(SupervisorError::system("cannot remove", path)(error));
        }
        _ => {}
    }
    let listen = || {
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    listen().map_err(SupervisorError::system("cannot listen at", &path))
}
