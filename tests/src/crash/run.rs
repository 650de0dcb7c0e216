//! A run of the crash harness: the schedule of kills.

use std::time::{Duration, Instant};

use anyhow::Context;
use xseg::{CreateOptions, Geometry, JoinOptions, Place, Segment};

use super::books::Books;
use super::checkpoint;
use super::fleet::Fleet;
use crate::channel::{Command, Violation};
use crate::worker::Role;

/// Kills between checkpoints.
const CHECKPOINT_EVERY: u64 = 200;
/// From so many kills on, every kill point must have been reached.
const COVERAGE_FROM: u64 = 500;
/// How long a worker with a kill point is left alone, so that it comes there.
const AIM_TIME: Duration = Duration::from_secs(1);
/// The quiet time at the end, in which a lost wake-up shows.
const CALM: Duration = Duration::from_millis(1500);
/// A worker sleeps for 10 s when nobody wakes it: an answer that takes half as long was not announced.
const CALM_SLOWEST_US: u64 = 5_000_000;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub kills: u64,
    pub seed: u64,
    pub seconds_max: Option<u64>,
}

/// Runs it. The books tell what went wrong, an error that it could not be run to its end.
pub fn run(options: &Options) -> anyhow::Result<(Books, anyhow::Result<()>)> {
    let begun = Instant::now();
    let directory = tempfile::Builder::new()
        .prefix("archipelago-crash-")
        .tempdir_in(xseg::DEFAULT_DIRECTORY)
        .context("making a directory for the segment")?;
    let place = Place::within(directory.path(), "segment")?;
    let segment = CreateOptions::new(geometry()?).create(&place)?;
    let uses_points = cfg!(feature = "kill-points");
    let mut fleet = Fleet::new(
        directory.path().into(),
        "segment",
        options.seed,
        uses_points,
    );
    let mut ended = kill_and_check(&mut fleet, &segment, options, begun);
    fleet.books.seconds = begun.elapsed().as_secs_f64();
    if ended.is_ok() {
        drop(segment);
        ended = Segment::destroy(&place, &JoinOptions::new(), false).context("destroying it");
    }
    Ok((std::mem::take(&mut fleet.books), ended))
}

fn geometry() -> anyhow::Result<Geometry> {
    let geometry = Geometry::new(64, Role::STATIC_PORTS, 512)?
        .with_buffers(4 << 10, 256)?
        .with_buffers(8 << 10, 64)?
        .with_buffers(16 << 10, 32)?
        .with_buffers(32 << 10, 32)?;
    Ok(geometry)
}

fn kill_and_check(
    fleet: &mut Fleet,
    segment: &Segment,
    options: &Options,
    begun: Instant,
) -> anyhow::Result<()> {
    assemble(fleet, segment)?;
    let mut checked_at = 0;
    fleet.aiming = true;
    while fleet.books.kills() < options.kills {
        if options
            .seconds_max
            .is_some_and(|max| begun.elapsed() >= Duration::from_secs(max))
        {
            break;
        }
        let pause = Duration::from_millis(fleet.rng.between(5, 90));
        fleet.listen(pause)?;
        if let Some(text) = fleet.stuck_client() {
            checkpoint::fail(fleet, segment, Violation::Lost, &text)?;
        }
        if fleet.books.kills() - checked_at >= CHECKPOINT_EVERY {
            checked_at = fleet.books.kills();
            fleet.aiming = false;
            checkpoint::checkpoint(fleet, segment)?;
            fleet.aiming = true;
        }
        act(fleet, segment)?;
    }
    fleet.aiming = false;
    checkpoint::checkpoint(fleet, segment)?;
    calm(fleet)?;
    checkpoint::dissolve(fleet, segment)?;
    if cfg!(feature = "kill-points") && fleet.books.kills() >= COVERAGE_FROM {
        for point in fleet.books.unreached() {
            let text = format!("kill point {point} was never reached");
            fleet.books.violation(Violation::Finding, &text);
        }
    }
    Ok(())
}

/// Servers first: nobody can send to a port that was never bound.
fn assemble(fleet: &mut Fleet, segment: &Segment) -> anyhow::Result<()> {
    for at in 0..fleet.posts.len() {
        if !fleet.posts[at].is_client() {
            fleet.start(at)?;
        }
    }
    let until = Instant::now() + Duration::from_secs(30);
    let is_bound = |report: &xseg::SegmentReport| {
        let bound = report.ports.iter().filter(|port| port.is_static);
        bound.count() == Role::STATIC_PORTS as usize
    };
    while !is_bound(&segment.report()) {
        anyhow::ensure!(Instant::now() < until, "the servers do not start");
        fleet.listen(Duration::from_millis(5))?;
    }
    for at in 0..fleet.posts.len() {
        if fleet.posts[at].is_client() {
            fleet.start(at)?;
        }
    }
    fleet.listen(Duration::from_millis(100))
}

/// One act of the schedule.
fn act(fleet: &mut Fleet, segment: &Segment) -> anyhow::Result<()> {
    let at = target(fleet);
    match fleet.rng.below(100) {
        0..70 => {
            fleet.kill(at);
        }
        70..80 => {
            let other = target(fleet);
            let both = fleet.kill(at) && fleet.kill(other);
            fleet.books.pairs += u64::from(both);
        }
        80..88 => {
            let pause = Duration::from_millis(fleet.rng.between(1, 200));
            fleet.stop(at, pause);
        }
        88..92 => {
            fleet.stop(at, Duration::from_secs(1));
            let pause = Duration::from_millis(fleet.rng.between(0, 20));
            fleet.listen(pause)?;
            fleet.kill(at);
        }
        92..96 => {
            if let Some(worker) = fleet.posts[at].live() {
                worker.may_leave = true;
                worker.process.tell(Command::Leave);
            }
        }
        _ => {
            if let Err(error) = segment.settle_all() {
                let text = format!("settling by the controller: {error}");
                fleet.books.violation(Violation::Finding, &text);
            }
        }
    }
    Ok(())
}

/// Any worker, but rather one that is not on its way to a kill point.
fn target(fleet: &mut Fleet) -> usize {
    let mut at = 0;
    for _ in 0..4 {
        at = fleet.rng.below(fleet.posts.len() as u64) as usize;
        let aims = fleet.posts[at]
            .live()
            .is_some_and(|worker| worker.aim.is_some() && worker.started.elapsed() < AIM_TIME);
        if !aims {
            break;
        }
    }
    at
}

/// A time without deaths: those that are still aimed at a point go first.
fn calm(fleet: &mut Fleet) -> anyhow::Result<()> {
    fleet.go_on(true);
    for at in 0..fleet.posts.len() {
        let post = &mut fleet.posts[at];
        let goes = post
            .live()
            .is_some_and(|worker| worker.aim.is_some() || worker.may_leave);
        if goes {
            fleet.kill(at);
        }
    }
    fleet.listen(Duration::from_secs(1))?;
    fleet.books.calm_slowest_us = 0;
    fleet.listen(CALM)?;
    if fleet.books.calm_slowest_us > CALM_SLOWEST_US {
        let text = format!("an answer took {} us in calm", fleet.books.calm_slowest_us);
        fleet.books.violation(Violation::Liveness, &text);
    }
    Ok(())
}
