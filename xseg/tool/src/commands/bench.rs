//! `bench`: how many requests a second, and how long each takes.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use xseg::{Draft, Errno, OpCode, Reply, RequestError, monotonic_ns};

use crate::args::{Bench, BenchOp};
use crate::client::Client;
use crate::context::{Context, port_of};
use crate::exit::Failure;
use crate::histogram::Histogram;
use crate::load::{self, Work};
use crate::units::{bytes_text, span_text};

#[derive(Debug, Serialize)]
struct Measured {
    kind: &'static str,
    op: String,
    concurrency: u32,
    requests: u64,
    failed: u64,
    seconds: f64,
    per_second: f64,
    bytes_per_second: f64,
    p50_ns: u64,
    p99_ns: u64,
    max_ns: u64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} requests in {:.2} s, {} at a time: {:.0}/s, p50 {}, p99 {}, max {}",
            self.op,
            self.requests,
            self.seconds,
            self.concurrency,
            self.per_second,
            span_text(self.p50_ns),
            span_text(self.p99_ns),
            span_text(self.max_ns)
        )?;
        if self.bytes_per_second > 0.0 {
            write!(f, ", {}/s", bytes_text(self.bytes_per_second as u64))?;
        }
        Ok(())
    }
}

struct Load<'a> {
    args: &'a Bench,
    op: OpCode,
    until_ns: u64,
    sent: u64,
    latencies: Histogram,
    max_ns: u64,
    bytes: u64,
    failed: u64,
    first_error: Option<Errno>,
}

pub fn bench(context: &mut Context, args: &Bench) -> Result<()> {
    let segment = context.segment()?;
    let to = port_of(&segment, args.port)?;
    let client = Client::bind(&segment, "xseg bench", context.timeout)?;
    let begun_ns = monotonic_ns();
    let mut load = Load {
        args,
        op: match args.op {
            BenchOp::Ping => OpCode::PING,
            BenchOp::Read => OpCode::READ,
            BenchOp::Write => OpCode::WRITE,
        },
        until_ns: begun_ns + args.seconds.as_nanos() as u64,
        sent: 0,
        latencies: Histogram::new(),
        max_ns: 0,
        bytes: 0,
        failed: 0,
        first_error: None,
    };
    load::run(&client, to, args.concurrency, &mut load)?;
    let spent = Duration::from_nanos(monotonic_ns() - begun_ns);
    context.out.emit(&load.measured(spent))?;
    match load.first_error {
        None => Ok(()),
        Some(first) => Err(Failure::SomeFailed {
            failed: load.failed,
            submitted: load.sent,
            first,
        }
        .into()),
    }
}

impl Load<'_> {
    fn measured(&self, spent: Duration) -> Measured {
        let seconds = spent.as_secs_f64();
        Measured {
            kind: "bench",
            op: self.op.to_string(),
            concurrency: self.args.concurrency,
            requests: self.latencies.total(),
            failed: self.failed,
            seconds,
            per_second: self.latencies.total() as f64 / seconds,
            bytes_per_second: self.bytes as f64 / seconds,
            p50_ns: self.latencies.quantile(0.5),
            p99_ns: self.latencies.quantile(0.99),
            max_ns: self.max_ns,
        }
    }

    fn failed_with(&mut self, errno: Errno) {
        self.failed += 1;
        self.first_error.get_or_insert(errno);
    }
}

impl Work for Load<'_> {
    fn next(&mut self, client: &Client) -> Result<Option<Draft>, RequestError> {
        let now_ns = monotonic_ns();
        if now_ns >= self.until_ns {
            return Ok(None);
        }
        let mut draft = client.draft(self.op)?;
        if self.op != OpCode::PING {
            draft.set_target(self.args.target.as_bytes())?;
            draft.set_extent(0, self.args.bytes);
            client.attach(&mut draft, &[], self.args.bytes)?;
        }
        draft.set_cookie(now_ns);
        self.sent += 1;
        Ok(Some(draft))
    }

    fn answered(&mut self, reply: &Reply) -> Result<()> {
        match reply.result() {
            Ok(done) => {
                let took_ns = monotonic_ns().saturating_sub(reply.cookie());
                self.latencies.add(took_ns);
                self.max_ns = self.max_ns.max(took_ns);
                self.bytes += done;
            }
            Err(errno) => self.failed_with(errno),
        }
        Ok(())
    }

    fn expired(&mut self, _cookie: u64) {
        self.failed_with(Errno::TIMEDOUT);
    }
}
