//! An interposer: all requests for one server and for the composer pass it, and so do their answers.

use std::time::Duration;

use xseg::{Event, Incoming, Port};

use super::args::Role;
use super::link::Link;
use super::play::{Part, Stage, Turn};
use super::server::dismiss;
use crate::channel::{Command, Violation};
use crate::rng::Rng;

/// Whose requests pass it.
const BEFORE: [Role; 2] = [Role::ServerC, Role::Composer];

#[derive(Debug)]
pub(super) struct Interposer {
    rng: Rng,
    kept: Vec<Incoming>,
    leaving: bool,
}

impl Interposer {
    pub fn new(port: &Port, rng: Rng) -> anyhow::Result<Self> {
        for role in BEFORE {
            if let Some(number) = role.port().and_then(|number| port.geometry().port(number)) {
                port.interpose(number)?;
            }
        }
        Ok(Self {
            rng,
            kept: Vec::new(),
            leaving: false,
        })
    }

    fn forward(incoming: Incoming, link: &mut Link) {
        let destination = incoming.request().destination;
        if let Err(refused) = incoming.forward(destination) {
            let error = refused.error;
            link.violation(Violation::Failed, format!("not forwarded: {error}"));
            refused.incoming.fail(error.errno());
        }
        link.first();
    }
}

impl Part for Interposer {
    fn take(&mut self, _: &Stage<'_>, link: &mut Link, event: Event) {
        match event {
            Event::Request(incoming) if self.rng.chance(200) => self.kept.push(incoming),
            Event::Request(incoming) => Self::forward(incoming, link),
            Event::Returning(returning) => returning.pass_on(),
            // Cancellations travel as the requests do.
            Event::Notice(notice) => Self::forward(notice, link),
            other => dismiss(other, link),
        }
    }

    fn turn(&mut self, _: &Stage<'_>, link: &mut Link) -> Turn {
        let spared = if self.leaving { 0 } else { self.kept.len() / 2 };
        while self.kept.len() > spared {
            let any = self.rng.below(self.kept.len() as u64) as usize;
            Self::forward(self.kept.swap_remove(any), link);
        }
        if self.leaving {
            Turn::Leave
        } else if self.kept.is_empty() {
            Turn::Idle
        } else {
            Turn::Within(Duration::from_micros(self.rng.between(50, 1000)))
        }
    }

    fn command(&mut self, command: Command) {
        self.leaving |= command == Command::Leave;
    }
}
