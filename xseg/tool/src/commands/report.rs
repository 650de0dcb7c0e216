//! `report` and `reportall`: totals and ports, read from the segment alone.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use serde::Serialize;
use xseg::{BUFFER_BYTES_MIN, COUNTER_NAMES, Geometry, Life, PortReport, SegmentReport};

use crate::context::Context;
use crate::output::{Table, printable};
use crate::units::{bytes_text, moment_text, span_text};

pub fn totals(context: &mut Context) -> Result<()> {
    let segment = context.segment()?;
    let line = SegmentLine::of(context, segment.geometry(), &segment.report());
    Ok(context.out.emit(&line)?)
}

pub fn one(context: &mut Context, number: u32) -> Result<()> {
    let line = PortLine::of(&context.segment()?.report_port(number)?);
    if context.out.is_json() {
        return Ok(context.out.object(&line)?);
    }
    context.out.text(table(std::slice::from_ref(&line)))?;
    Ok(context.out.text(line)?)
}

pub fn all(context: &mut Context) -> Result<()> {
    let segment = context.segment()?;
    let report = segment.report();
    let line = SegmentLine::of(context, segment.geometry(), &report);
    context.out.emit(&line)?;
    let ports: Vec<_> = report.ports.iter().map(PortLine::of).collect();
    if context.out.is_json() {
        for port in &ports {
            context.out.object(port)?;
        }
    } else if !ports.is_empty() {
        context.out.text("\n")?;
        context.out.text(table(&ports))?;
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct SegmentLine {
    kind: &'static str,
    path: String,
    identity: String,
    created: String,
    size_bytes: u64,
    destroyed: bool,
    /// Binds and settlements: each makes all peers look for what the dead left.
    deaths_announced: u64,
    ports: Ports,
    requests: Requests,
    buffers: Vec<Buffers>,
}

#[derive(Debug, Serialize)]
struct Ports {
    total: u32,
    #[serde(rename = "static")]
    fixed: u32,
    bound: usize,
}

#[derive(Debug, Serialize)]
struct Requests {
    total: u32,
    free: u32,
    owned: u32,
    sent: u32,
    held: u32,
    damaged: u32,
}

#[derive(Debug, Serialize)]
struct Buffers {
    bytes: u64,
    total: u32,
    free: u32,
}

impl SegmentLine {
    fn of(context: &Context, geometry: &Geometry, report: &SegmentReport) -> Self {
        let [high, low] = report.identity;
        let is_bound = |port: &&PortReport| matches!(port.life, Life::Bound { .. });
        let counts = geometry.buffer_counts().into_iter();
        let sizes = counts.zip(report.buffers_free).enumerate();
        Self {
            kind: "segment",
            path: context.place.path().display().to_string(),
            identity: format!("{high:016x}{low:016x}"),
            created: moment_text(report.created_unix_ns),
            size_bytes: report.size_bytes,
            destroyed: report.destroyed,
            deaths_announced: report.deaths,
            ports: Ports {
                total: geometry.ports(),
                fixed: geometry.static_ports(),
                bound: report.ports.iter().filter(is_bound).count(),
            },
            requests: Requests {
                total: geometry.requests(),
                free: report.requests_free,
                owned: report.requests_owned,
                sent: report.requests_sent,
                held: report.requests_held,
                damaged: report.requests_damaged,
            },
            buffers: sizes
                .filter(|(_, (total, _))| *total > 0)
                .map(|(class, (total, free))| Buffers {
                    bytes: BUFFER_BYTES_MIN << class,
                    total,
                    free,
                })
                .collect(),
        }
    }
}

impl fmt::Display for SegmentLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Requests {
            total,
            free,
            owned,
            sent,
            held,
            damaged,
        } = self.requests;
        let ports = &self.ports;
        writeln!(f, "segment   {}", self.path)?;
        writeln!(f, "identity  {}", self.identity)?;
        writeln!(f, "created   {}", self.created)?;
        writeln!(f, "size      {}", bytes_text(self.size_bytes))?;
        let (all, fixed, bound) = (ports.total, ports.fixed, ports.bound);
        writeln!(f, "ports     {all} ({fixed} static), {bound} bound")?;
        write!(
            f,
            "requests  {free} of {total} free, {owned} owned, {sent} sent, {held} held"
        )?;
        match damaged {
            0 => writeln!(f)?,
            damaged => writeln!(f, ", {damaged} DAMAGED")?,
        }
        let sizes = self
            .buffers
            .iter()
            .map(|Buffers { bytes, total, free }| format!("{} {free}/{total}", bytes_text(*bytes)));
        let sizes: Vec<_> = sizes.collect();
        write!(f, "buffers   free: {}", sizes.join(", "))?;
        if self.destroyed {
            write!(f, "\nDESTROYED: it is being left")?;
        }
        Ok(())
    }
}

/// A port as `report` prints it.
#[derive(Debug, Serialize)]
struct PortLine {
    kind: &'static str,
    port: u32,
    #[serde(rename = "static")]
    fixed: bool,
    state: &'static str,
    generation: u32,
    pid: u32,
    label: String,
    bound: String,
    asleep: bool,
    via: Option<u32>,
    owned: u32,
    sent: u32,
    held: u32,
    buffers: u32,
    inbox: BTreeMap<&'static str, usize>,
    damaged_lanes: Vec<&'static str>,
    p50_ns: u64,
    p99_ns: u64,
    counters: BTreeMap<&'static str, u64>,
}

/// What a port is, in a word.
pub fn state_of(port: &PortReport) -> &'static str {
    match (port.life, port.lock_held, port.process_alive) {
        (Life::Free { .. }, ..) => "free",
        (Life::Vacant { .. }, ..) => "vacant",
        (Life::Settling { .. }, true, true) => "settling",
        (Life::Bound { .. }, true, true) => "alive",
        (Life::Bound { .. } | Life::Settling { .. }, true, false) => "draining",
        (Life::Bound { .. } | Life::Settling { .. }, false, _) => "dead",
    }
}

/// What a dead one said last means nothing.
pub fn is_asleep(port: &PortReport) -> bool {
    port.asleep && state_of(port) == "alive"
}

impl PortLine {
    fn of(port: &PortReport) -> Self {
        let counters = COUNTER_NAMES.iter();
        Self {
            kind: "port",
            port: port.port.get(),
            fixed: port.is_static,
            state: state_of(port),
            generation: port.life.generation(),
            pid: port.process.pid,
            label: port.label.clone(),
            bound: moment_text(port.bound_unix_ns),
            asleep: is_asleep(port),
            via: port.via.map(xseg::PortId::get),
            owned: port.owned,
            sent: port.sent,
            held: port.held,
            buffers: port.buffers,
            inbox: port
                .lanes
                .iter()
                .map(|lane| (lane.name, lane.records.len()))
                .collect(),
            damaged_lanes: port
                .lanes
                .iter()
                .filter(|lane| lane.broken)
                .map(|lane| lane.name)
                .collect(),
            p50_ns: port.stats.quantile_ns(0.5),
            p99_ns: port.stats.quantile_ns(0.99),
            counters: counters
                .map(|(counter, name)| (*name, port.stats.get(*counter)))
                .collect(),
        }
    }

    fn inbox_count(&self) -> usize {
        self.inbox.values().sum()
    }
}

fn table(ports: &[PortLine]) -> Table {
    let mut table = Table::new(&[
        ">PORT", "KIND", "STATE", ">PID", "LABEL", ">INBOX", ">HELD", ">SENT", ">OWNED",
        ">BUFFERS", ">VIA", "ASLEEP", "BOUND",
    ]);
    for port in ports {
        table.row(vec![
            port.port.to_string(),
            if port.fixed { "static" } else { "dynamic" }.into(),
            port.state.into(),
            port.pid.to_string(),
            printable(&port.label),
            port.inbox_count().to_string(),
            port.held.to_string(),
            port.sent.to_string(),
            port.owned.to_string(),
            port.buffers.to_string(),
            port.via.map_or_else(|| "-".into(), |via| via.to_string()),
            if port.asleep { "yes" } else { "no" }.into(),
            port.bound.clone(),
        ]);
    }
    table
}

/// What the table has no room for.
impl fmt::Display for PortLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nincarnation  {}#{}", self.port, self.generation)?;
        let lanes = self
            .inbox
            .iter()
            .map(|(lane, count)| format!("{count} {lane}"));
        writeln!(f, "inbox        {}", lanes.collect::<Vec<_>>().join(", "))?;
        for lane in &self.damaged_lanes {
            writeln!(f, "DAMAGED      the links of the {lane} lane")?;
        }
        let (p50, p99) = (span_text(self.p50_ns), span_text(self.p99_ns));
        writeln!(f, "latency      p50 <= {p50}, p99 <= {p99}")?;
        for (name, value) in self.counters.iter().filter(|(_, value)| **value > 0) {
            writeln!(f, "{name:<12} {value}")?;
        }
        Ok(())
    }
}
