//! A start signal for peers that do not use their standard input and output otherwise.
//!
//! Contenders that meet by name must not start the clock before their peers have arrived,
//! and must not let them go before every message has been taken.

use std::io::{self, Read, Write};
use std::process::Stdio;

use anyhow::{Context, Result};

use super::peer::{Launcher, Peer, PeerTask};

impl Launcher {
    /// Starts the peer number `index` of a job with a gate to this process.
    pub fn start_gated(&self, task: &PeerTask, index: usize) -> Result<Peer> {
        self.start(task, index, Stdio::piped(), Stdio::piped())
    }
}

impl Peer {
    /// Waits until a gated peer has called [`reach`].
    pub fn await_gate(&mut self) -> Result<()> {
        let gate = self.child.stdout.as_mut().context("not a gated peer")?;
        gate.read_exact(&mut [0])
            .context("a peer ended before its gate")
    }

    /// Lets a gated peer go on.
    pub fn open_gate(&mut self) -> Result<()> {
        let gate = self.child.stdin.as_mut().context("not a gated peer")?;
        gate.write_all(&[0]).context("a peer ended at its gate")
    }
}

/// In a gated peer: reports that it is ready and waits for the start.
pub fn reach() -> Result<()> {
    let mut gate = io::stdout();
    gate.write_all(&[0])?;
    gate.flush()?;
    io::stdin()
        .read_exact(&mut [0])
        .context("the measuring process is gone")
}

/// In a gated peer: keeps everything open until the measuring process has seen it all.
pub fn linger() -> Result<()> {
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
