//! `verify`: what is not as it should be, and with `--fix` its mending as far as settling goes.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use xseg::{Finding, Segment};

use crate::commands::recover::SettledLine;
use crate::context::Context;
use crate::exit::Failure;

/// Live peers move while we look: what is a fault is still there after this.
const SECOND_LOOK_AFTER: Duration = Duration::from_millis(20);

pub fn verify(context: &mut Context, fix: bool) -> Result<()> {
    let segment = context.segment()?;
    let mut findings = lasting_findings(&segment);
    if fix && !findings.is_empty() {
        let settled = segment.settle_all()?;
        context.out.emit(&SettledLine::of(&settled))?;
        findings = lasting_findings(&segment);
    }
    for finding in &findings {
        context.out.emit(&FindingLine::of(finding))?;
    }
    match findings.len() {
        0 => Ok(context.out.emit(&Clean { kind: "clean" })?),
        count => Err(Failure::Findings { count }.into()),
    }
}

fn lasting_findings(segment: &Segment) -> Vec<Finding> {
    let first = segment.verify();
    if first.is_empty() {
        return first;
    }
    std::thread::sleep(SECOND_LOOK_AFTER);
    let mut second = segment.verify();
    second.retain(|finding| first.contains(finding));
    second
}

#[derive(Debug, Serialize)]
struct Clean {
    kind: &'static str,
}

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no findings")
    }
}

#[derive(Debug, Serialize)]
struct FindingLine {
    kind: &'static str,
    finding: &'static str,
    port: Option<u32>,
    request: Option<u32>,
    buffer: Option<u32>,
    text: String,
    way_out: &'static str,
}

impl FindingLine {
    fn of(finding: &Finding) -> Self {
        let (name, port, request, buffer) = match finding {
            Finding::DeadPort { port, .. } => ("dead-port", Some(port), None, None),
            Finding::DrainingPort { port, .. } => ("draining-port", Some(port), None, None),
            Finding::BrokenLane { port, .. } => ("broken-lane", Some(port), None, None),
            Finding::DamagedLife { port, .. } => ("damaged-life", Some(port), None, None),
            Finding::DamagedOwner { slot, .. } => ("damaged-owner", None, Some(*slot), None),
            Finding::DamagedBufferOwner { buffer, .. } => {
                ("damaged-buffer-owner", None, None, Some(*buffer))
            }
            Finding::WaitingRequest { slot, port } => {
                ("waiting-request", Some(port), Some(*slot), None)
            }
            Finding::LostRequest { slot, port } => ("lost-request", Some(port), Some(*slot), None),
            Finding::LostBuffer { buffer, port } => {
                ("lost-buffer", Some(port), None, Some(*buffer))
            }
            _ => ("other", None, None, None),
        };
        Self {
            kind: "finding",
            finding: name,
            port: port.map(|port| port.get()),
            request,
            buffer,
            text: finding.to_string(),
            way_out: way_out(finding),
        }
    }
}

fn way_out(finding: &Finding) -> &'static str {
    match finding {
        finding if finding.is_mended_by_settling() => "verify --fix",
        Finding::WaitingRequest { .. } => "start its peer, or recoverport, or failreq",
        Finding::DrainingPort { .. } => "wait for its device",
        _ => "destroy and create the segment",
    }
}

impl fmt::Display for FindingLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.text, self.way_out)
    }
}
