//! Stopping: whoever was told to stop is waited for, and nobody else.
//!
//! # Invariants
//! * **STOP-1** A stop is done when the processes that it told to stop are gone. What somebody else starts meanwhile is neither
//!   waited for nor touched.

use std::time::Instant;

use rustix::process::Signal;

use super::asking::{ASK_EVERY, Client, chosen};
use crate::supervisor::core::Phase;
use crate::supervisor::error::SupervisorError;
use crate::supervisor::host_lock::{Liveness, look, start_ticks};
use crate::supervisor::host_process::HostProcess;
use crate::supervisor::message::{Report, Request};

/// Whom a stop has told.
struct Told {
    /// With the whole node.
    supervisor: Option<(u32, Option<u64>)>,
    hosts: Vec<u32>,
    report: Report,
}

impl Told {
    fn of(report: Report, host: Option<&str>) -> Self {
        let hosts = chosen(&report, host).filter_map(|host| host.pid);
        Self {
            supervisor: report.supervisor().filter(|_| host.is_none()),
            hosts: hosts.collect(),
            report,
        }
    }

    /// The first of its hosts that a report shows alive.
    fn alive<'a>(&self, report: &'a Report) -> Option<&'a str> {
        let is_alive = |pid: u32| self.hosts.contains(&pid);
        let mut hosts = report.hosts.iter();
        let host = hosts.find(|host| host.phase.is_alive() && host.pid.is_some_and(is_alive))?;
        Some(&host.name)
    }

    fn is_supervised_by(&self, report: &Report) -> bool {
        self.supervisor.is_some() && report.supervisor() == self.supervisor
    }

    /// A number that another process has now is not it (HOST-1).
    fn has_supervisor_ended(&self) -> bool {
        matches!(self.supervisor, Some((pid, Some(ticks))) if start_ticks(pid) != Some(ticks))
    }

    /// All that was told is gone: what others have started since is none of its business.
    fn all_gone(self, host: Option<&str>, last: Option<Report>) -> Report {
        let is_chosen = |name: &str| host.is_none_or(|host| host == name);
        let mut report = match last {
            Some(last) if host.is_some() => last,
            _ => self.report,
        };
        if host.is_none() {
            report.supervisor_pid = None;
            report.supervisor_start_ticks = None;
        }
        for host in report.hosts.iter_mut().filter(|host| is_chosen(&host.name)) {
            host.phase = Phase::Down;
            host.pid = None;
            host.uptime_ms = None;
        }
        report
    }
}

impl Client {
    /// Stops one host, or everything; waits until it is gone (STOP-1).
    pub fn stop(&self, host: Option<&str>) -> Result<Report, SupervisorError> {
        let request = match host {
            Some(host) => Request::StopHost { host: host.into() },
            None => Request::End {},
        };
        let told = match self.ask(&request) {
            Ok(report) => Told::of(report, host),
            Err(SupervisorError::NotRunning { .. }) => {
                self.stop_orphans(host, None)?;
                return self.look_at_all();
            }
            Err(error) => return Err(error),
        };
        let deadline = Instant::now() + self.stop_patience();
        let mut last = Ok(told.report.clone());
        loop {
            let who = match &last {
                Ok(report) if told.is_supervised_by(report) => {
                    told.alive(report).map(str::to_owned)
                }
                Ok(report) => match told.alive(report) {
                    Some(alive) if host.is_some() => Some(alive.to_owned()),
                    left => {
                        // It was killed before they had stopped: unless another has them now, this is left to do.
                        if left.is_some() && report.supervisor_pid.is_none() {
                            self.stop_orphans(host, Some(&told.hosts))?;
                        }
                        return Ok(told.all_gone(host, last.ok()));
                    }
                },
                // Its successor may have no time for an answer yet.
                Err(_) if told.has_supervisor_ended() => return Ok(told.all_gone(host, None)),
                Err(_) => None,
            };
            if Instant::now() >= deadline {
                last?;
                let host = who.unwrap_or_else(|| "supervisor".into());
                return Err(SupervisorError::DoesNotStop { host });
            }
            std::thread::sleep(ASK_EVERY);
            last = self.report();
        }
    }

    /// Hosts whose supervisor died are stopped here, in the reverse of their order; of those with these pids, if there are some.
    fn stop_orphans(
        &self,
        host: Option<&str>,
        pids: Option<&[u32]>,
    ) -> Result<(), SupervisorError> {
        let is_chosen = |name: &&String| host.is_none_or(|host| host == *name);
        // Those of an earlier configuration first: nobody knows their place in the order.
        let strangers = self.run_dir.hosts_but(&self.hosts);
        let all = strangers.iter().chain(self.hosts.iter().rev());
        for name in all.filter(is_chosen) {
            let Liveness::Alive(live) = look(&self.run_dir, name)? else {
                continue;
            };
            if pids.is_some_and(|pids| !pids.contains(&live.pid)) {
                continue;
            }
            let process = HostProcess::adopt(live);
            process.signal(Signal::TERM);
            if process.wait(self.patience.stop) {
                continue;
            }
            process.signal(Signal::KILL);
            if !process.wait(self.patience.stop) {
                return Err(SupervisorError::DoesNotStop { host: name.clone() });
            }
        }
        Ok(())
    }
}
