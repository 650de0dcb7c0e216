//! Who a process is, beyond its number: numbers are used again.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

/// A process id, and when that process started (clock ticks since boot).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessId {
    pub pid: u32,
    pub start: u64,
}

impl ProcessId {
    /// This process.
    pub fn own() -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get() as u32;
        Self {
            pid,
            start: start_of(pid).unwrap_or(0),
        }
    }

    /// Is it there, and the same one? A zombie is dead: it will not run again.
    pub fn is_alive(self) -> bool {
        start_of(self.pid) == Some(self.start)
    }

    /// A descriptor that becomes readable when the process dies. ESRCH if it is gone already.
    pub fn open_pidfd(self) -> Result<OwnedFd, Errno> {
        let pid = i32::try_from(self.pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(Errno::SRCH)?;
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        // Looked at after opening: the descriptor is of this process, so if the start fits it is the right one.
        if self.is_alive() {
            Ok(pidfd)
        } else {
            Err(Errno::SRCH)
        }
    }
}

/// Field 22 of /proc/PID/stat; the name in field 2 may contain anything, so count from the last parenthesis.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_another_start_time_is_another_process() {
        let me = ProcessId::own();
        assert!(me.is_alive());
        assert!(me.open_pidfd().is_ok());
        let before = ProcessId {
            start: me.start.wrapping_add(1),
            ..me
        };
        assert!(!before.is_alive());
        assert_eq!(before.open_pidfd().err(), Some(Errno::SRCH));
    }

    #[test]
    fn impossible_process_ids_are_dead() {
        for pid in [0, u32::MAX] {
            assert!(!ProcessId { pid, start: 0 }.is_alive());
            assert!(ProcessId { pid, start: 0 }.open_pidfd().is_err());
        }
    }
}
