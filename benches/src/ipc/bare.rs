//! The baseline: two processes take turns at one shared word, and no message is carried.
//!
//! Sleeping, this costs a futex wake and a wake-up each way; spinning, the bounce of one
//! cache line each way. Nothing that exchanges messages between processes can be faster, so
//! all others are reported as multiples of it.

use std::io;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail, ensure};
use rustix::io::Errno;
use rustix::thread::futex;

use super::peer::{Launcher, PeerTask};
use super::samples::{Samples, total_round_trips};
use super::shared_word::SharedWord;
use super::{Contender, Role, Waiting, spin};

pub const NAME: &str = "bare word";

/// See the module.
#[derive(Debug)]
pub struct BareWord;

impl Contender for BareWord {
    fn name(&self) -> &'static str {
        NAME
    }

    fn round_trip(&self, launcher: &Launcher, mode: Waiting, iterations: u64) -> Result<Samples> {
        let (word, memory) = SharedWord::create()?;
        let count = total_round_trips(iterations);
        let task = PeerTask {
            contender: NAME.to_owned(),
            role: Role::Echo,
            mode,
            count,
            address: String::new(),
        };
        let peer = launcher.start(&task, 0, memory, Stdio::null())?;
        let mut turn = 0;
        let samples = Samples::collect(iterations, || {
            pass_turn(&word, &mut turn, mode)?;
            await_turn(&word, &mut turn, mode)
        })?;
        peer.finish()?;
        Ok(samples)
    }

    fn throughput(&self, _: &Launcher, _: Waiting, _: u64, _: u64) -> Result<Option<f64>> {
        Ok(None)
    }

    fn serve(&self, task: &PeerTask) -> Result<()> {
        ensure!(task.role == Role::Echo, "a bare word carries no messages");
        let word = SharedWord::map(io::stdin())?;
        let mut turn = 0;
        for _ in 0..task.count {
            await_turn(&word, &mut turn, task.mode)?;
            pass_turn(&word, &mut turn, task.mode)?;
        }
        Ok(())
    }
}

/// Ends the own turn: the word counts the turns, so each process waits for it to change.
fn pass_turn(word: &AtomicU32, turn: &mut u32, mode: Waiting) -> Result<()> {
    *turn = turn.wrapping_add(1);
    word.store(*turn, Ordering::Release);
    if mode == Waiting::Sleeping {
        futex::wake(word, futex::Flags::empty(), 1)?;
    }
    Ok(())
}

/// Waits until the other process has ended its turn.
fn await_turn(word: &AtomicU32, turn: &mut u32, mode: Waiting) -> Result<()> {
    let stale = *turn;
    *turn = spin::until(|| {
        let seen = word.load(Ordering::Acquire);
        if seen != stale {
            return Ok(Some(seen));
        }
        if mode == Waiting::Sleeping {
            match futex::wait(word, futex::Flags::empty(), stale, None) {
                Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => bail!("cannot wait on the shared word: {error}"),
            }
        }
        Ok(None)
    })?;
    Ok(())
}
