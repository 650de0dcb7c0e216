//! `ping`: is a port's owner there?

use std::fmt;

use anyhow::Result;
use serde::Serialize;
use xseg::{OpCode, monotonic_ns};

use crate::args::Ping;
use crate::client::Client;
use crate::context::{Context, port_of};
use crate::exit::Failure;
use crate::units::span_text;

#[derive(Debug, Serialize)]
struct Pong {
    kind: &'static str,
    port: u32,
    sequence: u64,
    ns: u64,
}

impl fmt::Display for Pong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            port, sequence, ns, ..
        } = self;
        write!(
            f,
            "port {port} answered {sequence} after {}",
            span_text(*ns)
        )
    }
}

pub fn ping(context: &mut Context, args: &Ping) -> Result<()> {
    let segment = context.segment()?;
    let to = port_of(&segment, args.port)?;
    let client = Client::bind(&segment, "xseg ping", context.timeout)?;
    for sequence in 1..=args.count {
        if sequence > 1 {
            std::thread::sleep(args.interval);
        }
        let sent_at = monotonic_ns();
        let reply = client.call(to, client.draft(OpCode::PING)?)?;
        let ns = monotonic_ns() - sent_at;
        reply.result().map_err(|errno| Failure::Answer {
            what: format!("ping of port {to}"),
            errno,
        })?;
        context.out.emit(&Pong {
            kind: "pong",
            port: args.port,
            sequence,
            ns,
        })?;
        context.out.flush()?;
    }
    Ok(())
}
