//! How a host is started.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::log;

/// Makes the process of a host.
pub trait Launcher {
    fn launch(&mut self, host: &str) -> io::Result<Child>;

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
}

impl Launcher for ProgramLauncher {
    fn launch(&mut self, host: &str) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        if let Some(file) = &self.config_file {
            command.arg("--config").arg(file);
        }
        command.args(["host", host]);
        command.stdin(Stdio::null());
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

    fn last_words(&self, host: &str) -> Option<String> {
        if log::stderr_is_journal() {
            return None;
        }
        log::last_words(&self.log_dir.join(log::host_file_name(host)))
    }
}

impl ProgramLauncher {
    /// Of the user that the host will be, who opens it anew.
    fn log_file(&self, host: &str) -> io::Result<File> {
        let file = log::open(&self.log_dir.join(log::host_file_name(host)))?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::fchown(&file, self.owner, None)?;
        }
        Ok(file)
    }
}
