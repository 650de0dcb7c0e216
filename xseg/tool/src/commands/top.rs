//! `top`: the ports at work, from the counters in the segment; no peer is asked.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;
use xseg::{Counter, PortReport, PortStats, RequestError, Segment};

use crate::args::Top;
use crate::commands::report::{is_asleep, state_of};
use crate::context::Context;
use crate::output::{Table, printable};
use crate::units::{bytes_text, span_text};

/// What a port did in an interval, by the second.
#[derive(Debug, Serialize)]
struct Row {
    kind: &'static str,
    port: u32,
    state: &'static str,
    label: String,
    accepted: f64,
    answered: f64,
    failed: f64,
    sent: f64,
    replies: f64,
    bytes: f64,
    p50_ns: u64,
    p99_ns: u64,
    held: u32,
    inbox: usize,
    asleep: bool,
}

pub fn top(context: &mut Context, args: &Top) -> Result<()> {
    let segment = context.segment()?;
    let refreshes = context.out.is_terminal() && !context.out.is_json() && !args.once;
    let refreshes = refreshes && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    let mut earlier = Sample::of(&segment);
    loop {
        std::thread::sleep(args.interval);
        if segment.is_destroyed() {
            return Err(RequestError::Destroyed.into());
        }
        let now = Sample::of(&segment);
        let rows = now.since(&earlier);
        if context.out.is_json() {
            for row in &rows {
                context.out.object(row)?;
            }
        } else {
            if refreshes {
                context.out.text("\x1b[H\x1b[J")?; // home, and clear what is below
            }
            let table = table(&rows).to_string();
            context.out.text(with_bold_header(&table, refreshes))?;
        }
        context.out.flush()?;
        if args.once {
            return Ok(());
        }
        earlier = now;
    }
}

struct Sample {
    at: Instant,
    ports: Vec<PortReport>,
}

impl Sample {
    fn of(segment: &Segment) -> Self {
        Self {
            ports: segment.report().ports,
            at: Instant::now(),
        }
    }

    fn since(&self, earlier: &Self) -> Vec<Row> {
        let seconds = (self.at - earlier.at).as_secs_f64();
        let before: HashMap<_, _> = earlier
            .ports
            .iter()
            .map(|port| (port.port, port.stats))
            .collect();
        let row = |port: &PortReport| {
            let before = before.get(&port.port).copied().unwrap_or_default();
            row_of(port, &port.stats.since(&before), seconds)
        };
        let has_owner_or_work = |row: &Row| row.state != "free" || row.sent > 0.0;
        let rows = self.ports.iter().map(row);
        rows.filter(has_owner_or_work).collect()
    }
}

fn row_of(port: &PortReport, growth: &PortStats, seconds: f64) -> Row {
    let rate = |counter| growth.get(counter) as f64 / seconds;
    Row {
        kind: "top",
        port: port.port.get(),
        state: state_of(port),
        label: port.label.clone(),
        accepted: rate(Counter::Accepted),
        answered: rate(Counter::Answered),
        failed: rate(Counter::Failed),
        sent: rate(Counter::Sent),
        replies: rate(Counter::Replies),
        bytes: rate(Counter::BytesDone),
        p50_ns: growth.quantile_ns(0.5),
        p99_ns: growth.quantile_ns(0.99),
        held: port.held,
        inbox: port.lanes.iter().map(|lane| lane.records.len()).sum(),
        asleep: is_asleep(port),
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        ">PORT",
        "STATE",
        "LABEL",
        ">ACCEPT/s",
        ">ANSWER/s",
        ">FAIL/s",
        ">SENT/s",
        ">REPLY/s",
        ">BYTES/s",
        ">P50",
        ">P99",
        ">HELD",
        ">INBOX",
        "ASLEEP",
    ]);
    let rate = |value: f64| format!("{value:.0}");
    for row in rows {
        table.row(vec![
            row.port.to_string(),
            row.state.into(),
            printable(&row.label),
            rate(row.accepted),
            rate(row.answered),
            rate(row.failed),
            rate(row.sent),
            rate(row.replies),
            bytes_text(row.bytes as u64),
            span_text(row.p50_ns),
            span_text(row.p99_ns),
            row.held.to_string(),
            row.inbox.to_string(),
            if row.asleep { "yes" } else { "no" }.into(),
        ]);
    }
    table
}

/// The first line in bold, on a terminal whose user does not mind.
fn with_bold_header(table: &str, is_terminal: bool) -> String {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match table.split_once('\n') {
        Some((header, rows)) if is_terminal && !is_plain => {
            format!("\x1b[1m{header}\x1b[0m\n{rows}")
        }
        _ => table.to_owned(),
    }
}
