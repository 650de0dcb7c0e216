//! What happens to hosts, and what is to be done about it.
//!
//! # Invariants
//! * **SUP-1** A host is spawned only while it has no process.
//! * **SUP-2** A host that dies while it is wanted is spawned again within a second, unless it failed (S8).
//! * **SUP-3** A host that dies `deaths_max` times within `deaths_window` is left down until somebody starts it (F20).
//! * **SUP-4** Hosts get SIGTERM in the reverse of their order, each when those after it are gone; SIGKILL follows after
//!   `stop_max`.
//! * **SUP-5** When hosts are to begin anew, all that live are killed, and none is spawned before all are gone.

use std::time::Duration;

use super::host::{Host, Phase};

/// Times and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub deaths_max: usize,
    pub deaths_window: Duration,
    /// How long a host may take for a graceful stop.
    pub stop_max: Duration,
    /// How long the next host waits for the one before it to be ready.
    pub ready_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deaths_max: 5,
            deaths_window: Duration::from_secs(10),
            stop_max: Duration::from_secs(15),
            ready_patience: Duration::from_secs(5),
        }
    }
}

/// The second restart waits this long, each one after it twice as long as the one before: with five deaths at most,
/// 0.1 + 0.2 + 0.4 s, all of it less than the second of SUP-2.
const WAIT_SECOND: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_millis(800);

/// What the caller is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Spawn(String),
    /// SIGTERM.
    Terminate(String),
    /// SIGKILL.
    Kill(String),
}

/// All hosts, in the order in which they start.
#[derive(Clone, Debug)]
pub struct Core {
    hosts: Vec<Host>,
    limits: Limits,
    is_ending: bool,
    /// All begin anew.
    is_renewing: bool,
}

impl Core {
    pub fn new(names: impl IntoIterator<Item = String>, limits: Limits) -> Self {
        Self {
            hosts: names.into_iter().map(Host::new).collect(),
            limits,
            is_ending: false,
            is_renewing: false,
        }
    }

    pub fn knows(&self, name: &str) -> bool {
        self.hosts.iter().any(|host| host.name == name)
    }

    /// Name, phase, restarts, and what went wrong.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, Phase, u32, Option<&str>)> {
        self.hosts.iter().map(|host| {
            let message = host.message.as_deref();
            (host.name.as_str(), host.phase, host.restarts, message)
        })
    }

    pub fn phase(&self, name: &str) -> Option<Phase> {
        self.hosts
            .iter()
            .find(|host| host.name == name)
            .map(|host| host.phase)
    }

    /// Is it to run?
    pub fn is_wanted(&self, name: &str) -> bool {
        let mut hosts = self.hosts.iter();
        hosts.any(|host| host.name == name && host.is_wanted)
    }

    fn host_mut(&mut self, name: &str) -> Option<&mut Host> {
        self.hosts.iter_mut().find(|host| host.name == name)
    }

    fn chosen<'a>(&'a mut self, name: Option<&'a str>) -> impl Iterator<Item = &'a mut Host> {
        let is_chosen = move |host: &&mut Host| name.is_none_or(|name| name == host.name);
        self.hosts.iter_mut().filter(is_chosen)
    }

    /// All hosts, or one, are to run. What failed gets another chance.
    pub fn start(&mut self, name: Option<&str>) {
        // Whoever has been told to end, ends: it would be a race with those who wait for that.
        if self.is_ending {
            return;
        }
        for host in self.chosen(name) {
            host.is_wanted = true;
            if host.phase == Phase::Failed {
                host.phase = Phase::Down;
                host.deaths.clear();
                host.message = None;
            }
        }
    }

    /// One host is to stop.
    pub fn stop(&mut self, name: &str) {
        for host in self.chosen(Some(name)) {
            host.is_wanted = false;
        }
    }

    /// All hosts are to stop, and the supervisor after them.
    pub fn end(&mut self) {
        self.is_ending = true;
        for host in &mut self.hosts {
            host.is_wanted = false;
        }
    }

    /// Told to end: nothing is started any more.
    pub fn is_ending(&self) -> bool {
        self.is_ending
    }

    /// Told to end, and nothing is left.
    pub fn is_over(&self) -> bool {
        self.is_ending && !self.hosts.iter().any(|host| host.phase.is_alive())
    }

    /// A host was found running.
    pub fn adopted(&mut self, name: &str, now: Duration) {
        if let Some(host) = self.host_mut(name) {
            host.is_wanted = true;
            host.phase = Phase::Starting { since: now };
        }
    }

    /// A host says that it serves.
    pub fn ready(&mut self, name: &str) {
        if let Some(host) = self.host_mut(name)
            && matches!(host.phase, Phase::Starting { .. })
        {
            host.phase = Phase::Running;
        }
    }

    /// A process that served was killed from outside (an administrator, or the kernel for want of memory): no fault of
    /// its own that it would repeat. The next one starts at once.
    pub fn killed(&mut self, name: &str, now: Duration) {
        match self.host_mut(name) {
            Some(host) if host.phase == Phase::Running && host.is_wanted => {
                host.restarts += 1;
                host.message = Some("restarted after signal 9".into());
                host.phase = Phase::Waiting { until: now };
            }
            _ => self.exited(name, "signal 9", now),
        }
    }

    /// A process is gone, or could not be made; `how` is for people.
    pub fn exited(&mut self, name: &str, how: &str, now: Duration) {
        let limits = self.limits;
        let Some(host) = self.host_mut(name) else {
            return;
        };
        if matches!(host.phase, Phase::Stopping { .. }) || !host.is_wanted {
            host.phase = Phase::Down;
            return;
        }
        host.deaths.push_back(now);
        while host
            .deaths
            .front()
            .is_some_and(|death| now.saturating_sub(*death) > limits.deaths_window)
        {
            host.deaths.pop_front();
        }
        let deaths = host.deaths.len();
        if deaths >= limits.deaths_max {
            host.phase = Phase::Failed;
            host.message = Some(format!(
                "died {deaths} times within {} s, the last time by {how}: left down; look at its log, then start it again",
                limits.deaths_window.as_secs()
            ));
            return;
        }
        host.restarts += 1;
        host.message = Some(format!("restarted after {how}"));
        host.phase = Phase::Waiting {
            until: now + wait(deaths),
        };
    }

    /// What one host found out makes void what all of them believe: none goes on.
    pub fn renew(&mut self) {
        self.is_renewing = true;
    }

    /// What is to be done now. Spawned hosts count as starting, signalled ones as stopping.
    pub fn actions(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.is_renewing {
            self.kill_all(now, &mut actions);
            if self.is_renewing {
                return actions;
            }
        }
        self.spawn_due(now, &mut actions);
        self.stop_due(now, &mut actions);
        actions
    }

    /// Until all are gone (SUP-5). Then they start in order.
    fn kill_all(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.is_renewing = self.hosts.iter().any(|host| host.phase.is_alive());
        for host in &mut self.hosts {
            match host.phase {
                Phase::Stopping {
                    is_killed: true, ..
                } => {}
                Phase::Starting { .. } | Phase::Running | Phase::Stopping { .. } => {
                    let is_killed = true;
                    host.phase = Phase::Stopping {
                        since: now,
                        is_killed,
                    };
                    actions.push(Action::Kill(host.name.clone()));
                }
                Phase::Waiting { .. } => host.phase = Phase::Down,
                Phase::Down | Phase::Failed => {}
            }
        }
    }

    fn spawn_due(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let patience = self.limits.ready_patience;
        let mut is_held_up = false;
        for host in &mut self.hosts {
            let is_due = match host.phase {
                // The first start is in order.
                Phase::Down => host.is_wanted && !is_held_up,
                Phase::Waiting { until } if host.is_wanted => until <= now,
                Phase::Waiting { .. } => {
                    host.phase = Phase::Down;
                    false
                }
                _ => false,
            };
            if is_due {
                host.phase = Phase::Starting { since: now };
                actions.push(Action::Spawn(host.name.clone()));
            }
            is_held_up |= matches!(host.phase, Phase::Starting { since } if since + patience > now);
        }
    }

    fn stop_due(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let stop_max = self.limits.stop_max;
        let mut is_held_up = false;
        for host in self.hosts.iter_mut().rev() {
            match host.phase {
                Phase::Starting { .. } | Phase::Running if !host.is_wanted => {
                    if !is_held_up {
                        let is_killed = false;
                        host.phase = Phase::Stopping {
                            since: now,
                            is_killed,
                        };
                        actions.push(Action::Terminate(host.name.clone()));
                    }
                    is_held_up = true;
                }
                Phase::Stopping { since, is_killed } => {
                    if !is_killed && since + stop_max <= now {
                        let is_killed = true;
                        host.phase = Phase::Stopping { since, is_killed };
                        actions.push(Action::Kill(host.name.clone()));
                    }
                    is_held_up |= !host.is_wanted;
                }
                _ => {}
            }
        }
    }

    /// When to call [`Core::actions`] again if nothing happens before.
    pub fn next_due(&self) -> Option<Duration> {
        let due = |host: &Host| match host.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Stopping {
                since,
                is_killed: false,
            } => Some(since + self.limits.stop_max),
            Phase::Starting { since } => Some(since + self.limits.ready_patience),
            _ => None,
        };
        self.hosts.iter().filter_map(due).min()
    }
}

fn wait(deaths: usize) -> Duration {
    match deaths {
        0 | 1 => Duration::ZERO,
        more => {
            let doublings = u32::try_from(more - 2).unwrap_or(u32::MAX).min(3);
            (WAIT_SECOND * (1 << doublings)).min(WAIT_MAX)
        }
    }
}
