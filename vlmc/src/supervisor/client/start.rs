//! Starting: by the supervisor that is there, or by one that is made.
//!
//! # Invariants
//! * **START-1** A start is carried out by a supervisor that has not been told to end. One that has is waited for, and then
//!   another one is made; also if it is told while the start waits for its hosts.

use std::io;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use archipelago_protocol::ErrorCode;

use super::asking::{ANSWER_PATIENCE, ASK_EVERY, Client, chosen};
use crate::log;
use crate::supervisor::core::Phase;
use crate::supervisor::error::SupervisorError;
use crate::supervisor::gate::Gate;
use crate::supervisor::message::{Report, Request};

/// Makes supervisors, for as long as there is time.
struct Making<'a> {
    spawn: &'a mut dyn FnMut() -> io::Result<Child>,
    log_file: &'a Path,
    spawned: Option<Child>,
    /// For hosts to be ready; begins anew when an ending supervisor is gone.
    deadline: Instant,
    /// For those that end.
    end_deadline: Instant,
}

impl Client {
    /// Starts all hosts, or one, and the supervisor if there is none; waits until they are ready, or failed.
    /// `spawn` makes a supervisor that logs to `log_file`.
    pub fn start(
        &self,
        host: Option<&str>,
        spawn: &mut dyn FnMut() -> io::Result<Child>,
        log_file: &Path,
    ) -> Result<Report, SupervisorError> {
        let now = Instant::now();
        let mut making = Making {
            spawn,
            log_file,
            spawned: None,
            deadline: now + self.patience.start,
            end_deadline: now + self.stop_patience(),
        };
        loop {
            let report = self.begin(host, &mut making)?;
            if let Some(report) = self.settled(report, host, making.deadline)? {
                return Ok(report);
            }
        }
    }

    /// All of them may take their time, be killed, and wait for their devices.
    pub(super) fn stop_patience(&self) -> Duration {
        let count = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        (self.patience.stop + ANSWER_PATIENCE) * count.max(1)
    }

    /// Until a supervisor that is not about to end has taken the request.
    fn begin(
        &self,
        host: Option<&str>,
        making: &mut Making<'_>,
    ) -> Result<Report, SupervisorError> {
        let request = Request::Start {
            host: host.map(str::to_owned),
        };
        loop {
            match self.ask(&request) {
                Ok(report) if !report.is_ending => return Ok(report),
                Ok(_) if Instant::now() >= making.end_deadline => {
                    let directory = self.run_dir.path().to_owned();
                    return Err(SupervisorError::StillEnding { directory });
                }
                Ok(_) => making.deadline = Instant::now() + self.patience.start,
                Err(SupervisorError::NotRunning { .. }) if Instant::now() < making.deadline => {
                    self.make(making)?;
                }
                Err(error) => return Err(error),
            }
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// Nobody supervises: makes one, unless one that was made has still to show itself.
    fn make(&self, making: &mut Making<'_>) -> Result<(), SupervisorError> {
        if let Some(child) = &mut making.spawned {
            let Ok(Some(status)) = child.try_wait() else {
                return Ok(());
            };
            // Somebody else's supervisor may have been faster: then it is that one that answers.
            if Gate::is_taken(&self.run_dir)? {
                return Ok(());
            }
            // Or that one has ended since, as has one of ours that served and was told to (START-1).
            if !is_harmless(status) {
                return Err(SupervisorError::EndedAtOnce {
                    status: status.to_string(),
                    last_words: log::last_words(making.log_file).unwrap_or_else(|| "none".into()),
                });
            }
        }
        let spawned = (making.spawn)();
        making.spawned =
            Some(spawned.map_err(SupervisorError::system("cannot run", making.log_file))?);
        Ok(())
    }

    /// None if its supervisor ends, or has ended, before the hosts are ready.
    fn settled(
        &self,
        mut report: Report,
        host: Option<&str>,
        deadline: Instant,
    ) -> Result<Option<Report>, SupervisorError> {
        let is_settled = |report: &Report| {
            chosen(report, host).all(|h| matches!(h.phase, Phase::Running | Phase::Failed))
        };
        while !is_settled(&report) && Instant::now() < deadline {
            std::thread::sleep(ASK_EVERY);
            report = match self.ask(&Request::Report {}) {
                Ok(report) if !report.is_ending => report,
                Ok(_) | Err(SupervisorError::NotRunning { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
        }
        Ok(Some(report))
    }
}

/// It was told to end, or found that another one runs.
fn is_harmless(status: ExitStatus) -> bool {
    let another = i32::from(ErrorCode::Exists.exit_code());
    status.success() || status.code() == Some(another)
}
