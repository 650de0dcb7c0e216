//! A worker process from its start to its end.

use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;
use xseg::{BindOptions, Event, JoinOptions, Place, Port, Segment, Takeover};

use super::args::{Manner, Role, WorkerArgs};
use super::client::Client;
use super::composer::Composer;
use super::holders;
use super::inspector;
use super::interposer::Interposer;
use super::link::Link;
use super::member;
use super::server::Server;
use super::settler;
use super::sleeper::Sleeper;
use crate::channel::{Command, Report};
use crate::fuzz;
use crate::rng::Rng;

/// A role that has a port.
pub(super) trait Part {
    /// Deals with one event.
    fn take(&mut self, stage: &Stage<'_>, link: &mut Link, event: Event);

    /// Does what needs no event. Tells how long the worker may sleep.
    fn turn(&mut self, stage: &Stage<'_>, link: &mut Link) -> Turn;

    /// The controller wants something.
    fn command(&mut self, command: Command);
}

/// What a part acts on.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub port: &'a Port,
    pub segment: &'a Segment,
}

/// What a part wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing until an event.
    Idle,
    /// To be called again soon, whether anything arrives or not.
    Within(Duration),
    /// To give its port back.
    Leave,
}

/// So long that a lost wake-up shows as a request that took for ever.
const NAP_STRICT: Duration = Duration::from_secs(10);
/// So short that the loop turns as often as it must.
const NAP_TOLERANT: Duration = Duration::from_millis(50);
/// Events between two turns.
const EVENTS_A_TURN: usize = 64;

/// Plays the role until it is told to leave, or killed.
pub fn run(args: &WorkerArgs) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context("asking to die with the controller")?;
    if let Some(point) = &args.kill_point {
        arm(&point.name, point.pass)?;
    }
    let mut link = Link::open(args.manner)?;
    let segment = join(args, &mut link)?;
    match args.role {
        Role::Settler => settler::run(&segment, &mut link, Rng::new(args.seed)),
        Role::Inspector => inspector::run(args, &segment, &mut link),
        Role::Member => member::run(args, &segment, &mut link),
        Role::Flipper => fuzz::run_flipper(args, &segment, &mut link),
        _ => play(args, &segment, &mut link),
    }
}

#[cfg(feature = "kill-points")]
fn arm(name: &str, pass: u32) -> anyhow::Result<()> {
    anyhow::ensure!(
        xseg::kill::KILL_POINTS.contains(&name),
        "there is no kill point {name}"
    );
    xseg::kill::arm(name, pass);
    Ok(())
}

#[cfg(not(feature = "kill-points"))]
fn arm(name: &str, _pass: u32) -> anyhow::Result<()> {
    anyhow::bail!("kill point {name}: this build has none (feature kill-points)")
}

/// A damaged header is no reason for a tolerant worker to end.
fn join(args: &WorkerArgs, link: &mut Link) -> anyhow::Result<Segment> {
    let place = Place::within(&args.directory, &args.name)?;
    loop {
        match JoinOptions::new().join(&place) {
            Ok(segment) => return Ok(segment),
            Err(error) if args.manner == Manner::Strict => return Err(error.into()),
            Err(_) => {
                link.beat();
                std::thread::sleep(NAP_TOLERANT);
            }
        }
    }
}

fn bind(args: &WorkerArgs, segment: &Segment, link: &mut Link) -> anyhow::Result<Port> {
    let patience = match args.manner {
        Manner::Strict => Duration::from_secs(10),
        Manner::Tolerant => Duration::from_secs(1),
    };
    let options = BindOptions::default()
        .label(args.role.name())
        .takeover(Takeover::Within(patience))
        .held_max(16);
    loop {
        let bound = match args.role.port() {
            Some(number) => segment.bind(number, &options),
            None => segment.bind_dynamic(&options),
        };
        match bound {
            Ok(port) => return Ok(port),
            Err(error) if args.manner == Manner::Strict => {
                holders::show(segment.place().path());
                return Err(error.into());
            }
            Err(_) => {
                link.beat();
                std::thread::sleep(NAP_TOLERANT);
            }
        }
    }
}

/// A tolerant worker that leaves comes back as its own successor.
fn play(args: &WorkerArgs, segment: &Segment, link: &mut Link) -> anyhow::Result<()> {
    loop {
        let port = bind(args, segment, link)?;
        let number = port.id().get();
        link.report(&Report::Ready { port: number });
        let rng = Rng::new(args.seed);
        let mut part: Box<dyn Part> = match args.role {
            Role::Composer => Box::new(Composer::new(rng)),
            Role::Interposer => Box::new(Interposer::new(&port, rng)?),
            Role::Client => Box::new(Client::new(args, rng)),
            _ => Box::new(Server::new(rng)),
        };
        drive(args, segment, &port, link, part.as_mut())?;
        drop(part);
        drop(port);
        if args.manner == Manner::Strict {
            return Ok(());
        }
    }
}

fn drive(
    args: &WorkerArgs,
    segment: &Segment,
    port: &Port,
    link: &mut Link,
    part: &mut dyn Part,
) -> anyhow::Result<()> {
    let mut sleeper = Sleeper::new(port, args.sleep)?;
    let nap = match args.manner {
        Manner::Strict => NAP_STRICT,
        Manner::Tolerant => NAP_TOLERANT,
    };
    let stage = Stage { port, segment };
    loop {
        link.beat();
        while let Some(command) = link.command() {
            part.command(command);
        }
        {
            let _burst = port.burst();
            for _ in 0..EVENTS_A_TURN {
                let Some(event) = port.poll() else { break };
                part.take(&stage, link, event);
            }
        }
        match part.turn(&stage, link) {
            Turn::Leave => return Ok(()),
            Turn::Idle => sleeper.wait(port, nap)?,
            Turn::Within(pause) => sleeper.wait(port, pause.min(nap))?,
        }
    }
}
