//! `settle`, `recoverport` and `failreq`: cleaning up behind dead peers.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use xseg::{BindOptions, Errno, Event, Life, Owner, Port, PortError, Segment, Settled, Takeover};

use crate::context::Context;
use crate::exit::Failure;
use crate::output;

/// How long to sleep between two looks at what a dead peer sent on.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub fn settle(context: &mut Context, port: Option<u32>) -> Result<()> {
    let segment = context.segment()?;
    let settled = match port {
        Some(port) => segment.settle(port)?,
        None => segment.settle_all()?,
    };
    Ok(context.out.emit(&SettledLine::of(&settled))?)
}

/// What a settlement did.
#[derive(Debug, Serialize)]
pub struct SettledLine {
    kind: &'static str,
    ports: u32,
    requests: u32,
    buffers: u32,
    waiting: u32,
    draining: u32,
}

impl SettledLine {
    pub fn of(settled: &Settled) -> Self {
        Self {
            kind: "settled",
            ports: settled.ports,
            requests: settled.requests,
            buffers: settled.buffers,
            waiting: settled.waiting,
            draining: settled.draining,
        }
    }
}

impl fmt::Display for SettledLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "settled dead ports: {}; freed requests: {}, buffers: {}",
            self.ports, self.requests, self.buffers
        )?;
        if self.waiting > 0 {
            write!(f, "; requests that wait for their peer: {}", self.waiting)?;
        }
        if self.draining > 0 {
            write!(f, "; ports whose I/O has not ended: {}", self.draining)?;
        }
        Ok(())
    }
}

#[derive(Debug, Default, Serialize)]
struct Recovered {
    kind: &'static str,
    port: u32,
    /// Requests that the dead peer held.
    held: u64,
    /// Requests that had arrived since, or did while this ran.
    waiting: u64,
    /// Answers to its own requests, and answers that pass through it.
    answers: u64,
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "recovered port {}; failed requests that it held: {}, that waited: {}",
            self.port, self.held, self.waiting
        )
    }
}

/// A static port gets a next incarnation, which fails everything and leaves; a dynamic one is settled.
pub fn recover_port(context: &mut Context, number: u32) -> Result<()> {
    let segment = context.segment()?;
    let report = segment.report_port(number)?;
    if !report.is_static {
        return settle(context, Some(number));
    }
    let mut recovered = Recovered {
        kind: "recovered",
        port: number,
        ..Recovered::default()
    };
    // Nobody ever had it: binding it would make senders believe that somebody comes.
    if !matches!(report.life, Life::Free { .. }) {
        wait_for_orphans(&segment, number, context.timeout)?;
        let port = successor(&segment, number, context)?;
        fail_everything(&port, context, &mut recovered)?;
    }
    Ok(context.out.emit(&recovered)?)
}

/// Waits until nobody has anything any more that the dead peer sent on (S7): it may still write to the buffers of the
/// requests that the dead peer held, and must not find their next users there.
fn wait_for_orphans(segment: &Segment, number: u32, timeout: Duration) -> Result<()> {
    match segment.settle(number) {
        Ok(_) | Err(PortError::Draining { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let until = Instant::now() + timeout;
    loop {
        let requests = segment.away_from(number)?;
        if requests.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            let port = number;
            return Err(Failure::Orphans { port, requests }.into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn successor(segment: &Segment, number: u32, context: &Context) -> Result<Port> {
    let options = BindOptions::default()
        .label("xseg recoverport")
        .takeover(Takeover::AfterDeath(context.timeout));
    Ok(segment.bind(number, &options)?)
}

fn fail_everything(port: &Port, context: &Context, recovered: &mut Recovered) -> Result<()> {
    let until = Instant::now() + context.timeout;
    loop {
        match port.poll() {
            Some(event) => deal_with(event, recovered),
            None if port.segment().report_port(port.id().get())?.held == 0 => return Ok(()),
            // It has what it may not see yet.
            None => {
                port.wait(Some(LOOK_EVERY));
            }
        }
        if Instant::now() >= until {
            let seconds = context.timeout.as_secs_f64();
            let port = port.id().get();
            return Err(Failure::Unending { port, seconds }.into());
        }
    }
}

fn deal_with(event: Event, recovered: &mut Recovered) {
    match event {
        Event::Request(incoming) | Event::Notice(incoming) => {
            let count = if incoming.request().redelivered {
                &mut recovered.held
            } else {
                &mut recovered.waiting
            };
            *count += 1;
            incoming.fail(Errno::IO);
        }
        Event::Returning(returning) => {
            recovered.answers += 1;
            returning.pass_on();
        }
        Event::Reply(_) => recovered.answers += 1,
        Event::Corrupt(corruption) => output::warn(corruption),
    }
}

#[derive(Debug, Serialize)]
struct Failed {
    kind: &'static str,
    request: u32,
    errno: i32,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed request {}", self.request)
    }
}

pub fn fail_request(context: &mut Context, index: u32) -> Result<()> {
    let segment = context.segment()?;
    let last = segment.geometry().requests() - 1;
    if index > last {
        return Err(Failure::NoSuchRequest { index, last }.into());
    }
    let record = segment.inspect_request(index);
    let owner = record.and_then(|record| record.owner);
    if let Some(Owner::Held(name)) = owner {
        wait_for_orphans(&segment, name.port.get(), context.timeout)?;
    }
    if !segment.fail_request(index, Errno::IO)? {
        return Err(Failure::NotStuck { index }.into());
    }
    Ok(context.out.emit(&Failed {
        kind: "failed",
        request: index,
        errno: Errno::IO.raw_os_error(),
    })?)
}
