//! A server: checks the input of a block, writes its output, answers. Some requests it keeps for a moment, so that a
//! kill finds it holding several.

use std::time::Duration;

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
    kept: Vec<Incoming>,
    leaving: bool,
}

impl Server {
    pub fn new(rng: Rng) -> Self {
        Self {
            rng,
            kept: Vec::new(),
            leaving: false,
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
            Event::Request(incoming) if self.rng.chance(400) => self.kept.push(incoming),
            Event::Request(incoming) => Self::serve(incoming, link),
            other => dismiss(other, link),
        }
    }

    fn turn(&mut self, _: &Stage<'_>, link: &mut Link) -> Turn {
        let spared = if self.leaving { 0 } else { self.kept.len() / 2 };
        while self.kept.len() > spared {
            let any = self.rng.below(self.kept.len() as u64) as usize;
            Self::serve(self.kept.swap_remove(any), link);
        }
        if self.leaving {
            Turn::Leave
        } else if self.kept.is_empty() {
            Turn::Idle
        } else {
            Turn::Within(Duration::from_micros(self.rng.between(50, 2000)))
        }
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
