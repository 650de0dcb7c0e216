//! What every command needs: where the segment is, how long to wait, where to print.

use std::time::Duration;

use anyhow::Result;
use xseg::{JoinOptions, Place, PortError, PortId, Segment, SegmentError};

use crate::accounts;
use crate::args::Global;
use crate::output::Output;

const SEGMENT_VARIABLE: &str = "ARCHIPELAGO_SEGMENT";
const SEGMENT_DEFAULT: &str = "archipelago";

#[derive(Debug)]
pub struct Context {
    pub place: Place,
    pub join: JoinOptions,
    pub timeout: Duration,
    pub out: Output,
}

impl Context {
    pub fn new(global: &Global) -> Result<Self> {
        let from_environment = || std::env::var(SEGMENT_VARIABLE).ok();
        let name = global.segment.clone().or_else(from_environment);
        let name = name.unwrap_or_else(|| SEGMENT_DEFAULT.into());
        let mut join = JoinOptions::new();
        if let Some(owner) = &global.trust_owner {
            join = join.trust_owner(accounts::user(owner)?);
        }
        Ok(Self {
            place: Place::within(&global.dir, &name)?,
            join,
            timeout: global.timeout,
            out: Output::new(global.json),
        })
    }

    pub fn segment(&self) -> Result<Segment, SegmentError> {
        self.join.join(&self.place)
    }
}

/// The port of this number.
pub fn port_of(segment: &Segment, number: u32) -> Result<PortId, PortError> {
    let last = segment.geometry().ports() - 1;
    let no_such_port = PortError::NoSuchPort { port: number, last };
    segment.geometry().port(number).ok_or(no_such_port)
}
