//! One-way messages over byte streams with a bounded window.
//!
//! The kernel's buffers hold far more than the window, so the receiver hands out permits:
//! one byte back allows half a window of further messages. Senders write message by
//! message, as requests arise one by one; the receiver reads all that has come, as any
//! reader of a stream does.

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, poll};

use super::channel::Channel;
use super::spin::Spinner;
use super::{MESSAGE_BYTES, WINDOW, Waiting};

/// Messages allowed by one byte from the receiver.
const GRANT: u64 = WINDOW / 2;

/// Where the receiver puts what has come: room for a full window.
type Inbox = [u8; MESSAGE_BYTES * WINDOW as usize];

/// Rounds a number of messages so that all grants for them are used up at the end.
pub fn whole_grants(messages: u64) -> u64 {
    messages.div_ceil(GRANT) * GRANT
}

/// The sender: announces itself, then sends `count` messages as grants come in.
pub fn send_all(channel: &Channel, count: u64) -> Result<()> {
    let message = [1; MESSAGE_BYTES];
    channel.send(&message)?;
    let mut grants = [0; (WINDOW / GRANT) as usize];
    let mut granted = 0;
    for _ in 0..count {
        if granted == 0 {
            let received = channel.read(&mut grants)?;
            ensure!(received > 0, "the receiver is gone");
            granted = received as u64 * GRANT;
        }
        granted -= 1;
        channel.send(&message)?;
    }
    Ok(())
}

/// Waits until every sender has announced itself; none sends more before its first grant.
pub fn await_senders(channels: &[Channel]) -> Result<()> {
    for channel in channels {
        let announced = channel.receive(&mut [0; MESSAGE_BYTES])?;
        ensure!(announced, "a sender ended before it was ready");
    }
    Ok(())
}

/// The receiver: takes `share` messages from each sender, and grants as many.
pub fn receive_all(channels: &[Channel], mode: Waiting, share: u64) -> Result<()> {
    let mut lanes = Vec::new();
    for channel in channels {
        lanes.push(Lane::open(channel, share)?);
    }
    match mode {
        Waiting::Sleeping => receive_sleeping(lanes),
        Waiting::Spinning => receive_spinning(lanes),
    }
}

fn receive_sleeping(mut lanes: Vec<Lane<'_>>) -> Result<()> {
    let mut inbox = [0; size_of::<Inbox>()];
    let mut polled: Vec<PollFd<'_>> = lanes
        .iter()
        .map(|lane| PollFd::from_borrowed_fd(lane.channel.reader(), PollFlags::IN))
        .collect();
    while !lanes.is_empty() {
        // With one sender left, the read itself can wait for it.
        if lanes.len() > 1 {
            poll(&mut polled, None).context("cannot wait for the senders")?;
        }
        for index in (0..lanes.len()).rev() {
            if lanes.len() > 1 && polled[index].revents().is_empty() {
                continue;
            }
            lanes[index].take(&mut inbox)?;
            if lanes[index].is_done() {
                lanes.swap_remove(index);
                polled.swap_remove(index);
            }
        }
    }
    Ok(())
}

fn receive_spinning(mut lanes: Vec<Lane<'_>>) -> Result<()> {
    let mut inbox = [0; size_of::<Inbox>()];
    let mut spinner = Spinner::default();
    while !lanes.is_empty() {
        let mut found = false;
        for lane in &mut lanes {
            found |= lane.take(&mut inbox)?;
        }
        lanes.retain(|lane| !lane.is_done());
        if found {
            spinner = Spinner::default();
        } else {
            spinner.pause();
        }
    }
    Ok(())
}

/// What the receiver knows of one sender.
struct Lane<'channel> {
    channel: &'channel Channel,
    /// Messages this sender will send in all.
    share: u64,
    received_bytes: u64,
    granted: u64,
}

impl<'channel> Lane<'channel> {
    /// Grants the first window.
    fn open(channel: &'channel Channel, share: u64) -> Result<Self> {
        let mut lane = Self {
            channel,
            share,
            received_bytes: 0,
            granted: 0,
        };
        lane.grant()?;
        Ok(lane)
    }

    /// Reads what is there; `false` if that was nothing.
    fn take(&mut self, inbox: &mut Inbox) -> Result<bool> {
        let Some(length) = self.channel.try_read(inbox)? else {
            return Ok(false);
        };
        ensure!(length > 0, "a sender ended early");
        self.received_bytes += length as u64;
        self.grant()?;
        Ok(true)
    }

    /// Grants what the window has room for, but never more than the sender will use.
    fn grant(&mut self) -> Result<()> {
        let limit = self.share.min(self.received() + WINDOW);
        let bytes = [0; (WINDOW / GRANT) as usize];
        let due = (limit - self.granted) / GRANT;
        if due > 0 {
            self.channel.send(&bytes[..due as usize])?;
            self.granted += due * GRANT;
        }
        Ok(())
    }

    fn received(&self) -> u64 {
        self.received_bytes / MESSAGE_BYTES as u64
    }

    fn is_done(&self) -> bool {
        self.received() == self.share
    }
}
