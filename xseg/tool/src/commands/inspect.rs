//! `inspect` and `request`: what is under way, read from the segment alone.

use std::fmt;

use anyhow::Result;
use serde::Serialize;
use xseg::{Owner, RecordReport, monotonic_ns};

use crate::context::Context;
use crate::exit::Failure;
use crate::output::printable;
use crate::units::span_text;

pub fn port(context: &mut Context, number: u32) -> Result<()> {
    let records = context.segment()?.inspect(number)?;
    for record in &records {
        let line = RecordLine::of(record, Some(number));
        context.out.emit(&line)?;
    }
    if records.is_empty() && !context.out.is_json() {
        let none =
            format!("port {number} has no requests in its inbox, holds none and sent none\n");
        context.out.text(none)?;
    }
    Ok(())
}

pub fn request(context: &mut Context, index: u32) -> Result<()> {
    let segment = context.segment()?;
    let last = segment.geometry().requests() - 1;
    let record = segment
        .inspect_request(index)
        .ok_or(Failure::NoSuchRequest { index, last })?;
    Ok(context.out.emit(&RecordLine::of(&record, None))?)
}

/// A request as it is printed. A free one still says what it was.
#[derive(Debug, Serialize)]
struct RecordLine {
    kind: &'static str,
    request: u32,
    /// Where it is: free, owned, inbox (of the port asked about), sent, held, damaged.
    place: &'static str,
    by: Option<String>,
    to: Option<u32>,
    serial: u64,
    op: String,
    flags: u32,
    target: String,
    snapshot: String,
    offset: u64,
    length: u64,
    data_bytes: u64,
    buffer: Option<u32>,
    done: u64,
    errno: u32,
    path: Vec<String>,
    /// Since it was sent.
    age_ns: Option<u64>,
}

impl RecordLine {
    fn of(record: &RecordReport, seen_from: Option<u32>) -> Self {
        let (place, by, to) = match record.owner {
            None => ("damaged", None, None),
            Some(Owner::Free) => ("free", None, None),
            Some(Owner::Owned(name)) => ("owned", Some(name), None),
            Some(Owner::Held(name)) => ("held", Some(name), None),
            Some(Owner::Sent { by, to }) if Some(to.get()) == seen_from => {
                ("inbox", Some(by), Some(to.get()))
            }
            Some(Owner::Sent { by, to }) => ("sent", Some(by), Some(to.get())),
        };
        let sent_at = record.stamps_ns[0];
        Self {
            kind: "request",
            request: record.slot,
            place,
            by: by.map(|name| name.to_string()),
            to,
            serial: record.serial,
            op: record.op.to_string(),
            flags: record.flags,
            target: record.target.clone(),
            snapshot: record.snapshot.clone(),
            offset: record.offset,
            length: record.length,
            data_bytes: record.data_len,
            buffer: record.buffer,
            done: record.done,
            errno: record.errno,
            path: record.path.clone(),
            age_ns: (sent_at > 0).then(|| monotonic_ns().saturating_sub(sent_at)),
        }
    }
}

impl fmt::Display for RecordLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}: {}", self.request, self.place)?;
        match (&self.by, self.to) {
            (Some(by), Some(to)) => write!(f, ", from {by} to {to}")?,
            (Some(by), None) => write!(f, " by {by}")?,
            (None, _) => {}
        }
        write!(f, "; {} \"{}\"", self.op, printable(&self.target))?;
        if !self.snapshot.is_empty() {
            write!(f, " and \"{}\"", printable(&self.snapshot))?;
        }
        write!(f, ", {} bytes at {}", self.length, self.offset)?;
        if let Some(buffer) = self.buffer {
            write!(f, "; {} bytes of data in buffer {buffer}", self.data_bytes)?;
        }
        write!(f, "; path {}", self.path.join(" "))?;
        if self.errno != 0 {
            write!(f, "; errno {}", self.errno)?;
        }
        if let Some(age_ns) = self.age_ns {
            write!(f, "; sent {} ago", span_text(age_ns))?;
        }
        Ok(())
    }
}
