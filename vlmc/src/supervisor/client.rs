//! What the commands ask: of the supervisor, or of the hosts themselves where there is none.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::core::Phase;
use super::error::SupervisorError;
use super::gate::{self, Gate};
use super::host_lock::{Liveness, look};
use super::host_process::HostProcess;
use super::message::{HostReport, Report, Request, receive, send};
use super::run_dir::RunDir;
use crate::log;

const ASK_EVERY: Duration = Duration::from_millis(20);
/// The supervisor answers at once; more than this, and it hangs.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For all hosts to be ready.
    pub start: Duration,
    /// For each host to stop, before it is killed.
    pub stop: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(30),
            stop: Duration::from_secs(15),
        }
    }
}

/// Of one run directory and its hosts, in the order in which they start.
#[derive(Clone, Debug)]
pub struct Client {
    run_dir: RunDir,
    hosts: Vec<String>,
    patience: Patience,
}

impl Client {
    pub fn new(run_dir: RunDir, hosts: Vec<String>, patience: Patience) -> Self {
        Self {
            run_dir,
            hosts,
            patience,
        }
    }

    /// How everything is, with a supervisor or without.
    pub fn report(&self) -> Result<Report, SupervisorError> {
        match self.ask(&Request::Report {}) {
            Err(SupervisorError::NotRunning { .. }) => self.look_at_all(),
            answer => answer,
        }
    }

    /// Starts all hosts, or one, and the supervisor if there is none; waits until they are ready, or failed.
    /// `spawn` makes a supervisor that logs to `log_file`.
    pub fn start(
        &self,
        host: Option<&str>,
        spawn: &mut dyn FnMut() -> io::Result<Child>,
        log_file: &Path,
    ) -> Result<Report, SupervisorError> {
        let deadline = Instant::now() + self.patience.start;
        let request = Request::Start {
            host: host.map(str::to_owned),
        };
        let mut spawned: Option<Child> = None;
        let mut report = loop {
            match self.ask(&request) {
                Ok(report) => break report,
                Err(SupervisorError::NotRunning { .. }) if Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
            match &mut spawned {
                None => {
                    let child = spawn().map_err(SupervisorError::system("cannot run", log_file))?;
                    spawned = Some(child);
                }
                Some(child) => {
                    // Somebody else's supervisor may have been faster: then it is that one that answers.
                    if let Ok(Some(status)) = child.try_wait()
                        && !Gate::is_taken(&self.run_dir)?
                    {
                        return Err(SupervisorError::EndedAtOnce {
                            status: status.to_string(),
                            last_words: log::last_words(log_file).unwrap_or_else(|| "none".into()),
                        });
                    }
                }
            }
            std::thread::sleep(ASK_EVERY);
        };
        let is_settled = |report: &Report| {
            chosen(report, host).all(|h| matches!(h.phase, Phase::Running | Phase::Failed))
        };
        while !is_settled(&report) && Instant::now() < deadline {
            std::thread::sleep(ASK_EVERY);
            report = self.ask(&Request::Report {})?;
        }
        Ok(report)
    }

    /// Stops one host, or everything; waits until it is gone.
    pub fn stop(&self, host: Option<&str>) -> Result<Report, SupervisorError> {
        let request = match host {
            Some(host) => Request::StopHost { host: host.into() },
            None => Request::End {},
        };
        let mut report = match self.ask(&request) {
            Ok(report) => report,
            Err(SupervisorError::NotRunning { .. }) => return self.stop_orphans(host),
            Err(error) => return Err(error),
        };
        let count = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        // Each may take its time, be killed, and wait for its device.
        let deadline = Instant::now() + (self.patience.stop + ANSWER_PATIENCE) * count.max(1);
        loop {
            let alive = chosen(&report, host).find(|host| host.phase.is_alive());
            let alive = alive.map(|host| host.name.clone());
            let is_gone = alive.is_none() && (host.is_some() || report.supervisor_pid.is_none());
            if is_gone {
                return Ok(report);
            }
            if Instant::now() >= deadline {
                let host = alive.unwrap_or_else(|| "supervisor".into());
                return Err(SupervisorError::DoesNotStop { host });
            }
            std::thread::sleep(ASK_EVERY);
            report = self.report()?;
        }
    }

    /// One request, one answer.
    fn ask(&self, request: &Request) -> Result<Report, SupervisorError> {
        let directory = || self.run_dir.path().to_owned();
        let answer = UnixStream::connect(self.run_dir.socket()).and_then(|mut stream| {
            stream.set_write_timeout(Some(ANSWER_PATIENCE))?;
            send(&mut stream, request)?;
            receive::<Report>(&stream, ANSWER_PATIENCE)
        });
        match answer {
            Ok(Report {
                refusal: Some(_), ..
            }) => Err(SupervisorError::UnknownHost {
                host: named(request),
            }),
            Ok(report) => Ok(report),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(
                SupervisorError::system("cannot reach", self.run_dir.socket())(error),
            ),
            // Not there, or on its way in or out: the gate tells for sure.
            Err(_) if !Gate::is_taken(&self.run_dir)? => Err(SupervisorError::NotRunning {
                directory: directory(),
            }),
            Err(error) if is_timeout(&error) => Err(SupervisorError::NoAnswer {
                directory: directory(),
            }),
            Err(_) => self.ask_again(request),
        }
    }

    /// The gate is taken and the socket not open: a supervisor begins, or ends.
    fn ask_again(&self, request: &Request) -> Result<Report, SupervisorError> {
        let deadline = Instant::now() + ANSWER_PATIENCE;
        while Instant::now() < deadline {
            std::thread::sleep(ASK_EVERY);
            let answer = UnixStream::connect(self.run_dir.socket()).and_then(|mut stream| {
                stream.set_write_timeout(Some(ANSWER_PATIENCE))?;
                send(&mut stream, request)?;
                receive::<Report>(&stream, ANSWER_PATIENCE)
            });
            match answer {
                Ok(report) if report.refusal.is_none() => return Ok(report),
                Ok(_) => {
                    let host = named(request);
                    return Err(SupervisorError::UnknownHost { host });
                }
                Err(_) if !Gate::is_taken(&self.run_dir)? => {
                    let directory = self.run_dir.path().to_owned();
                    return Err(SupervisorError::NotRunning { directory });
                }
                Err(_) => {}
            }
        }
        Err(SupervisorError::NoAnswer {
            directory: self.run_dir.path().to_owned(),
        })
    }

    fn look_at_all(&self) -> Result<Report, SupervisorError> {
        let mut hosts = Vec::new();
        for name in &self.hosts {
            let (phase, pid, uptime) = match look(&self.run_dir, name)? {
                Liveness::Alive(live) if live.is_ready => {
                    (Phase::Running, Some(live.pid), Some(live.uptime))
                }
                Liveness::Alive(live) => {
                    let since = Duration::ZERO;
                    (Phase::Starting { since }, Some(live.pid), Some(live.uptime))
                }
                Liveness::Unnamed => (
                    Phase::Starting {
                        since: Duration::ZERO,
                    },
                    None,
                    None,
                ),
                Liveness::Dead => (Phase::Down, None, None),
            };
            hosts.push(HostReport {
                name: name.clone(),
                phase,
                pid,
                uptime_ms: uptime.and_then(|uptime| u64::try_from(uptime.as_millis()).ok()),
                restarts: 0,
                message: None,
            });
        }
        Ok(Report {
            supervisor_pid: None,
            hosts,
            refusal: None,
        })
    }

    /// Hosts whose supervisor died are stopped here, in the reverse of their order.
    fn stop_orphans(&self, host: Option<&str>) -> Result<Report, SupervisorError> {
        let is_chosen = |name: &&String| host.is_none_or(|host| host == *name);
        // Those of an earlier configuration first: nobody knows their place in the order.
        let strangers = self.run_dir.hosts_but(&self.hosts);
        let all = strangers.iter().chain(self.hosts.iter().rev());
        for name in all.filter(is_chosen) {
            let Liveness::Alive(live) = look(&self.run_dir, name)? else {
                continue;
            };
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
        self.look_at_all()
    }

    /// Who supervises, if anybody does.
    pub fn supervisor_pid(&self) -> Result<Option<u32>, SupervisorError> {
        let is_taken = Gate::is_taken(&self.run_dir)?;
        Ok(if is_taken {
            gate::holder(&self.run_dir)
        } else {
            None
        })
    }
}

fn chosen<'a>(report: &'a Report, host: Option<&'a str>) -> impl Iterator<Item = &'a HostReport> {
    let is_chosen = move |h: &&HostReport| host.is_none_or(|host| host == h.name);
    report.hosts.iter().filter(is_chosen)
}

fn named(request: &Request) -> String {
    match request {
        Request::Start { host: Some(host) } | Request::StopHost { host } => host.clone(),
        _ => String::new(),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
