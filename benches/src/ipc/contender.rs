//! What a contender is, and all of them.

use std::fmt;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

#[cfg(feature = "iceoryx2")]
use super::iceoryx;
use super::peer::{Launcher, PeerTask};
use super::samples::Samples;
use super::{bare, pipe, socket, xseg};

/// What every job exchanges: small enough that the exchange is measured, not the copy.
pub type Message = [u8; MESSAGE_BYTES];
pub const MESSAGE_BYTES: usize = 64;

/// How many messages a sender may have on their way before the receiver has taken them.
pub const WINDOW: u64 = 64;

/// How a process waits for the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Waiting {
    /// It sleeps in the kernel until it is woken.
    Sleeping,
    /// It looks again and again.
    Spinning,
}

impl fmt::Display for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Waiting::Sleeping => "sleeping",
            Waiting::Spinning => "spinning",
        })
    }
}

/// What the peer process of a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Answers each message with one of the same size.
    Echo,
    /// Sends messages as fast as the window lets it.
    Send,
}

/// One way to exchange messages between processes.
///
/// The measuring process calls [`Contender::round_trip`] and [`Contender::throughput`];
/// they start their peers through the [`Launcher`], and each peer runs [`Contender::serve`].
pub trait Contender {
    /// Names the contender in the report and on the command line of its peers.
    fn name(&self) -> &'static str;

    /// The ways of waiting it can be measured in.
    fn modes(&self) -> &'static [Waiting] {
        &[Waiting::Sleeping, Waiting::Spinning]
    }

    /// Times `iterations` round trips to one peer, each for itself.
    fn round_trip(&self, launcher: &Launcher, mode: Waiting, iterations: u64) -> Result<Samples>;

    /// Messages per second from `senders` peers to this process, `messages` in all, with no
    /// more than [`WINDOW`] of a sender's on their way; `None` where that makes no sense.
    fn throughput(
        &self,
        launcher: &Launcher,
        mode: Waiting,
        senders: u64,
        messages: u64,
    ) -> Result<Option<f64>>;

    /// Does the work of one peer, in the peer process.
    fn serve(&self, task: &PeerTask) -> Result<()>;
}

/// All contenders of this build, the baseline first.
pub fn contenders() -> Vec<Box<dyn Contender>> {
    vec![
        Box::new(bare::BareWord),
        Box::new(pipe::contender()),
        Box::new(socket::contender()),
        Box::new(xseg::Xseg),
        #[cfg(feature = "iceoryx2")]
        Box::new(iceoryx::Iceoryx2),
    ]
}
