//! A supervisor that outlives the command that starts it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Spawns `command` with its output in a log file and no input. It becomes the head of its own session by itself:
/// see [`detach_session`].
pub fn spawn_detached(mut command: Command, log_file: &Path) -> io::Result<Child> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    let log = options.open(log_file)?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir("/")
        .spawn()
}

/// The first act of a supervisor: leave the terminal and the session of whoever started it. One that leads a session
/// already, as under systemd, stays where it is.
pub fn detach_session() {
    let _ = rustix::process::setsid();
}
