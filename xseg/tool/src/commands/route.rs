//! `route` and `signal`: changing whom requests meet first, and waking a port's owner.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

use crate::args::Route;
use crate::context::{Context, port_of};
use crate::exit::Failure;
use crate::output;

#[derive(Debug, Serialize)]
struct RouteLine {
    kind: &'static str,
    port: u32,
    via: Option<u32>,
}

impl fmt::Display for RouteLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.via {
            Some(via) => write!(f, "requests for port {} go through port {via}", self.port),
            None => write!(f, "requests for port {} go straight there", self.port),
        }
    }
}

pub fn route(context: &mut Context, args: &Route) -> Result<()> {
    let segment = context.segment()?;
    let port = port_of(&segment, args.port)?;
    if let Some(via) = args.via {
        if via == args.port {
            return Err(Failure::Usage("a port cannot stand in front of itself".into()).into());
        }
        segment.set_route(port, Some(port_of(&segment, via)?))?;
        if !segment.report_port(via)?.lock_held {
            output::warn(format!(
                "nobody owns port {via}: requests go straight on until somebody does"
            ));
        }
    } else if args.direct {
        segment.set_route(port, None)?;
    }
    let via = segment.route(port)?.map(xseg::PortId::get);
    let port = args.port;
    Ok(context.out.emit(&RouteLine {
        kind: "route",
        port,
        via,
    })?)
}

#[derive(Debug, Serialize)]
struct Signalled {
    kind: &'static str,
    port: u32,
    was_asleep: bool,
}

impl fmt::Display for Signalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        if self.was_asleep {
            write!(f, "rang the bell of port {port}")
        } else {
            write!(f, "port {port} does not sleep")
        }
    }
}

pub fn signal(context: &mut Context, port: u32) -> Result<()> {
    let was_asleep = context.segment()?.ring(port)?;
    Ok(context.out.emit(&Signalled {
        kind: "signalled",
        port,
        was_asleep,
    })?)
}
