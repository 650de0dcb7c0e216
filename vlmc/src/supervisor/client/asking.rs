//! Asking, once.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::supervisor::core::Phase;
use crate::supervisor::error::SupervisorError;
use crate::supervisor::gate::{self, Gate};
use crate::supervisor::host_lock::{Liveness, look};
use crate::supervisor::message::{HostReport, Report, Request, receive, send};
use crate::supervisor::run_dir::RunDir;

pub(super) const ASK_EVERY: Duration = Duration::from_millis(20);
/// The supervisor answers at once; more than this, and it hangs.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

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
    pub(super) run_dir: RunDir,
    pub(super) hosts: Vec<String>,
    pub(super) patience: Patience,
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

    /// One request, one answer.
    pub(super) fn ask(&self, request: &Request) -> Result<Report, SupervisorError> {
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

    pub(super) fn look_at_all(&self) -> Result<Report, SupervisorError> {
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
                is_wanted: false,
                pid,
                uptime_ms: uptime.and_then(|uptime| u64::try_from(uptime.as_millis()).ok()),
                restarts: 0,
                message: None,
            });
        }
        Ok(Report {
            hosts,
            ..Report::default()
        })
    }

    /// Hosts that live, and that the configuration does not have, with their pids.
    pub fn strangers(&self) -> Result<Vec<(String, u32)>, SupervisorError> {
        let mut strangers = Vec::new();
        for name in self.run_dir.hosts_but(&self.hosts) {
            if let Liveness::Alive(live) = look(&self.run_dir, &name)? {
                strangers.push((name, live.pid));
            }
        }
        Ok(strangers)
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

/// The hosts that a command is about.
pub(super) fn chosen<'a>(
    report: &'a Report,
    host: Option<&'a str>,
) -> impl Iterator<Item = &'a HostReport> {
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
