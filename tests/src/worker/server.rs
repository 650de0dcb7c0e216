//! A server: checks the input of a block, writes its output, answers. Some requests it keeps for a moment, so that a
//! kill finds it holding several; a few it keeps for so long that others pass them, and that whoever sent them may be
//! dead and replaced when they are done.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use xseg::{Event, Incoming};

use super::link::Link;
use super::play::{Part, Stage, Turn};
use crate::channel::{Command, Violation};
use crate::message::{self, Mismatch, Shape};
use crate::rng::Rng;

#[derive(Debug)]
pub(super) struct Server {
    rng: Rng,
    kept: Vec<Kept>,
    leaving: bool,
}

/// A request that is done later.
#[derive(Debug)]
struct Kept {
    due: Instant,
    incoming: Incoming,
}

impl Server {
    pub fn new(rng: Rng) -> Self {
        Self {
            rng,
            kept: Vec::new(),
            leaving: false,
        }
    }

    /// For how long to keep a request, if at all.
    fn delay(&mut self) -> Option<Duration> {
        match self.rng.below(1000) {
            0..4 => Some(Duration::from_millis(self.rng.between(10, 200))),
            4..400 => Some(Duration::from_micros(self.rng.between(10, 2000))),
            _ => None,
        }
    }

    fn serve(incoming: Incoming, link: &mut Link) {
        let shape = Shape::from_args(incoming.args());
        let served = shape.check(&incoming).and_then(|()| {
            let data = incoming.data().ok_or(Mismatch("no data"))?;
            if shape.blocks != 1 {
                return Err(Mismatch("number of blocks"));
            }
            message::serve_block(&shape, &data)
        });
        match served {
            Ok(()) => incoming.answer(shape.bytes()),
            // The client, if it lives, reports it.
            Err(Mismatch(_)) => incoming.fail(Errno::BADMSG),
        }
        link.first();
    }
}

impl Part for Server {
    fn take(&mut self, _: &Stage<'_>, link: &mut Link, event: Event) {
        match event {
            Event::Request(incoming) => match self.delay() {
                Some(delay) => self.kept.push(Kept {
                    due: Instant::now() + delay,
                    incoming,
                }),
                None => Self::serve(incoming, link),
            },
            other => dismiss(other, link),
        }
    }

    fn turn(&mut self, _: &Stage<'_>, link: &mut Link) -> Turn {
        let now = Instant::now();
        let is_due = |kept: &mut Kept| self.leaving || kept.due <= now;
        for kept in self.kept.extract_if(.., is_due) {
            Self::serve(kept.incoming, link);
        }
        if self.leaving {
            return Turn::Leave;
        }
        let next = self.kept.iter().map(|kept| kept.due).min();
        next.map_or(Turn::Idle, |due| {
            Turn::Within(due.saturating_duration_since(now))
        })
    }

    fn command(&mut self, command: Command) {
        self.leaving |= command == Command::Leave;
    }
}

/// What a role does not expect: answered as it must be, and reported unless it is an ordinary notice.
pub(super) fn dismiss(event: Event, link: &Link) {
    match event {
        Event::Notice(notice) => notice.unsupported(),
        Event::Request(incoming) => {
            link.violation(
                Violation::Stray,
                format!("request {:?}", incoming.request()),
            );
            incoming.unsupported();
        }
        Event::Reply(reply) => {
            link.violation(Violation::Stray, format!("answer {:?}", reply.ticket()));
        }
        Event::Returning(returning) => {
            let serial = returning.serial();
            link.violation(Violation::Stray, format!("answer {serial:#x} in passing"));
            returning.pass_on();
        }
        Event::Corrupt(corruption) => {
            link.violation(Violation::Stray, format!("corruption: {corruption}"));
        }
    }
}
