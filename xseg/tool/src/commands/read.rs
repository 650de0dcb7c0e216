//! `read`: a target's bytes to standard output.

use anyhow::Result;
use serde::Serialize;
use xseg::{OpCode, PortId};

use crate::args::Read;
use crate::client::Client;
use crate::commands::ops::{data_of, done_of, flag_bits};
use crate::context::{Context, port_of};

#[derive(Debug, Serialize)]
struct Piece {
    kind: &'static str,
    target: String,
    offset: u64,
    done: u64,
    data_hex: String,
}

pub fn read(context: &mut Context, args: &Read) -> Result<()> {
    let segment = context.segment()?;
    let to = port_of(&segment, args.port)?;
    let client = Client::bind(&segment, "xseg read", context.timeout)?;
    let end = match args.length {
        Some(length) => args.offset.saturating_add(length),
        None => size_of(&client, to, args)?,
    };
    let mut offset = args.offset;
    while offset < end {
        let asked = args.block.min(end - offset);
        let bytes = read_piece(&client, to, args, offset, asked)?;
        if bytes.is_empty() {
            break; // its end
        }
        if context.out.is_json() {
            context.out.object(&Piece {
                kind: "data",
                target: args.target.clone(),
                offset,
                done: bytes.len() as u64,
                data_hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            })?;
        } else {
            context.out.bytes(&bytes)?;
        }
        offset += bytes.len() as u64;
    }
    Ok(())
}

fn size_of(client: &Client, to: PortId, args: &Read) -> Result<u64> {
    let mut draft = client.draft(OpCode::INFO)?;
    draft.set_target(args.target.as_bytes())?;
    let reply = client.call(to, draft)?;
    Ok(done_of(&reply, OpCode::INFO, &args.target)?)
}

fn read_piece(client: &Client, to: PortId, args: &Read, offset: u64, len: u64) -> Result<Vec<u8>> {
    let mut draft = client.draft(OpCode::READ)?;
    draft.set_target(args.target.as_bytes())?;
    draft.set_extent(offset, len);
    draft.set_flags(flag_bits(args.flags));
    client.attach(&mut draft, &[], len)?;
    let reply = client.call(to, draft)?;
    let done = done_of(&reply, OpCode::READ, &args.target)?;
    data_of(&reply, done.min(len))
}
