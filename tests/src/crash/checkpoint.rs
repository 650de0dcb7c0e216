//! Checkpoints: the load pauses, everything drains, and the segment must be as good as new.

use std::time::{Duration, Instant};

use xseg::{Life, Segment, SegmentReport};

use super::fleet::{Fleet, WATCHDOG};
use super::probe;
use crate::channel::{Command, Violation};
use crate::worker::Role;

/// Looks at a drained segment are repeated so often: a death may be on its way to being settled.
const PAUSE: Duration = Duration::from_millis(20);

/// Pauses, drains, looks, asks, and resumes. An error ends the run.
pub(super) fn checkpoint(fleet: &mut Fleet, segment: &Segment) -> anyhow::Result<()> {
    drain(fleet, segment)?;
    audit(fleet, segment, &leaks_at_rest)?;
    if let Err(error) = ask_everybody(fleet, segment)? {
        return fail(fleet, segment, Violation::Liveness, &format!("{error:#}"));
    }
    fleet.books.checkpoints += 1;
    fleet.tell_clients(Command::Resume);
    probe::wake_all(segment)?;
    Ok(())
}

/// Asks each role, and fills posts meanwhile: the first request after a pause may be what brings somebody to a kill
/// point.
fn ask_everybody(fleet: &mut Fleet, segment: &Segment) -> anyhow::Result<anyhow::Result<()>> {
    let segment = segment.clone();
    let probe = std::thread::spawn(move || probe::full_round(&segment, WATCHDOG));
    while !probe.is_finished() {
        fleet.listen(PAUSE)?;
    }
    match probe.join() {
        Ok(answered) => Ok(answered),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Everybody leaves, and everything must be free.
pub(super) fn dissolve(fleet: &mut Fleet, segment: &Segment) -> anyhow::Result<()> {
    drain(fleet, segment)?;
    let orders: [&[Role]; 4] = [
        &[Role::Client],
        &[Role::Composer],
        &[
            Role::Interposer,
            Role::ServerA,
            Role::ServerB,
            Role::ServerC,
        ],
        &[Role::Settler],
    ];
    for roles in orders {
        wake_while(segment, || fleet.dismiss(roles))?;
    }
    audit(fleet, segment, &leaks_at_the_end)
}

/// Wakes everybody again and again while something is done that waits for them.
fn wake_while(segment: &Segment, act: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let segment = segment.clone();
    std::thread::scope(|scope| {
        let waker = scope.spawn(move || {
            while is_done.recv_timeout(Duration::from_millis(50))
                == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                probe::wake_all(&segment)?;
            }
            anyhow::Ok(())
        });
        let acted = act();
        drop(done);
        let woken = waker
            .join()
            .unwrap_or_else(|_| anyhow::bail!("the waker panicked"));
        acted.and(woken)
    })
}

/// Has the clients pause, and waits until they have all their answers.
fn drain(fleet: &mut Fleet, segment: &Segment) -> anyhow::Result<()> {
    fleet.go_on(true);
    fleet.tell_clients(Command::Pause);
    loop {
        probe::wake_all(segment)?;
        fleet.listen(PAUSE)?;
        let drained = fleet
            .posts
            .iter()
            .filter(|post| post.is_client())
            .all(|post| {
                let worker = post.worker.as_ref();
                worker.is_some_and(|worker| worker.drained && !worker.killed)
            });
        if drained {
            return Ok(());
        }
        if let Some(text) = fleet.stuck_client() {
            return fail(fleet, segment, Violation::Lost, &text);
        }
    }
}

/// What is leaked, and a description of it.
struct Leaks {
    requests: u64,
    buffers: u64,
    texts: Vec<String>,
}

impl Leaks {
    fn is_empty(&self) -> bool {
        self.requests == 0 && self.buffers == 0 && self.texts.is_empty()
    }
}

/// Looks until everything is in order, or the watchdog's time is over.
fn audit(
    fleet: &mut Fleet,
    segment: &Segment,
    leaks: &dyn Fn(&Segment) -> Leaks,
) -> anyhow::Result<()> {
    let until = Instant::now() + WATCHDOG;
    loop {
        if let Err(error) = segment.settle_all() {
            let text = format!("settling: {error}");
            return fail(fleet, segment, Violation::Finding, &text);
        }
        let found = leaks(segment);
        if found.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            fleet.books.leaked_requests += found.requests;
            fleet.books.leaked_buffers += found.buffers;
            let count = found.requests + found.buffers;
            if count > 0 {
                let text = format!("{} requests, {} buffers", found.requests, found.buffers);
                fleet.books.violation_of(Violation::Leaked, count, &text);
            }
            for text in found.texts {
                fleet.books.violation(Violation::Finding, &text);
            }
            dump(segment);
            anyhow::bail!("the segment is not as it should be");
        }
        fleet.listen(PAUSE)?;
    }
}

/// At rest (CRASH-2): nothing under way, and nothing that only the dead know.
fn leaks_at_rest(segment: &Segment) -> Leaks {
    let report = segment.report();
    let lost = lost_requests(&report);
    let findings = segment.verify();
    let lost_buffers = findings
        .iter()
        .filter(|finding| matches!(finding, xseg::Finding::LostBuffer { .. }));
    Leaks {
        requests: lost,
        buffers: lost_buffers.count() as u64,
        texts: findings.iter().map(ToString::to_string).collect(),
    }
}

/// Records that are neither free nor at home with a live port.
fn lost_requests(report: &SegmentReport) -> u64 {
    let all = report.requests_free
        + report.requests_owned
        + report.requests_sent
        + report.requests_held
        + report.requests_damaged;
    let of_the_living = report
        .ports
        .iter()
        .filter(|port| matches!(port.life, Life::Bound { .. }) && port.process_alive)
        .map(|port| port.owned);
    u64::from(all) - u64::from(report.requests_free) - u64::from(of_the_living.sum::<u32>())
}

/// When all have left: everything is free, every inbox empty, no port bound.
fn leaks_at_the_end(segment: &Segment) -> Leaks {
    let report = segment.report();
    let geometry = segment.geometry();
    let total: u32 = geometry.buffer_counts().iter().sum();
    let free: u32 = report.buffers_free.iter().sum();
    let mut texts: Vec<String> = segment.verify().iter().map(ToString::to_string).collect();
    for port in &report.ports {
        if matches!(port.life, Life::Bound { .. }) {
            texts.push(format!("{:?} is still bound", port.port));
        }
        for lane in port.lanes.iter().filter(|lane| !lane.records.is_empty()) {
            texts.push(format!("{:?}: {lane:?} is not empty", port.port));
        }
    }
    Leaks {
        requests: u64::from(geometry.requests() - report.requests_free),
        buffers: u64::from(total - free),
        texts,
    }
}

pub(super) fn fail(
    fleet: &mut Fleet,
    segment: &Segment,
    kind: Violation,
    text: &str,
) -> anyhow::Result<()> {
    fleet.books.violation(kind, text);
    dump(segment);
    anyhow::bail!("{}: {text}", kind.name())
}

/// All that can be seen from outside, to standard error.
fn dump(segment: &Segment) {
    let mut report = segment.report();
    for port in std::mem::take(&mut report.ports) {
        eprintln!(
            "{:?} {:?} {:?} process {:?} alive {} lock {} asleep {} owned {} sent {} held {} buffers {}",
            port.port,
            port.label,
            port.life,
            port.process.pid,
            port.process_alive,
            port.lock_held,
            port.asleep,
            port.owned,
            port.sent,
            port.held,
            port.buffers,
        );
        for lane in port
            .lanes
            .iter()
            .filter(|lane| lane.broken || !lane.records.is_empty())
        {
            eprintln!("    {lane:?}");
        }
        for record in segment.inspect(port.port.get()).unwrap_or_default() {
            eprintln!("    {record:?}");
        }
    }
    eprintln!("{report:?}");
    for finding in segment.verify() {
        eprintln!("finding: {finding}");
    }
}
