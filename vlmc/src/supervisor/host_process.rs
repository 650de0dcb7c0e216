//! A host's process, our child or adopted: one descriptor that stays its own whatever number the kernel gives away.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::host_lock::{LiveHost, boot_time};
use super::tenure::FENCED_EXIT_CODE;

/// Alive, or not yet reaped.
#[derive(Debug)]
pub struct HostProcess {
    pub pid: u32,
    pidfd: OwnedFd,
    child: Option<Child>,
    /// Since boot.
    started: Duration,
}

impl HostProcess {
    /// A child that was just made.
    pub fn of_child(mut child: Child) -> io::Result<Self> {
        let pid = child.id();
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let opened = match raw {
            Some(raw) => {
                rustix::process::pidfd_open(raw, PidfdFlags::NONBLOCK).map_err(io::Error::from)
            }
            None => Err(io::Error::other("a child without a number")),
        };
        match opened {
            Ok(pidfd) => Ok(Self {
                pid,
                pidfd,
                child: Some(child),
                started: boot_time(),
            }),
            // A child that cannot be watched must not live on unwatched.
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// A host that somebody else started.
    pub fn adopt(host: LiveHost) -> Self {
        Self {
            pid: host.pid,
            pidfd: host.pidfd,
            child: None,
            started: boot_time().saturating_sub(host.uptime),
        }
    }

    pub fn uptime(&self) -> Duration {
        boot_time().saturating_sub(self.started)
    }

    /// Readable when the process is gone.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<Ending> {
        match &mut self.child {
            Some(child) => match child.try_wait() {
                Ok(ended) => ended.map(describe),
                // Whoever started us ignored the ends of children, and so the kernel keeps none for us.
                Err(_) => self.ended_unseen(),
            },
            None => self.ended_unseen(),
        }
    }

    fn ended_unseen(&self) -> Option<Ending> {
        self.wait(Duration::ZERO).then(|| Ending {
            text: "an end that nobody saw".into(),
            was_killed: false,
            has_exited: false,
            is_fenced: false,
        })
    }

    /// Is it gone within `timeout`? A child still has to be reaped.
    pub fn wait(&self, timeout: Duration) -> bool {
        let timeout = Timespec::try_from(timeout).ok();
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        matches!(rustix::event::poll(&mut fds, timeout.as_ref()), Ok(1..))
    }

    /// One that is gone already needs no signal.
    pub fn signal(&self, signal: Signal) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, signal);
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// For people.
    pub text: String,
    /// By SIGKILL, which no fault of a program sends.
    pub was_killed: bool,
    /// By itself.
    pub has_exited: bool,
    /// It must not begin again before all others have ended.
    pub is_fenced: bool,
}

fn describe(status: ExitStatus) -> Ending {
    let text = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an end of an unknown kind".into(),
    };
    Ending {
        text,
        was_killed: status.signal() == Some(Signal::KILL.as_raw()),
        has_exited: status.code().is_some(),
        is_fenced: status.code() == Some(FENCED_EXIT_CODE),
    }
}
