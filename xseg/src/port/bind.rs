//! Becoming the present incarnation of a port.
//!
//! # Invariants
//! * **BIND-1** Whoever binds holds the port's gate lock first and for as long as it lives; so the previous
//!   incarnation is dead and its I/O over (GATE-1), and a second one is refused.
//! * **BIND-2** A bind that dies half way leaves a port that the next bind or settlement finds as it finds any
//!   dead incarnation's.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::core::Core;
use super::handle::Port;
use super::recover;
use crate::bell::Bell;
use crate::delivery;
use crate::error::PortError;
use crate::gate::Tried;
use crate::kill::kill_point;
use crate::layout::{LABEL_BYTES, PortRecord};
use crate::mapping::Mapping;
use crate::name::{Life, Name, Owner, PortId};
use crate::process::ProcessId;
use crate::segment::{Segment, Shared};
use crate::settle;
use crate::sync::Ordering;

/// What to do when the port's last incarnation is not over yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// Refuse at once.
    Refuse,
    /// If its process is dead, wait so long for its I/O to end. If it is alive, refuse.
    AfterDeath(Duration),
    /// Wait so long for it to die, and for its I/O to end.
    Within(Duration),
}

/// How to bind a port.
#[derive(Clone, Debug)]
pub struct BindOptions {
    label: String,
    takeover: Takeover,
    requests_max: Option<u32>,
    held_max: u32,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self {
            label: String::new(),
            takeover: Takeover::AfterDeath(Duration::from_secs(30)),
            requests_max: None,
            held_max: u32::MAX,
        }
    }
}

impl BindOptions {
    /// For reports: what the port is for. The first 32 bytes are kept.
    pub fn label(mut self, label: &str) -> Self {
        self.label = label.into();
        self
    }

    pub fn takeover(mut self, takeover: Takeover) -> Self {
        self.takeover = takeover;
        self
    }

    /// How many requests of its own the port may have away at a time (by default half of the segment's), so that
    /// one port cannot starve the others.
    pub fn requests_max(mut self, max: u32) -> Self {
        self.requests_max = Some(max);
        self
    }

    /// How many requests it accepts before it has answered some.
    pub fn held_max(mut self, max: u32) -> Self {
        self.held_max = max;
        self
    }
}

/// What became of one look at each dynamic port.
enum Search {
    Bound(Port),
    AllTaken,
    /// Somebody binds, leaves or settles one: he has it locked for a moment.
    SomeInMotion,
}

/// A search for a dynamic port that is in motion is repeated after these pauses before it fails: half a second in all.
const SEARCH_PAUSES_MS: [u64; 10] = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256];

impl Segment {
    /// Binds a static port. What its last incarnation left is taken over: its inbox, and the requests that it
    /// held, which arrive marked as redelivered.
    pub fn bind(&self, number: u32, options: &BindOptions) -> Result<Port, PortError> {
        let port = self.existing_port(number)?;
        if !self.geometry().is_static(port) {
            return Err(PortError::NotStatic { port });
        }
        self.refuse_if_destroyed()?;
        lock(self.shared(), port, options.takeover)?;
        kill_point!("bind.after-lock");
        self.become_incarnation(port, options)
    }

    /// Binds any free dynamic port. What a dead client's I/O still keeps is passed by.
    pub fn bind_dynamic(&self, options: &BindOptions) -> Result<Port, PortError> {
        for pause in SEARCH_PAUSES_MS {
            match self.bind_some(options)? {
                Search::Bound(port) => return Ok(port),
                Search::AllTaken => break,
                Search::SomeInMotion => std::thread::sleep(Duration::from_millis(pause)),
            }
        }
        let (ports, first) = (self.geometry().ports(), self.geometry().static_ports());
        Err(PortError::NoDynamicPort {
            count: ports - first,
        })
    }

    /// Looks at each dynamic port once.
    fn bind_some(&self, options: &BindOptions) -> Result<Search, PortError> {
        self.refuse_if_destroyed()?;
        let first = self.geometry().static_ports();
        let count = self.geometry().ports() - first;
        let start = rustix::process::getpid().as_raw_nonzero().get() as u32;
        let mut outcome = Search::AllTaken;
        for step in 0..count {
            let port = self.existing_port(first + (start.wrapping_add(step)) % count)?;
            if self.shared().gate.try_lock(port).map_err(refused)? == Tried::Taken {
                let life = delivery::life_of(&self.shared().mapping, port);
                if !matches!(life, Life::Bound { .. }) {
                    outcome = Search::SomeInMotion;
                }
                continue;
            }
            kill_point!("bind.after-lock");
            let life = delivery::life_of(&self.shared().mapping, port);
            if !matches!(life, Life::Free { .. }) {
                settle::sweep_locked(self.shared(), port); // a dead client's
            }
            match self.become_incarnation(port, options) {
                Err(PortError::Damaged { .. }) => {} // others may be fine
                bound => return bound.map(Search::Bound),
            }
        }
        Ok(outcome)
    }

    pub(crate) fn existing_port(&self, number: u32) -> Result<PortId, PortError> {
        self.geometry().port(number).ok_or(PortError::NoSuchPort {
            port: number,
            last: self.geometry().ports() - 1,
        })
    }

    fn refuse_if_destroyed(&self) -> Result<(), PortError> {
        if self.is_destroyed() {
            Err(PortError::Destroyed)
        } else {
            Ok(())
        }
    }

    /// The lock is ours (BIND-1).
    fn become_incarnation(&self, port: PortId, options: &BindOptions) -> Result<Port, PortError> {
        let mapping = &self.shared().mapping;
        let record = mapping.port(port);
        let word = record.life.load(Ordering::Acquire);
        let Some(life) = Life::unpack(word) else {
            self.shared().gate.unlock(port);
            return Err(PortError::Damaged { port, word });
        };
        let was_left_by_death = life.is_owned();
        if was_left_by_death {
            delivery::ring_every_bell(mapping); // it may have died before it rang (BELL-3)
        }
        let generation = life.generation().wrapping_add(1).max(1);
        describe(record, options);
        Bell(&record.bell).disarm();
        record.bell_port.store(0, Ordering::Relaxed);
        // Release: whoever sees the new generation sees the description.
        record
            .life
            .store(Life::Bound { generation }.pack(), Ordering::Release);
        kill_point!("bind.after-life");
        let owned_max = options
            .requests_max
            .unwrap_or(self.geometry().requests().div_ceil(2));
        record
            .requests_owned_max
            .store(owned_max, Ordering::Relaxed);
        let me = Name { port, generation };
        let core = Core::new(self.shared().clone(), me, owned_max, options.held_max);
        recover::take_over(&core);
        if was_left_by_death || has_sent_by_predecessors(mapping, me) {
            settle::announce_death(mapping);
        }
        Ok(Port {
            core,
            segment: self.clone(),
        })
    }
}

/// Is anything on its way that an earlier incarnation sent, and perhaps never pushed? A settler may have died between
/// its settlement and the announcement.
fn has_sent_by_predecessors(mapping: &Mapping, me: Name) -> bool {
    let by_predecessor =
        |owner: Owner| matches!(owner, Owner::Sent { by, .. } if by.port == me.port && by != me);
    delivery::slots_where(mapping, by_predecessor)
        .next()
        .is_some()
}

fn describe(record: &PortRecord, options: &BindOptions) {
    let process = ProcessId::own();
    record.pid.store(process.pid, Ordering::Relaxed);
    record.pid_start.store(process.start, Ordering::Relaxed);
    record
        .bound_unix_ns
        .store(crate::clock::unix_ns(), Ordering::Relaxed);
    let mut label = [0_u8; LABEL_BYTES];
    let bytes = options.label.as_bytes();
    let len = bytes.len().min(LABEL_BYTES);
    label[..len].copy_from_slice(&bytes[..len]);
    for (word, chunk) in record.label.iter().zip(label.chunks_exact(8)) {
        let bytes = chunk.try_into().expect("eight bytes");
        word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
    }
}

const SETTLER_PATIENCE: Duration = Duration::from_millis(20);

/// Gets the port's gate lock, waiting as the caller wishes.
fn lock(shared: &Shared, port: PortId, takeover: Takeover) -> Result<(), PortError> {
    if shared.gate.try_lock(port).map_err(refused)? == Tried::Locked {
        return Ok(());
    }
    // A settler has the lock of a port that nobody is bound to, or of a dead one, for a moment; its owner for long.
    if shared
        .gate
        .lock_within(port, SETTLER_PATIENCE)
        .map_err(refused)?
        == Tried::Locked
    {
        return Ok(());
    }
    let owner = owner_of(shared, port);
    let alive = PortError::Alive {
        port,
        pid: owner.pid,
    };
    let patience = match takeover {
        Takeover::Refuse => return Err(alive),
        Takeover::AfterDeath(_) if owner.is_alive() => return Err(alive),
        Takeover::AfterDeath(patience) => patience,
        Takeover::Within(patience) => {
            let begun = Instant::now();
            if !died_within(owner, patience).map_err(refused)? {
                return Err(alive);
            }
            patience.saturating_sub(begun.elapsed())
        }
    };
    match shared.gate.lock_within(port, patience).map_err(refused)? {
        Tried::Locked => Ok(()),
        Tried::Taken => Err(PortError::Draining {
            port,
            pid: owner.pid,
        }),
    }
}

pub(crate) fn owner_of(shared: &Shared, port: PortId) -> ProcessId {
    let record = shared.mapping.port(port);
    ProcessId {
        pid: record.pid.load(Ordering::Relaxed),
        start: record.pid_start.load(Ordering::Relaxed),
    }
}

/// Waits for a process's death by its pidfd.
fn died_within(process: ProcessId, patience: Duration) -> Result<bool, Errno> {
    let pidfd = match process.open_pidfd() {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return Ok(true),
        Err(errno) => return Err(errno),
    };
    let until = Instant::now().checked_add(patience); // none: for ever
    loop {
        let left = until
            .map(|until| until.saturating_duration_since(Instant::now()))
            .and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        match rustix::event::poll(&mut fds, left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

pub(crate) fn refused(source: Errno) -> PortError {
    PortError::System {
        call: "the lock of the port (fcntl) or the watch on its process (pidfd)",
        source,
    }
}
