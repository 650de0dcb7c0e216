//! How a host is started.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::service_manager;
use super::sockets::Sockets;
use crate::log;

/// Until what could not be attached again is tried once more.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(60);

/// Makes the process of a host.
pub trait Launcher {
    fn launch(&mut self, host: &str) -> io::Result<Child>;

    /// A host answers now, for the first time since it was launched or adopted.
    fn became_ready(&mut self, _host: &str) {}

    /// A host died too often, and is left down.
    fn gave_up(&mut self, _host: &str) {}

    /// What a host that is gone said last, if that is known.
    fn last_words(&self, _host: &str) -> Option<String> {
        None
    }
}

/// `archipelago host NAME`, with what it says before it logs by itself in a file.
#[derive(Clone, Debug)]
pub struct ProgramLauncher {
    /// The running program, as a rule.
    pub program: PathBuf,
    pub config_file: Option<PathBuf>,
    pub log_dir: PathBuf,
    /// Whom the host becomes, if that is somebody else.
    pub owner: Option<u32>,
    /// The host that serves what is attached.
    pub bridges: Option<String>,
    /// Devices of the kernel are nobody's business.
    pub leave_devices: bool,
    /// How often what was attached had to be attached again.
    pub reattached: Arc<AtomicU64>,
    /// What that host listens at.
    pub sockets: Arc<Mutex<Sockets>>,
}

impl Launcher for ProgramLauncher {
    fn launch(&mut self, host: &str) -> io::Result<Child> {
        let mut command = self.command();
        command.args(["host", host]);
        command.stdin(match self.serves(host) {
            true => self.sockets().lend()?.into(),
            false => Stdio::null(),
        });
        // The journal is where we log, and where our hosts shall.
        if !log::stderr_is_journal() {
            let file = self.log_file(host)?;
            command.stdout(file.try_clone()?).stderr(file);
        }
        command
            // Signals of a terminal are for the supervisor alone.
            .process_group(0)
            .spawn()
    }

    /// What is attached finds its server again: asked for by a process of its own, which may do what the host may not (S8).
    fn became_ready(&mut self, host: &str) {
        if !self.serves(host) {
            return;
        }
        // Whoever began to try for an earlier process of the host leaves it to us.
        let turn = self.reattached.fetch_add(1, Ordering::Relaxed) + 1;
        let (launcher, turns) = (self.clone(), self.reattached.clone());
        // A thread that has nothing else to do: it sleeps until the command ends, and between two of them.
        std::thread::spawn(move || {
            let mut pause = PAUSE_FIRST;
            while turns.load(Ordering::Relaxed) == turn {
                match launcher.reattach().and_then(|mut child| child.wait()) {
                    Ok(status) if status.success() => return,
                    ended => tracing::warn!(?ended, ?pause, "not all that was attached is again"),
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
        });
    }

    fn gave_up(&mut self, host: &str) {
        if self.serves(host) {
            self.sockets().let_go();
        }
    }

    fn last_words(&self, host: &str) -> Option<String> {
        if log::stderr_is_journal() {
            return None;
        }
        log::last_words(&self.log_dir.join(log::host_file_name(host)))
    }
}

impl ProgramLauncher {
    fn serves(&self, host: &str) -> bool {
        self.bridges.as_deref() == Some(host)
    }

    fn sockets(&self) -> std::sync::MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        service_manager::hide(&mut command);
        if let Some(file) = &self.config_file {
            command.arg("--config").arg(file);
        }
        command
    }

    fn reattach(&self) -> io::Result<Child> {
        let mut command = self.command();
        if self.leave_devices {
            command.arg("--user");
        }
        command.arg("reattach").stdin(Stdio::null());
        // It has a log file of its own, and what it says to people is nobody's here.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0).spawn()
    }

    /// Of the user that the host will be, who opens it anew.
    fn log_file(&self, host: &str) -> io::Result<File> {
        let file = log::open(&self.log_dir.join(log::host_file_name(host)))?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::fchown(&file, self.owner, None)?;
        }
        Ok(file)
    }
}
