//! What commands ask of the supervisor, and what it tells them.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::core::Phase;
use super::host_lock::start_ticks;
use super::launcher::Launcher;
use super::message::{HostReport, Report, Request, receive, send};
use super::run::Supervisor;

/// A command that says nothing must not keep us from the dead.
const CLIENT_PATIENCE: Duration = Duration::from_millis(200);

impl<L: Launcher> Supervisor<L> {
    pub(super) fn answer_all(&mut self) {
        /// A flood of commands must not keep us from the dead either.
        const CLIENTS_PER_TURN: usize = 8;
        for _ in 0..CLIENTS_PER_TURN {
            let Ok((mut stream, _)) = self.listener.accept() else {
                return;
            };
            if let Err(error) = self.answer(&mut stream) {
                tracing::debug!(%error, "a command went away");
            }
        }
    }

    fn answer(&mut self, stream: &mut UnixStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(CLIENT_PATIENCE))?;
        let refusal = match receive::<Request>(stream, CLIENT_PATIENCE) {
            Ok(request) => self.take(&request),
            // Who was not given a processor in time asks again.
            Err(error) if is_late(&error) => return Err(error),
            Err(error) => Some(format!("the request cannot be read: {error}")),
        };
        let report = Report {
            refusal,
            ..self.report()
        };
        send(stream, &report)
    }

    /// Why not, if not.
    fn take(&mut self, request: &Request) -> Option<String> {
        let host = match request {
            Request::Start { host } => host.as_deref(),
            Request::StopHost { host } => Some(host.as_str()),
            Request::Report {} | Request::End {} => None,
        };
        if let Some(host) = host.filter(|host| !self.core.knows(host)) {
            return Some(format!("there is no host \"{}\"", host.escape_debug()));
        }
        match request {
            Request::Report {} => {}
            Request::Start { host } => self.core.start(host.as_deref()),
            Request::StopHost { host } => self.core.stop(host),
            Request::End {} => self.core.end(),
        }
        // So that the report already shows what follows.
        for action in self.core.actions(self.now()) {
            self.act(action);
        }
        None
    }

    fn report(&self) -> Report {
        let host = |(name, phase, restarts, message): (&str, Phase, u32, Option<&str>)| {
            let process = self.processes.get(name);
            let uptime_ms =
                process.map(|p| u64::try_from(p.uptime().as_millis()).unwrap_or(u64::MAX));
            HostReport {
                name: name.to_owned(),
                phase,
                is_wanted: self.core.is_wanted(name),
                pid: process.map(|process| process.pid),
                uptime_ms,
                restarts,
                message: message.map(str::to_owned),
            }
        };
        Report {
            supervisor_pid: Some(std::process::id()),
            supervisor_start_ticks: start_ticks(std::process::id()),
            is_ending: self.core.is_ending(),
            hosts: self.core.hosts().map(host).collect(),
            refusal: None,
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
