//! Worker processes as their controller sees them: this program started again, with a line channel both ways.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command as Program, ExitStatus, Stdio};
use std::sync::mpsc::Sender;

use anyhow::Context;
use rustix::process::{Pid, Signal};

use crate::channel::{Command, Report};
use crate::worker::WorkerArgs;

/// Names a worker process, once in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u64);

/// What the controller hears of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Report(Report),
    /// Its output has ended: it is dead, or about to be.
    Ended,
}

/// A worker process. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    reaped: Option<ExitStatus>,
}

impl Process {
    /// Starts this program again as a worker. All it says goes to `heard`, with its id.
    pub fn start(
        id: WorkerId,
        args: &WorkerArgs,
        heard: Sender<(WorkerId, Heard)>,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut child = Program::new(program)
            .arg("worker")
            .args(args.to_words())
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a worker")?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("the worker's output")?;
        std::thread::Builder::new()
            .name("listener".into())
            .spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    // A line that was cut short by the worker's death is no report.
                    if let Ok(report) = line.parse() {
                        let _ = heard.send((id, Heard::Report(report))); // the controller may be gone
                    }
                }
                let _ = heard.send((id, Heard::Ended));
            })
            .context("starting a listener")?;
        Ok(Self {
            child,
            stdin,
            reaped: None,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal; to a process that is dead already it does nothing.
    pub fn signal(&self, signal: Signal) {
        if self.reaped.is_none()
            && let Some(pid) = Pid::from_raw(self.child.id() as i32)
        {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Tells it something. It may be dead.
    pub fn tell(&mut self, command: Command) {
        if let Some(stdin) = &mut self.stdin {
            let _ = writeln!(stdin, "{command}");
            let _ = stdin.flush();
        }
    }

    /// How it ended. Waits for the end, which [`Heard::Ended`] has announced.
    pub fn reap(&mut self) -> anyhow::Result<ExitStatus> {
        if let Some(status) = self.reaped {
            return Ok(status);
        }
        let status = self.child.wait().context("waiting for a worker")?;
        self.reaped = Some(status);
        Ok(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = self.reap();
    }
}
