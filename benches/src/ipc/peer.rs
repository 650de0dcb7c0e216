//! The other processes of a measurement: starting them, meeting them, never leaking them.
//!
//! A peer is this same executable with a hidden subcommand. Its standard input and output
//! carry whatever its contender wants there (the measured channel, or a gate), so no
//! descriptor has to be smuggled past `exec`. It asks the kernel to be killed when the
//! process that measures dies, however that happens.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use rustix::process::{Pid, Signal};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::{Role, Waiting};

/// What one peer has to do.
#[derive(Args, Clone, Debug)]
pub struct PeerTask {
    #[arg(long)]
    pub contender: String,
    #[arg(long)]
    pub role: Role,
    #[arg(long)]
    pub mode: Waiting,
    /// Messages to answer or to send.
    #[arg(long)]
    pub count: u64,
    /// Where to meet, for contenders that meet by name.
    #[arg(long, default_value = "")]
    pub address: String,
}

/// The command line of a peer.
#[derive(Args, Debug)]
pub struct PeerArguments {
    /// The process that measures.
    #[arg(long)]
    parent: i32,
    /// Run on this processor only.
    #[arg(long)]
    cpu: Option<usize>,
    #[command(flatten)]
    pub task: PeerTask,
}

impl PeerArguments {
    /// Ties this process to its parent, and to its processor if it has been given one.
    pub fn settle(&self) -> Result<()> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .context("cannot ask to die with the parent")?;
        let parent = rustix::process::getppid().map(Pid::as_raw_pid);
        ensure!(
            parent == Some(self.parent),
            "the parent died before the peer was ready"
        );
        self.cpu.map_or(Ok(()), pin_to)
    }
}

/// Which processors the processes of a measurement are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pinning {
    /// Each to one of its own, as far as there are enough.
    Apart,
    /// All to the same: no wake-up of an idle processor blurs what sleeping costs.
    Together,
}

/// Starts peers, bound to processors if that is asked for.
#[derive(Debug)]
pub struct Launcher {
    /// The processors to share out, this process's own first; empty without pinning.
    cpus: Vec<usize>,
}

impl Launcher {
    /// Binds this process as well.
    pub fn new(pinning: Option<Pinning>) -> Result<Self> {
        let Some(pinning) = pinning else {
            return Ok(Self { cpus: Vec::new() });
        };
        let allowed = sched_getaffinity(None)?;
        let mut cpus: Vec<usize> = (0..CpuSet::MAX_CPU)
            .filter(|&cpu| allowed.is_set(cpu))
            .collect();
        if pinning == Pinning::Together {
            cpus.truncate(1);
        }
        pin_to(*cpus.first().context("no processor to run on")?)?;
        Ok(Self { cpus })
    }

    /// Starts the peer number `index` of a job with the given standard input and output.
    pub fn start(
        &self,
        task: &PeerTask,
        index: usize,
        input: impl Into<Stdio>,
        output: impl Into<Stdio>,
    ) -> Result<Peer> {
        // Not the path it was started by: that may name a newer build by now.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("archipelago-bench")
            .args(["ipc-peer", "--contender", &task.contender]);
        command.args([
            "--role",
            &value_name(&task.role),
            "--mode",
            &value_name(&task.mode),
        ]);
        command.args([
            "--count",
            &task.count.to_string(),
            "--address",
            &task.address,
        ]);
        command.args([
            "--parent",
            &rustix::process::getpid().as_raw_pid().to_string(),
        ]);
        if !self.cpus.is_empty() {
            let cpu = self.cpus[(index + 1) % self.cpus.len()];
            command.args(["--cpu", &cpu.to_string()]);
        }
        let child = command
            .stdin(input)
            .stdout(output)
            .spawn()
            .with_context(|| format!("cannot start a peer of {}", task.contender))?;
        Ok(Peer { child })
    }
}

/// A running peer; dropping it unfinished kills it.
#[derive(Debug)]
pub struct Peer {
    pub(super) child: Child,
}

impl Peer {
    /// Lets a lingering peer end, and waits for the end.
    pub fn finish(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "a peer failed: {status}");
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Neither can fail for a child that is still ours; after `finish` both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pin_to(cpu: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).with_context(|| format!("cannot run on processor {cpu}"))
}

fn value_name(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .expect("no value is skipped in these enums")
        .get_name()
        .to_owned()
}
