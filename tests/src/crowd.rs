//! The crowd: many processes with many ports each ask one another, and leave. Nobody dies, and nothing may remain.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use xseg::{CreateOptions, Geometry, JoinOptions, Life, Place, Segment};

use crate::channel::{Command, Report};
use crate::child::{Heard, Process, WorkerId};
use crate::rng::Rng;
use crate::worker::{Manner, Role, SleepKind, WorkerArgs};

/// Static ports of each member.
pub const STATIC_EACH: u32 = 15;
/// Dynamic ports of each member.
pub const DYNAMIC_EACH: u32 = 16;
/// How many questions each port asks.
pub const QUESTIONS_EACH: u64 = 10;
/// Records that a port claims at a time: each port keeps some.
const RECORDS_EACH: u32 = 16;
const PATIENCE: Duration = Duration::from_secs(120);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub members: u32,
    pub ports: u32,
    pub seed: u64,
}

/// What happened.
#[derive(Debug)]
pub struct Summary {
    pub members: u32,
    pub ports_bound: usize,
    pub answered: u64,
    pub seconds_to_bind: f64,
    pub seconds: f64,
}

impl Summary {
    pub fn to_json(&self) -> Value {
        json!({
            "test": "crowd",
            "members": self.members,
            "ports_bound": self.ports_bound,
            "answered": self.answered,
            "seconds_to_bind": self.seconds_to_bind,
            "seconds": self.seconds,
        })
    }
}

struct Crowd {
    members: BTreeMap<WorkerId, Process>,
    heard: Receiver<(WorkerId, Heard)>,
    answered: u64,
}

/// Runs it. An error says what went wrong.
pub fn run(options: &Options) -> anyhow::Result<Summary> {
    let begun = Instant::now();
    let directory = tempfile::Builder::new()
        .prefix("archipelago-crowd-")
        .tempdir_in(xseg::DEFAULT_DIRECTORY)?;
    let place = Place::within(directory.path(), "segment")?;
    let requests = options.ports * (RECORDS_EACH + 4);
    let statics = options.members * STATIC_EACH;
    let geometry = Geometry::new(options.ports, statics, requests)?;
    let segment = CreateOptions::new(geometry).create(&place)?;
    let mut crowd = gather(options, directory.path())?;
    crowd.wait_for("to bind", |report| matches!(report, Report::Ready { .. }))?;
    let seconds_to_bind = begun.elapsed().as_secs_f64();
    let ports_bound = bound(&segment);
    let each = (STATIC_EACH + DYNAMIC_EACH) as usize;
    ensure!(
        ports_bound == options.members as usize * each,
        "{ports_bound} ports are bound"
    );
    crowd.tell(Command::Resume);
    crowd.wait_for("for answers", |report| {
        matches!(report, Report::Drained { .. })
    })?;
    crowd.tell(Command::Leave);
    crowd.see_them_leave()?;
    check_clean(&segment)?;
    drop(segment);
    Segment::destroy(&place, &JoinOptions::new(), false).context("destroying it")?;
    Ok(Summary {
        members: options.members,
        ports_bound,
        answered: crowd.answered,
        seconds_to_bind,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

fn gather(options: &Options, directory: &std::path::Path) -> anyhow::Result<Crowd> {
    let (sender, heard) = channel();
    let mut rng = Rng::new(options.seed);
    let mut members = BTreeMap::new();
    for number in 0..options.members {
        let id = WorkerId(u64::from(number));
        let args = WorkerArgs {
            directory: directory.into(),
            name: "segment".into(),
            role: Role::Member,
            id: id.0,
            seed: rng.next_u64(),
            sleep: *rng.pick(&SleepKind::ALL),
            manner: Manner::Strict,
            window: 1,
            answers_max: None,
            kill_point: None,
        };
        members.insert(id, Process::start(id, &args, sender.clone())?);
    }
    Ok(Crowd {
        members,
        heard,
        answered: 0,
    })
}

impl Crowd {
    fn tell(&mut self, command: Command) {
        for member in self.members.values_mut() {
            member.tell(command);
        }
    }

    /// Waits until every member has said it once.
    fn wait_for(&mut self, what: &str, said: impl Fn(&Report) -> bool) -> anyhow::Result<()> {
        let mut silent = self.members.len();
        let until = Instant::now() + PATIENCE;
        while silent > 0 {
            let left = until.saturating_duration_since(Instant::now());
            let heard = self.heard.recv_timeout(left);
            match heard.with_context(|| format!("{silent} members wait {what}"))? {
                (_, Heard::Report(report)) if said(&report) => {
                    silent -= 1;
                    if let Report::Drained { answered, .. } = report {
                        self.answered += answered;
                    }
                }
                (id, Heard::Report(Report::Violation { kind, text })) => {
                    bail!("member {}: {}: {text}", id.0, kind.name())
                }
                (id, Heard::Ended) => bail!("member {} ended by itself", id.0),
                _ => {}
            }
        }
        Ok(())
    }

    fn see_them_leave(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.members.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left).context("members stay")? {
                (id, Heard::Ended) => {
                    let mut member = self.members.remove(&id).context("ended twice")?;
                    let status = member.reap()?;
                    ensure!(status.success(), "member {} ended with {status}", id.0);
                }
                (id, Heard::Report(Report::Violation { kind, text })) => {
                    bail!("member {}: {}: {text}", id.0, kind.name())
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn bound(segment: &Segment) -> usize {
    let ports = segment.report().ports;
    ports
        .iter()
        .filter(|port| matches!(port.life, Life::Bound { .. }) && port.process_alive)
        .count()
}

/// Without any settlement: nobody died.
fn check_clean(segment: &Segment) -> anyhow::Result<()> {
    let report = segment.report();
    let requests = segment.geometry().requests();
    ensure!(
        report.requests_free == requests,
        "{} of {requests} requests are free",
        report.requests_free
    );
    for port in &report.ports {
        ensure!(
            !matches!(port.life, Life::Bound { .. }) && !port.lock_held,
            "{:?} is still bound",
            port.port
        );
        for lane in &port.lanes {
            ensure!(
                lane.records.is_empty() && !lane.broken,
                "{:?}: {lane:?}",
                port.port
            );
        }
    }
    let findings = segment.verify();
    ensure!(findings.is_empty(), "{findings:?}");
    Ok(())
}
