//! A member of the crowd: one thread with many ports, static and dynamic, each of which asks others and answers.

use std::time::Duration;

use anyhow::Context;
use xseg::{
    BindOptions, Event, Geometry, Incoming, OpCode, Port, PortId, RequestError, Segment,
    WaitMethod, Waiter, WaiterOptions,
};

use super::args::{SleepKind, WorkerArgs};
use super::link::Link;
use super::server::dismiss;
use crate::channel::{Command, Report, Violation};
use crate::crowd::{DYNAMIC_EACH, QUESTIONS_EACH, STATIC_EACH};
use crate::rng::{Rng, mix};

const NAP: Duration = Duration::from_millis(50);
/// Questions that a port has under way.
const WINDOW: u32 = 3;

/// A port and its quota.
struct Seat {
    port: Port,
    asked: u64,
    answered: u64,
}

pub(super) fn run(args: &WorkerArgs, segment: &Segment, link: &mut Link) -> anyhow::Result<()> {
    let mut rng = Rng::new(args.seed);
    let mut seats = bind_all(args.id, segment)?;
    let mut waiter = wait_on(&seats, args.sleep)?;
    link.report(&Report::Ready {
        port: seats[0].port.id().get(),
    });
    let (mut asking, mut told) = (false, false);
    loop {
        match link.command() {
            Some(Command::Leave) => break,
            Some(Command::Resume) => asking = true,
            Some(Command::Pause) | None => {}
        }
        let mut done = true;
        for seat in &mut seats {
            while let Some(event) = seat.port.poll() {
                seat.take(link, event);
            }
            if asking {
                seat.ask(&mut rng, link);
            }
            done &= seat.answered == QUESTIONS_EACH;
        }
        if done && !told {
            told = true;
            let answered = seats.iter().map(|seat| seat.answered).sum();
            link.report(&Report::Drained {
                sent: answered,
                answered,
            });
        }
        let ports: Vec<_> = seats.iter().map(|seat| &seat.port).collect();
        let nap = if asking && !done { NAP / 10 } else { NAP };
        waiter.wait(&ports, Some(nap), |_| {})?;
    }
    Ok(())
}

fn bind_all(member: u64, segment: &Segment) -> anyhow::Result<Vec<Seat>> {
    let options = BindOptions::default().label("member");
    let first = member as u32 * STATIC_EACH;
    let fixed = (first..first + STATIC_EACH).map(|number| segment.bind(number, &options));
    let given = (0..DYNAMIC_EACH).map(|_| segment.bind_dynamic(&options));
    let ports: Result<Vec<_>, _> = fixed.chain(given).collect();
    let seat = |port| Seat {
        port,
        asked: 0,
        answered: 0,
    };
    Ok(ports.context("binding")?.into_iter().map(seat).collect())
}

fn wait_on(seats: &[Seat], sleep: SleepKind) -> anyhow::Result<Waiter> {
    let method = match sleep {
        SleepKind::Futex => WaitMethod::Futex,
        SleepKind::Ring | SleepKind::Helper => WaitMethod::Auto,
    };
    let options = WaiterOptions::default().method(method).entries(8);
    let (first, others) = seats.split_first().context("no ports")?;
    let mut waiter = Waiter::new(&first.port, &options)?;
    for seat in others {
        waiter.add(&seat.port);
    }
    Ok(waiter)
}

/// What a question is answered with.
fn answer_to(args: [u64; 4]) -> u64 {
    mix(args[0] ^ mix(args[1] ^ mix(args[2])))
}

impl Seat {
    fn take(&mut self, link: &Link, event: Event) {
        match event {
            Event::Request(incoming) => answer(incoming),
            Event::Reply(reply) => {
                self.answered += 1;
                if reply.result() != Ok(reply.cookie()) {
                    let text = format!("{:?}: {:?}", self.port.id(), reply.outcome());
                    link.violation(Violation::Corrupted, text);
                }
            }
            other => dismiss(other, link),
        }
    }

    fn ask(&mut self, rng: &mut Rng, link: &Link) {
        while self.asked < QUESTIONS_EACH && self.port.away() < WINDOW {
            match self.ask_one(rng) {
                Ok(()) => self.asked += 1,
                // A dynamic port that nobody has is no mistake of ours.
                Err(RequestError::Unbound { .. }) => {}
                Err(error) if error.errno() == rustix::io::Errno::AGAIN => return,
                Err(error) => {
                    link.violation(Violation::Failed, format!("asking: {error}"));
                    return;
                }
            }
        }
    }

    fn ask_one(&self, rng: &mut Rng) -> Result<(), RequestError> {
        let to = any_port(self.port.geometry(), rng);
        let args = [u64::from(to.get()), self.asked, rng.next_u64(), 0];
        let mut draft = self.port.draft(OpCode::INFO)?;
        draft.set_args(args);
        draft.set_cookie(answer_to(args));
        draft.send(to)?;
        Ok(())
    }
}

fn any_port(geometry: &Geometry, rng: &mut Rng) -> PortId {
    let number = rng.below(u64::from(geometry.ports())) as u32;
    geometry
        .port(number)
        .expect("a number below the count of ports")
}

fn answer(incoming: Incoming) {
    let answer = answer_to(incoming.args());
    incoming.answer(answer);
}
