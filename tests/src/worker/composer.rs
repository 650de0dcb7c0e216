//! A composer: answers a request by parts, each of which is a view of the request's own buffer and goes to a server.

use std::time::Duration;

use rustix::io::Errno;
use xseg::{Event, Incoming, OpCode, Port, Reply, RequestError};

use super::args::Role;
use super::link::Link;
use super::play::{Part, Stage, Turn};
use super::server::dismiss;
use crate::channel::{Command, Violation};
use crate::message::Shape;
use crate::rng::Rng;

/// A request in work.
#[derive(Debug)]
struct Whole {
    incoming: Incoming,
    shape: Shape,
    /// The next block to send.
    next: u64,
    away: u64,
    failed: Option<Errno>,
}

#[derive(Debug)]
pub(super) struct Composer {
    rng: Rng,
    wholes: Vec<Option<Whole>>,
    leaving: bool,
}

impl Composer {
    pub fn new(rng: Rng) -> Self {
        Self {
            rng,
            wholes: Vec::new(),
            leaving: false,
        }
    }

    fn begin(&mut self, incoming: Incoming, port: &Port, link: &mut Link) {
        let shape = Shape::from_args(incoming.args());
        if shape.check(&incoming).is_err() {
            incoming.fail(Errno::BADMSG);
            return;
        }
        let whole = Whole {
            incoming,
            shape,
            next: 0,
            away: 0,
            failed: None,
        };
        let free = self.wholes.iter().position(Option::is_none);
        let at = free.unwrap_or_else(|| {
            self.wholes.push(None);
            self.wholes.len() - 1
        });
        self.wholes[at] = Some(whole);
        self.go_on(at, port, link);
    }

    /// Sends what can be sent of a whole, and answers it when all its parts are back.
    fn go_on(&mut self, at: usize, port: &Port, link: &mut Link) {
        let Some(whole) = self.wholes.get_mut(at).and_then(Option::as_mut) else {
            return;
        };
        while whole.next < whole.shape.blocks && whole.failed.is_none() {
            match send_part(whole, at as u64, port) {
                Ok(()) => {
                    whole.next += 1;
                    whole.away += 1;
                }
                Err(error) if error.errno() == Errno::AGAIN => return, // for want of records: later
                Err(error) => {
                    link.violation(Violation::Failed, format!("a part was refused: {error}"));
                    whole.failed = Some(error.errno());
                }
            }
        }
        let sent = whole.next == whole.shape.blocks || whole.failed.is_some();
        if !sent || whole.away > 0 {
            return;
        }
        let parts_away = whole.incoming.parts_away();
        if parts_away > 0 {
            link.violation(
                Violation::Lost,
                format!("{parts_away} parts are away that have come back"),
            );
            return; // in a damaged segment: it stays for ever
        }
        if let Some(whole) = self.wholes[at].take() {
            match whole.failed {
                None => whole.incoming.answer(whole.shape.bytes()),
                Some(errno) => whole.incoming.fail(errno),
            }
            link.first();
        }
    }

    fn take_part(&mut self, reply: Reply, port: &Port, link: &mut Link) {
        let at = (reply.cookie() >> 32) as usize;
        let Some(whole) = self.wholes.get_mut(at).and_then(Option::as_mut) else {
            link.violation(Violation::Stray, "a part of nothing came back");
            return;
        };
        whole.away = whole.away.saturating_sub(1);
        if let Err(errno) = reply.result() {
            whole.failed = Some(errno);
        }
        // Whether the last part or the whole goes first must not matter.
        if self.rng.chance(500) {
            drop(reply);
            self.go_on(at, port, link);
        } else {
            self.go_on(at, port, link);
            drop(reply);
        }
    }

    fn is_idle(&self) -> bool {
        self.wholes.iter().all(Option::is_none)
    }
}

fn send_part(whole: &Whole, at: u64, port: &Port) -> Result<(), RequestError> {
    let part = whole.shape.part(whole.next);
    let mut draft = port.draft(OpCode::WRITE)?;
    draft.set_target(part.target().as_bytes())?;
    draft.set_args(part.to_args());
    draft.set_extent(part.offset(), part.bytes());
    draft.set_cookie(at << 32 | whole.next);
    draft.view(
        &whole.incoming,
        whole.next * part.block_bytes,
        part.block_bytes,
    )?;
    let turn = part.key.sequence.wrapping_add(whole.next) % Role::SERVERS.len() as u64;
    let number = Role::SERVERS[turn as usize].port().unwrap_or(0);
    let to = port.geometry().port(number);
    let to = to.ok_or(RequestError::NoSuchPort {
        port: number,
        last: 0,
    })?;
    draft.send(to)?;
    Ok(())
}

impl Part for Composer {
    fn take(&mut self, stage: &Stage<'_>, link: &mut Link, event: Event) {
        match event {
            // A redelivered one, too: the library has seen to it that its old parts are over (RECOVER-3).
            Event::Request(incoming) => self.begin(incoming, stage.port, link),
            Event::Reply(reply) => self.take_part(reply, stage.port, link),
            other => dismiss(other, link),
        }
    }

    fn turn(&mut self, stage: &Stage<'_>, link: &mut Link) -> Turn {
        let mut wants_records = false;
        for at in 0..self.wholes.len() {
            self.go_on(at, stage.port, link);
            wants_records |= self.wholes[at]
                .as_ref()
                .is_some_and(|whole| whole.next < whole.shape.blocks);
        }
        if self.leaving && self.is_idle() {
            return Turn::Leave;
        }
        if wants_records {
            Turn::Within(Duration::from_millis(1))
        } else {
            Turn::Idle
        }
    }

    fn command(&mut self, command: Command) {
        self.leaving |= command == Command::Leave;
    }
}
