//! `serve`: a stand-in for a peer at a static port.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use xseg::{BindOptions, Errno, Event, Incoming, Port, Takeover};

use crate::args::Serve;
use crate::client::{SLICE, waiter_for};
use crate::context::Context;
use crate::output;
use crate::stand_in::StandIn;

#[derive(Debug, Serialize)]
struct Served {
    kind: &'static str,
    port: u32,
    requests: u64,
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            "serving" => write!(f, "serving port {}", self.port),
            _ => write!(f, "served {} requests at port {}", self.requests, self.port),
        }
    }
}

pub fn serve(context: &mut Context, args: &Serve) -> Result<()> {
    let segment = context.segment()?;
    let options = BindOptions::default()
        .label("xseg serve")
        .takeover(Takeover::AfterDeath(context.timeout));
    let port = segment.bind(args.port, &options)?;
    let mut line = Served {
        kind: "serving",
        port: args.port,
        requests: 0,
    };
    context.out.emit(&line)?;
    context.out.flush()?; // whoever waits for this line may send now
    let mut desk = Desk {
        stand_in: StandIn::new(args.pattern, args.fail),
        stalled: args.stall.then(Vec::new),
        served: 0,
        served_max: args.count.unwrap_or(u64::MAX),
    };
    let outcome = desk.run(&port, args.idle);
    desk.close();
    outcome?;
    line.kind = "served";
    line.requests = desk.served;
    Ok(context.out.emit(&line)?)
}

struct Desk {
    stand_in: StandIn,
    /// What was accepted and is not to be answered.
    stalled: Option<Vec<Incoming>>,
    served: u64,
    served_max: u64,
}

impl Desk {
    /// Until it has served enough, nothing has come for long enough, or the segment is destroyed.
    fn run(&mut self, port: &Port, idle: Option<Duration>) -> Result<()> {
        let mut waiter = waiter_for(port)?;
        let mut last = Instant::now();
        while self.served < self.served_max && !port.segment().is_destroyed() {
            let before = self.served;
            self.take(port);
            if self.served > before {
                last = Instant::now();
                continue;
            }
            if idle.is_some_and(|idle| last.elapsed() >= idle) {
                return Ok(());
            }
            waiter.wait(&[port], Some(SLICE), |_| {})?;
        }
        Ok(())
    }

    /// All that has arrived, answered with one wake-up for each client.
    fn take(&mut self, port: &Port) {
        let _burst = port.burst();
        while self.served < self.served_max {
            match port.poll() {
                Some(Event::Request(incoming)) => {
                    self.served += 1;
                    match &mut self.stalled {
                        Some(stalled) => stalled.push(incoming),
                        None => self.stand_in.answer(incoming),
                    }
                }
                Some(Event::Notice(incoming)) => incoming.unsupported(),
                Some(Event::Returning(returning)) => returning.pass_on(),
                Some(Event::Reply(_)) => {}
                Some(Event::Corrupt(corruption)) => output::warn(corruption),
                None => break,
            }
        }
    }

    fn close(&mut self) {
        for incoming in self.stalled.take().into_iter().flatten() {
            incoming.fail(Errno::IO);
        }
    }
}
