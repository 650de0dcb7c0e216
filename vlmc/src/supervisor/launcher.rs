//! How a host is started.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Makes the process of a host.
pub trait Launcher {
    fn launch(&mut self, host: &str) -> io::Result<Child>;
}

/// `archipelago host NAME`, with what it says before it logs by itself in a file.
#[derive(Clone, Debug)]
pub struct ProgramLauncher {
    /// The running program, as a rule.
    pub program: PathBuf,
    pub config_file: Option<PathBuf>,
    pub log_dir: PathBuf,
}

impl Launcher for ProgramLauncher {
    fn launch(&mut self, host: &str) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        if let Some(file) = &self.config_file {
            command.arg("--config").arg(file);
        }
        command.args(["host", host]);
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o640);
        let log = options.open(self.log_dir.join(format!("host-{host}.log")))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Signals of a terminal are for the supervisor alone.
            .process_group(0);
        command.spawn()
    }
}
