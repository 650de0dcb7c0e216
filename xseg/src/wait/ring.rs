//! One place to sleep for a whole reactor: an io_uring that waits for the doorbell of its ports and for whatever
//! else was submitted to it, in one system call.
//!
//! # Invariants
//! * **WAIT-1** Between the last look for work and the sleep the doorbell is armed, so nothing arrives unnoticed
//!   (BELL-1); a wait that is still queued from an earlier sleep serves the next one, since a ring ends it
//!   whatever the word holds.
//! * **WAIT-2** Every ring holds the gate of its segment as a registered file before any I/O is submitted to it
//!   (GATE-1).
//! * **WAIT-3** Each wait looks at what is beside the ports, and a sleep begins only after that was asked to tell and had nothing.

use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;

use super::beside::{Beside, Nothing};
use super::helper::Helper;
use super::options::{WaitMethod, WaiterOptions};
use super::spin::Spin;
use crate::bell::{Armed, Bell};
use crate::name::PortId;
use crate::port::{Core, Port};
use crate::segment::Segment;
use crate::stats::Counter;

/// The `user_data` that the waiter keeps for itself.
pub const BELL_TOKEN: u64 = u64::MAX;

/// Size and kind of the futex word: 32 bits, shared between processes.
const FUTEX2_SIZE_U32: u32 = 2;
/// Longer than this is for ever: the kernel's clock would overflow.
const FOREVER: Duration = Duration::from_secs(1 << 31);
const FUTEX_BITSET_MATCH_ANY: u64 = 0xffff_ffff;

/// A waiter could not be made or could not wait.
#[derive(Debug, thiserror::Error)]
#[error("the kernel refused {call}")]
pub struct WaitError {
    pub call: &'static str,
    pub source: std::io::Error,
}

/// A finished operation of the ring's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    pub user_data: u64,
    pub result: i32,
    pub flags: u32,
}

/// Where a reactor sleeps.
pub struct Waiter {
    // First of all: what the ring still does ends before anything that it does it to is given back.
    ring: Option<IoUring>,
    helper: Option<Helper>,
    segment: Segment,
    /// The port whose doorbell all ports of this waiter share. It is kept: a bell has one sleeper (BELL-2).
    bell_port: PortId,
    /// It and the others, whose senders ring its bell until this waiter is dropped.
    ports: Vec<Rc<Core>>,
    /// A wait for the bell is queued in the kernel (or the helper sleeps on it).
    is_queued: bool,
    spin: Spin,
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiter")
            .field("bell_port", &self.bell_port)
            .field("method", &self.method())
            .finish_non_exhaustive()
    }
}

impl Waiter {
    /// A waiter for `port`; more can be added.
    pub fn new(port: &Port, options: &WaiterOptions) -> Result<Self, WaitError> {
        let segment = port.segment().clone();
        let mut waiter = Self {
            bell_port: port.id(),
            ports: Vec::new(),
            ring: None,
            helper: None,
            is_queued: false,
            spin: Spin::new(options.spin_max),
            segment,
        };
        waiter.add(port);
        if options.method == WaitMethod::Futex {
            return Ok(waiter);
        }
        match waiter.open_ring(options) {
            Ok(()) => Ok(waiter),
            // io_uring may be forbidden on this host: sleeping still works.
            Err(_) if options.method == WaitMethod::Auto => {
                waiter.ring = None;
                waiter.helper = None;
                Ok(waiter)
            }
            Err(error) => Err(error),
        }
    }

    fn open_ring(&mut self, options: &WaiterOptions) -> Result<(), WaitError> {
        let ring =
            build_ring(options.entries).map_err(|source| refused("io_uring_setup", source))?;
        // Slot 0 holds the gate (WAIT-2), the others are free for the ring's user.
        let mut files = vec![-1; 1 + options.file_slots as usize];
        files[0] = self.segment.gate().as_fd().as_raw_fd();
        ring.submitter()
            .register_files(&files)
            .map_err(|source| refused("registering the gate with io_uring", source))?;
        let mut probe = Probe::new();
        let has_futex = ring.submitter().register_probe(&mut probe).is_ok()
            && probe.is_supported(opcode::FutexWait::CODE);
        let wants_helper = options.method == WaitMethod::RingHelper;
        if wants_helper || (options.method == WaitMethod::Auto && !has_futex) {
            let helper = Helper::start(&self.segment, self.bell_port)
                .map_err(|errno| refused("eventfd or the helper thread", errno.into()))?;
            self.helper = Some(helper);
        } else if !has_futex {
            return Err(refused("a futex wait in io_uring", Errno::OPNOTSUPP.into()));
        }
        self.ring = Some(ring);
        Ok(())
    }

    /// How it sleeps.
    pub fn method(&self) -> WaitMethod {
        match (&self.ring, &self.helper) {
            (None, _) => WaitMethod::Futex,
            (Some(_), None) => WaitMethod::RingFutex,
            (Some(_), Some(_)) => WaitMethod::RingHelper,
        }
    }

    /// Lets `port` wake this waiter, which keeps it bound until the waiter is dropped.
    pub fn add(&mut self, port: &Port) {
        port.core.share_bell(Some(self.bell_port));
        self.ports.push(port.core.clone());
    }

    /// The ring, for work of one's own: push submissions with any `user_data` but [`BELL_TOKEN`]; [`Waiter::wait`]
    /// submits them and hands back their completions. `None` if this host has no io_uring.
    pub fn ring(&mut self) -> Option<&mut IoUring> {
        self.ring.as_mut()
    }

    /// Submits what was pushed, without waiting.
    pub fn submit(&mut self) -> Result<(), WaitError> {
        match &self.ring {
            Some(ring) => {
                tolerate(ring.submit()).map_err(|source| refused("io_uring_enter", source))
            }
            None => Ok(()),
        }
    }

    /// Waits until one of `ports` has something to look at, an operation has finished, a sleeper's bell was rung (for
    /// the end of an orphan, by settlement or by hand), or `timeout` is over (zero: only looks). Finished operations
    /// go to `finished`. `false`: the time was over first. That the segment was destroyed counts as something to look
    /// at until the port is polled.
    pub fn wait(
        &mut self,
        ports: &[&Port],
        timeout: Option<Duration>,
        finished: impl FnMut(Completion),
    ) -> Result<bool, WaitError> {
        self.wait_beside(ports, timeout, &mut Nothing, finished)
    }

    /// The same, until there is something `beside` that, too.
    pub fn wait_beside(
        &mut self,
        ports: &[&Port],
        timeout: Option<Duration>,
        beside: &mut impl Beside,
        mut finished: impl FnMut(Completion),
    ) -> Result<bool, WaitError> {
        // No end: for ever.
        let until = timeout
            .filter(|timeout| *timeout < FOREVER)
            .and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            self.flush()?;
            // All are asked: what woke us is not to end the next wait as well, and nothing is overlooked because there is much else.
            let was_rung = self.heed_rings();
            if self.reap(&mut finished) | was_rung | beside.look() || has_news(ports) {
                return Ok(true);
            }
            if timeout == Some(Duration::ZERO) {
                return Ok(false);
            }
            if !self.spin.is_off() && self.look(ports, until, beside) {
                continue;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
            if beside.listen() {
                return Ok(true);
            }
            let asleep = (!self.spin.is_off()).then(Instant::now);
            self.sleep(ports, left)?;
            if let Some(asleep) = asleep {
                self.spin.slept(asleep.elapsed());
            }
        }
    }

    /// The port whose bell is ours.
    fn bell_core(&self) -> &Core {
        self.ports.first().expect("a waiter has a port")
    }

    fn heed_rings(&self) -> bool {
        self.bell_core().heed_rings()
    }

    /// The adaptive spin, or the endless one.
    fn look(&mut self, ports: &[&Port], until: Option<Instant>, beside: &mut impl Beside) -> bool {
        let mut spin = std::mem::replace(&mut self.spin, Spin::new(Duration::ZERO));
        let found = spin.look(until, || {
            let is_ours = self.has_completions() || has_news(ports);
            is_ours || self.bell_core().is_rung() || beside.look()
        });
        self.spin = spin;
        found
    }

    fn sleep(&mut self, ports: &[&Port], timeout: Option<Duration>) -> Result<(), WaitError> {
        let segment = self.segment.clone();
        let mapping = &segment.shared().mapping;
        let bell = Bell(&mapping.port(self.bell_port).bell);
        let armed = bell.arm();
        let mut result = Ok(());
        if !self.bell_core().is_rung() && !has_news(ports) {
            mapping.stats(self.bell_port).count(Counter::Sleeps);
            result = self.sleep_armed(armed, timeout);
        }
        bell.disarm();
        result
    }

    fn sleep_armed(&mut self, armed: Armed, timeout: Option<Duration>) -> Result<(), WaitError> {
        if self.ring.is_none() {
            let segment = self.segment.clone();
            let word = &segment.shared().mapping.port(self.bell_port).bell;
            super::futex::sleep_on(word, armed, timeout);
            return Ok(());
        }
        if !self.is_queued {
            self.queue_bell(armed)?;
        }
        let ring = self.ring.as_ref().expect("looked at just above");
        let done = match timeout {
            None => ring.submitter().submit_and_wait(1),
            Some(timeout) => {
                let timespec = Timespec::from(timeout);
                let args = SubmitArgs::new().timespec(&timespec);
                ring.submitter().submit_with_args(1, &args)
            }
        };
        tolerate(done).map_err(|source| refused("io_uring_enter", source))
    }

    /// Queues the wait for the bell behind whatever else is to be submitted.
    fn queue_bell(&mut self, armed: Armed) -> Result<(), WaitError> {
        let entry = match &self.helper {
            Some(helper) => {
                helper.sleep_on(armed);
                opcode::PollAdd::new(Fd(helper.as_fd().as_raw_fd()), libc::POLLIN as u32)
                    .build()
                    .user_data(BELL_TOKEN)
            }
            None => {
                let word = &self.segment.shared().mapping.port(self.bell_port).bell;
                opcode::FutexWait::new(
                    word.as_ptr(),
                    u64::from(armed.0),
                    FUTEX_BITSET_MATCH_ANY,
                    FUTEX2_SIZE_U32,
                )
                .build()
                .user_data(BELL_TOKEN)
            }
        };
        let ring = self.ring.as_mut().expect("called with a ring only");
        loop {
            // SAFETY: the entry refers to the bell's word or the helper's eventfd, both of which outlive the ring:
            // the segment and the helper are fields of the same struct, and the ring is dropped with them.
            let pushed = unsafe { ring.submission().push(&entry) };
            if pushed.is_ok() {
                self.is_queued = true;
                return Ok(());
            }
            tolerate(ring.submit()).map_err(|source| refused("io_uring_enter", source))?;
        }
    }

    /// Submits what is pending and lets the kernel deliver what is finished.
    fn flush(&mut self) -> Result<(), WaitError> {
        let Some(ring) = self.ring.as_mut() else {
            return Ok(());
        };
        let queue = ring.submission();
        let is_due = !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
        drop(queue);
        if is_due {
            // One call for both: what is finished by then, and what can be done at once, is delivered too.
            let args = SubmitArgs::new();
            let done = ring.submitter().submit_with_args(0, &args);
            tolerate(done).map_err(|source| refused("io_uring_enter", source))?;
        }
        Ok(())
    }

    fn has_completions(&mut self) -> bool {
        let Some(ring) = self.ring.as_mut() else {
            return false;
        };
        if !ring.completion().is_empty() {
            return true;
        }
        let queue = ring.submission();
        let wants_entry = queue.taskrun() || queue.cq_overflow();
        drop(queue);
        wants_entry
            && self.flush().is_ok()
            && self
                .ring
                .as_mut()
                .is_some_and(|ring| !ring.completion().is_empty())
    }

    fn reap(&mut self, finished: &mut impl FnMut(Completion)) -> bool {
        let Some(ring) = self.ring.as_mut() else {
            return false;
        };
        let mut any = false;
        for entry in ring.completion() {
            if entry.user_data() == BELL_TOKEN {
                self.is_queued = false;
                if let Some(helper) = &self.helper {
                    helper.acknowledge();
                }
                continue;
            }
            any = true;
            finished(Completion {
                user_data: entry.user_data(),
                result: entry.result(),
                flags: entry.flags(),
            });
        }
        any
    }
}

fn has_news(ports: &[&Port]) -> bool {
    ports.iter().any(|port| port.has_news())
}

impl Drop for Waiter {
    fn drop(&mut self) {
        for port in &self.ports {
            port.share_bell(None);
        }
    }
}

/// One thread submits and reaps, and runs the kernel's deferred work when it enters: what a reactor is. Older
/// kernels do without.
fn build_ring(entries: u32) -> std::io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag();
    builder.build(entries).or_else(|_| IoUring::new(entries))
}

/// A signal, a full completion queue or a time-out is no error of the wait.
fn tolerate(done: std::io::Result<usize>) -> std::io::Result<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::INTR | Errno::TIME | Errno::BUSY | Errno::AGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}

fn refused(call: &'static str, source: std::io::Error) -> WaitError {
    WaitError { call, source }
}
