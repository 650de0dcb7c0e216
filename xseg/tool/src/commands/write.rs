//! `write`: standard input, or a file, to a target.

use std::fmt;
use std::io::Read;

use anyhow::{Context as _, Result};
use serde::Serialize;
use xseg::OpCode;

use crate::args::Write;
use crate::client::Client;
use crate::commands::ops::{done_of, flag_bits, input};
use crate::context::{Context, port_of};
use crate::exit::Failure;

#[derive(Debug, Serialize)]
struct Written {
    kind: &'static str,
    target: String,
    offset: u64,
    done: u64,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            target,
            offset,
            done,
            ..
        } = self;
        write!(f, "wrote {done} bytes to {target:?} from {offset}")
    }
}

pub fn write(context: &mut Context, args: &Write) -> Result<()> {
    let segment = context.segment()?;
    let to = port_of(&segment, args.port)?;
    let client = Client::bind(&segment, "xseg write", context.timeout)?;
    let mut source = input(&args.data)?;
    let mut done = 0;
    loop {
        let mut bytes = Vec::new();
        source
            .by_ref()
            .take(args.block)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {}", args.data))?;
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len() as u64;
        let mut draft = client.draft(OpCode::WRITE)?;
        draft.set_target(args.target.as_bytes())?;
        draft.set_extent(args.offset + done, len);
        draft.set_flags(flag_bits(args.flags));
        client.attach(&mut draft, &bytes, len)?;
        let reply = client.call(to, draft)?;
        let written = done_of(&reply, OpCode::WRITE, &args.target)?;
        if written != len {
            return Err(Failure::Short {
                target: args.target.clone(),
                offset: args.offset + done,
                done: written,
                asked: len,
            }
            .into());
        }
        done += len;
    }
    Ok(context.out.emit(&Written {
        kind: "written",
        target: args.target.clone(),
        offset: args.offset,
        done,
    })?)
}
