//! A client: keeps a window of self-verifying requests under way, and keeps the books of them in its own memory.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use xseg::{Event, OpCode, Port, Reply, RequestError, Ticket};

use super::args::{Manner, Role, WorkerArgs};
use super::link::Link;
use super::play::{Part, Stage, Turn};
use super::server::dismiss;
use crate::channel::{Command, Report, Violation};
use crate::message::{self, BLOCK_BYTES_MAX, BlockKey, Shape};
use crate::rng::Rng;

const PROGRESS: Duration = Duration::from_millis(100);
/// After so long a tolerant client gives a request up.
const PATIENCE_NS: u64 = 200_000_000;

#[derive(Debug)]
struct Pending {
    shape: Shape,
    to: Role,
    ticket: Ticket,
    sent: Instant,
}

#[derive(Debug)]
pub(super) struct Client {
    id: u64,
    rng: Rng,
    manner: Manner,
    window: usize,
    answers_max: Option<u64>,
    sequence: u64,
    pending: HashMap<u64, Pending>,
    sent: u64,
    answered: u64,
    slowest: Duration,
    reported: Instant,
    paused: bool,
    leaving: bool,
    /// It leaves without waiting for its answers.
    abruptly: bool,
    drained: bool,
}

impl Client {
    pub fn new(args: &WorkerArgs, rng: Rng) -> Self {
        Self {
            id: args.id,
            rng,
            manner: args.manner,
            window: args.window,
            answers_max: args.answers_max,
            sequence: 0,
            pending: HashMap::new(),
            sent: 0,
            answered: 0,
            slowest: Duration::ZERO,
            reported: Instant::now(),
            paused: false,
            leaving: false,
            abruptly: false,
            drained: false,
        }
    }

    fn next_request(&mut self) -> (Shape, Role) {
        self.sequence += 1;
        let to = *self.rng.pick(&[
            Role::ServerA,
            Role::ServerB,
            Role::ServerC,
            Role::Composer,
            Role::Composer,
        ]);
        let blocks = if to == Role::Composer {
            self.rng.between(1, 3)
        } else {
            1
        };
        let largest = if self.rng.chance(900) {
            256
        } else {
            BLOCK_BYTES_MAX
        };
        let shape = Shape {
            key: BlockKey {
                client: self.id,
                sequence: self.sequence,
                block: 0,
            },
            blocks,
            block_bytes: self.rng.between(1, largest / 16) * 16,
        };
        (shape, to)
    }

    fn send(&mut self, port: &Port) -> Result<(), RequestError> {
        let (shape, to) = self.next_request();
        let number = to.port().unwrap_or(0);
        let destination = port.geometry().port(number);
        let destination = destination.ok_or(RequestError::NoSuchPort {
            port: number,
            last: 0,
        })?;
        let buffer = port.buffer(shape.bytes())?;
        message::write_inputs(&shape, &buffer.data())?;
        let mut draft = port.draft(OpCode::WRITE)?;
        draft.set_target(shape.target().as_bytes())?;
        draft.set_args(shape.to_args());
        draft.set_extent(shape.offset(), shape.bytes());
        draft.set_cookie(shape.key.sequence);
        draft.attach(buffer, shape.bytes())?;
        if self.manner == Manner::Tolerant {
            draft.set_deadline_ns(xseg::monotonic_ns() + PATIENCE_NS);
        }
        let ticket = draft.send(destination)?;
        let pending = Pending {
            shape,
            to,
            ticket,
            sent: Instant::now(),
        };
        self.pending.insert(shape.key.sequence, pending);
        self.sent += 1;
        Ok(())
    }

    fn land(&mut self, reply: &Reply, link: &Link) {
        let sequence = reply.cookie();
        let Some(pending) = self.pending.remove(&sequence) else {
            link.violation(Violation::Duplicated, format!("answer to {sequence}"));
            return;
        };
        self.answered += 1;
        self.slowest = self.slowest.max(pending.sent.elapsed());
        let Pending {
            shape, to, ticket, ..
        } = pending;
        let say = |kind, what: &str| {
            let text = format!("client {} request {sequence} to {to:?}: {what}", self.id);
            link.violation(kind, text);
        };
        if reply.ticket() != ticket {
            say(Violation::Corrupted, "another ticket");
        }
        match reply.result() {
            Err(errno) => return say(Violation::Failed, &format!("{errno}")),
            Ok(done) if done != shape.bytes() => {
                return say(Violation::Corrupted, &format!("{done} bytes done"));
            }
            Ok(_) => {}
        }
        match reply.data() {
            None => say(Violation::Corrupted, "the answer has no data"),
            Some(data) if data.len() != shape.bytes() => say(Violation::Corrupted, "its length"),
            Some(data) => {
                if let Err(mismatch) = message::check_outputs(&shape, &data) {
                    say(Violation::Corrupted, mismatch.0);
                }
            }
        }
    }

    /// Now and then a client changes its mind: it must cost nothing.
    fn give_one_up(&mut self, port: &Port) {
        let Some((&sequence, pending)) = self.pending.iter().next() else {
            return;
        };
        let ticket = pending.ticket;
        if self.rng.chance(500) && port.cancel(ticket).is_err() {
            return; // for want of records
        }
        port.abandon(ticket);
        self.pending.remove(&sequence);
    }

    fn progress(&mut self, link: &Link) {
        if self.reported.elapsed() >= PROGRESS {
            self.reported = Instant::now();
            link.report(&Report::Progress {
                sent: self.sent,
                answered: self.answered,
                slowest_us: self.slowest.as_micros() as u64,
            });
            self.slowest = Duration::ZERO;
        }
    }

    /// Fills the window. Tells whether it could not.
    fn fill(&mut self, stage: &Stage<'_>, link: &Link) -> bool {
        let _burst = stage.port.burst();
        while self.pending.len() < self.window {
            match self.send(stage.port) {
                Ok(()) => {}
                Err(error) if error.errno() == rustix::io::Errno::AGAIN => return true,
                Err(error) => {
                    link.violation(Violation::Failed, format!("sending: {error}"));
                    return true;
                }
            }
        }
        false
    }
}

impl Part for Client {
    fn take(&mut self, _: &Stage<'_>, link: &mut Link, event: Event) {
        match event {
            Event::Reply(reply) => self.land(&reply, link),
            other => dismiss(other, link),
        }
    }

    fn turn(&mut self, stage: &Stage<'_>, link: &mut Link) -> Turn {
        while let Some(expired) = stage.port.expire() {
            self.pending.remove(&expired.cookie);
        }
        self.progress(link);
        if self.answers_max.is_some_and(|max| self.answered >= max) && !self.leaving {
            self.leaving = true;
            self.abruptly = self.rng.chance(500);
        }
        let mut wants_more = false;
        if !self.paused && !self.leaving {
            if self.rng.chance(5) {
                self.give_one_up(stage.port);
            }
            if self.rng.chance(2) {
                // Any survivor may settle. What it finds is the settlers' to judge.
                let _ = stage.segment.settle_all();
            }
            wants_more = self.fill(stage, link);
        }
        let is_home = stage.port.away() == 0;
        if is_home && !self.pending.is_empty() {
            let text = format!("client {}: {} answers", self.id, self.pending.len());
            link.violation(Violation::Lost, text);
            self.pending.clear();
        }
        // A tolerant client may wait for answers that never come: it leaves with them outstanding.
        let may_leave = is_home || self.abruptly || self.manner == Manner::Tolerant;
        if self.leaving && may_leave {
            return Turn::Leave;
        }
        if self.paused && is_home && !self.drained {
            self.drained = true;
            link.report(&Report::Drained {
                sent: self.sent,
                answered: self.answered,
            });
        }
        if wants_more {
            Turn::Within(Duration::from_millis(2))
        } else {
            Turn::Idle
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Pause => self.paused = true,
            Command::Resume => (self.paused, self.drained) = (false, false),
            Command::Leave => self.leaving = true,
        }
    }
}
