//! A supervisor that outlives the command that starts it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::handover::Handover;
use super::service_manager;
use crate::log;

/// Spawns `command` with its output in a log file and these sockets for it (`Handover::of_stdin`). It becomes the head of its own session by itself:
/// see [`detach_session`].
pub fn spawn_detached(
    mut command: Command,
    log_file: &Path,
    sockets: &[OwnedFd],
) -> io::Result<Child> {
    command.stdin(Stdio::null()).current_dir("/");
    let mut kept = None; // until it has its own end
    if !sockets.is_empty() {
        let (ours, theirs) = Handover::pair()?;
        ours.send(sockets)?;
        kept = Some(ours);
        command.stdin(theirs);
    }
    service_manager::hide_sockets(&mut command);
    // A service whose journal we write to goes on doing so.
    if !log::stderr_is_journal() {
        let file = log::open(log_file)?;
        command.stdout(file.try_clone()?).stderr(file);
    }
    let child = command.spawn();
    drop(kept);
    child
}

/// The first act of a supervisor: leave the terminal and the session of whoever started it. One that leads a session
/// already, as under systemd, stays where it is.
pub fn detach_session() {
    let _ = rustix::process::setsid();
}
