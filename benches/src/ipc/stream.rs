//! The jobs over any byte stream of the kernel; pipes and sockets differ only in the pair.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::channel::{Channel, Ends};
use super::peer::{Launcher, Peer, PeerTask};
use super::samples::{Samples, total_round_trips};
use super::{Contender, MESSAGE_BYTES, Role, Waiting, window};

/// A contender made of one kind of stream.
#[derive(Debug)]
pub struct Stream {
    pub name: &'static str,
    /// Makes both ends of a new stream.
    pub pair: fn() -> Result<(Ends, Ends)>,
}

impl Stream {
    fn connect(
        &self,
        launcher: &Launcher,
        task: &PeerTask,
        index: usize,
    ) -> Result<(Channel, Peer)> {
        let (ours, theirs) = (self.pair)()?;
        let peer = launcher.start(task, index, theirs.reader, theirs.writer)?;
        Ok((Channel::new(ours, task.mode)?, peer))
    }

    fn task(&self, role: Role, mode: Waiting, count: u64) -> PeerTask {
        PeerTask {
            contender: self.name.to_owned(),
            role,
            mode,
            count,
            address: String::new(),
        }
    }
}

impl Contender for Stream {
    fn name(&self) -> &'static str {
        self.name
    }

    fn round_trip(&self, launcher: &Launcher, mode: Waiting, iterations: u64) -> Result<Samples> {
        let task = self.task(Role::Echo, mode, total_round_trips(iterations));
        let (channel, peer) = self.connect(launcher, &task, 0)?;
        let mut message = [1; MESSAGE_BYTES];
        let samples = Samples::collect(iterations, || {
            channel.send(&message)?;
            ensure!(channel.receive(&mut message)?, "the peer ended early");
            Ok(())
        })?;
        peer.finish()?;
        Ok(samples)
    }

    fn throughput(
        &self,
        launcher: &Launcher,
        mode: Waiting,
        senders: u64,
        messages: u64,
    ) -> Result<Option<f64>> {
        let share = window::whole_grants(messages / senders);
        let task = self.task(Role::Send, mode, share);
        let mut channels = Vec::new();
        let mut peers = Vec::new();
        for index in 0..usize::try_from(senders)? {
            let (channel, peer) = self.connect(launcher, &task, index)?;
            channels.push(channel);
            peers.push(peer);
        }
        window::await_senders(&channels)?;
        let start = Instant::now();
        window::receive_all(&channels, mode, share)?;
        let elapsed = start.elapsed();
        peers.into_iter().try_for_each(Peer::finish)?;
        Ok(Some((share * senders) as f64 / elapsed.as_secs_f64()))
    }

    fn serve(&self, task: &PeerTask) -> Result<()> {
        let channel = Channel::inherited(task.mode)?;
        match task.role {
            Role::Echo => {
                let mut message = [0; MESSAGE_BYTES];
                for _ in 0..task.count {
                    ensure!(
                        channel.receive(&mut message)?,
                        "the measuring process is gone"
                    );
                    channel.send(&message)?;
                }
                Ok(())
            }
            Role::Send => window::send_all(&channel, task.count),
        }
    }
}
