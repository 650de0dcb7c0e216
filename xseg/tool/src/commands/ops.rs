//! Single operations, by hand: `op` and its short forms.

use std::fmt;
use std::fs::File;
use std::io::Read;

use anyhow::{Context as _, Result};
use serde::Serialize;
use xseg::{ARGS, BUFFER_BYTES_MAX, Draft, OpCode, Redo, Reply, flags};

use crate::args::{Duplicate, FlagArgs, Op, Range, Target};
use crate::client::Client;
use crate::context::{Context, port_of};
use crate::exit::Failure;

/// The longest hash that is asked for.
const HASH_BYTES: u64 = 64;

/// An operation that is to be sent.
#[derive(Debug, Default)]
struct Order {
    port: u32,
    target: String,
    second: String,
    offset: u64,
    length: u64,
    flags: u32,
    handle: u64,
    args: [u64; ARGS],
    operation_id: Option<[u64; 2]>,
    data: Vec<u8>,
    /// Room for the answer's data, if it gets a buffer at all.
    room_bytes: u64,
}

/// What came back.
#[derive(Debug, Serialize)]
struct Answer {
    kind: &'static str,
    op: String,
    port: u32,
    target: String,
    /// A number of bytes, or the operation's own number.
    done: u64,
    /// Those of the operation's arguments that the answer changed, by their place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<(usize, u64)>,
    #[serde(skip_serializing_if = "String::is_empty")]
    data_hex: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.op, self.target, self.done)?;
        for (place, value) in &self.args {
            write!(f, ", argument {place} is {value}")?;
        }
        if !self.data_hex.is_empty() {
            write!(f, ", {}", self.data_hex)?;
        }
        Ok(())
    }
}

pub fn by_hand(context: &mut Context, args: &Op) -> Result<()> {
    let op = op_of(&args.name)?;
    let data = match &args.data {
        Some(path) => contents_of(path)?,
        None => Vec::new(),
    };
    let room_bytes = args.reply.unwrap_or(0);
    let default_length = room_bytes.max(data.len() as u64);
    let mut order = Order {
        port: args.port,
        target: args.target.clone().unwrap_or_default(),
        second: args.snapshot.clone().unwrap_or_default(),
        offset: args.offset,
        length: args.length.unwrap_or(default_length),
        flags: flag_bits(args.flags),
        handle: args.handle,
        data,
        room_bytes,
        ..Order::default()
    };
    if args.args.len() > ARGS {
        let most = format!("an operation has at most {ARGS} arguments");
        return Err(Failure::Usage(most).into());
    }
    order.args[..args.args.len()].copy_from_slice(&args.args);
    order.operation_id = args.operation_id.as_deref().map(parse_id).transpose()?;
    let (answer, bytes) = carry_out(context, op, &order)?;
    if args.reply.is_some() && !context.out.is_json() {
        return Ok(context.out.bytes(&bytes)?);
    }
    Ok(context.out.emit(&answer)?)
}

pub fn on_target(context: &mut Context, op: OpCode, args: &Target) -> Result<()> {
    let order = Order {
        port: args.port,
        target: args.target.clone(),
        flags: flag_bits(args.flags),
        room_bytes: if op == OpCode::HASH { HASH_BYTES } else { 0 },
        ..Order::default()
    };
    print_answer(context, op, &order)
}

pub fn on_range(context: &mut Context, op: OpCode, args: &Range) -> Result<()> {
    let order = Order {
        port: args.port,
        target: args.target.clone(),
        offset: args.offset,
        length: args.length,
        flags: flag_bits(args.flags),
        ..Order::default()
    };
    print_answer(context, op, &order)
}

/// A copy and a clone are made at their new name, from a source; a snapshot is made of a target, as a second name.
pub fn duplicate(context: &mut Context, op: OpCode, args: &Duplicate) -> Result<()> {
    let (target, second) = if op == OpCode::SNAPSHOT {
        (&args.source, &args.name)
    } else {
        (&args.name, &args.source)
    };
    let order = Order {
        port: args.port,
        target: target.clone(),
        second: second.clone(),
        length: args.length,
        flags: flag_bits(args.flags),
        ..Order::default()
    };
    print_answer(context, op, &order)
}

fn print_answer(context: &mut Context, op: OpCode, order: &Order) -> Result<()> {
    let (answer, _) = carry_out(context, op, order)?;
    Ok(context.out.emit(&answer)?)
}

fn carry_out(context: &Context, op: OpCode, order: &Order) -> Result<(Answer, Vec<u8>)> {
    let segment = context.segment()?;
    let to = port_of(&segment, order.port)?;
    let client = Client::bind(&segment, "xseg op", context.timeout)?;
    let mut draft = client.draft(op)?;
    write_order(&client, &mut draft, op, order)?;
    let reply = client.call(to, draft)?;
    let done = done_of(&reply, op, &order.target)?;
    let bytes = match order.room_bytes {
        0 => Vec::new(),
        room => data_of(&reply, done.min(room))?,
    };
    let changed = reply.args().into_iter().zip(order.args).enumerate();
    let answer = Answer {
        kind: "answer",
        op: op.to_string(),
        port: order.port,
        target: order.target.clone(),
        done,
        args: changed
            .filter(|(_, (answered, asked))| answered != asked)
            .map(|(place, (answered, _))| (place, answered))
            .collect(),
        data_hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    Ok((answer, bytes))
}

fn write_order(client: &Client, draft: &mut Draft, op: OpCode, order: &Order) -> Result<()> {
    draft.set_target(order.target.as_bytes())?;
    draft.set_snapshot(order.second.as_bytes())?;
    draft.set_extent(order.offset, order.length);
    draft.set_flags(order.flags);
    draft.set_handle(order.handle);
    draft.set_args(order.args); // always: what is not set would be what stood in the record before
    let is_named = op
        .info()
        .is_some_and(|info| info.redo == Redo::ByOperationId);
    match order.operation_id {
        Some(id) => draft.set_operation_id(id),
        None if is_named => draft.set_operation_id(random_id()?),
        None => {}
    }
    let bytes = order.room_bytes.max(order.data.len() as u64);
    if bytes > 0 {
        client.attach(draft, &order.data, bytes)?;
    }
    Ok(())
}

/// What was done, or the peer's error with what it was about.
pub fn done_of(reply: &Reply, op: OpCode, target: &str) -> Result<u64, Failure> {
    reply.result().map_err(|errno| Failure::Answer {
        what: format!("{op} {target:?}"),
        errno,
    })
}

/// The first `len` bytes of an answer's data, or as many as there are.
pub fn data_of(reply: &Reply, len: u64) -> Result<Vec<u8>> {
    let Some(data) = reply.data() else {
        return Ok(Vec::new());
    };
    let mut bytes = vec![0; len.min(data.len()) as usize];
    data.read(0, &mut bytes)?;
    Ok(bytes)
}

pub fn flag_bits(args: FlagArgs) -> u32 {
    let chosen = [
        (args.fua, flags::FUA),
        (args.flush, flags::FLUSH),
        (args.force, flags::FORCE),
        (args.nowait, flags::NOWAIT),
    ];
    chosen
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .fold(0, |bits, (_, bit)| bits | bit)
}

/// What to read from: a file, or standard input.
pub fn input(path: &str) -> Result<Box<dyn Read>> {
    if path == "-" {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = File::open(path).with_context(|| format!("cannot open {path}"))?;
    Ok(Box::new(file))
}

fn contents_of(path: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input(path)?
        .take(BUFFER_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {path}"))?;
    if bytes.len() as u64 > BUFFER_BYTES_MAX {
        let most = format!("{path}: one request carries at most {BUFFER_BYTES_MAX} bytes");
        return Err(Failure::Usage(most).into());
    }
    Ok(bytes)
}

fn op_of(name: &str) -> Result<OpCode> {
    if let Ok(code) = name.parse() {
        return Ok(OpCode(code));
    }
    OpCode::by_name(name).ok_or_else(|| {
        let known = xseg::OPERATIONS.iter().map(|info| info.name);
        let known = known.collect::<Vec<_>>().join(", ");
        Failure::Usage(format!(
            "there is no operation {name:?}: {known}, or a number"
        ))
        .into()
    })
}

fn parse_id(text: &str) -> Result<[u64; 2]> {
    let id = u128::from_str_radix(text, 16)
        .map_err(|error| Failure::Usage(format!("operation id {text:?}: {error}")))?;
    Ok([(id >> 64) as u64, id as u64])
}

fn random_id() -> Result<[u64; 2]> {
    const SOURCE: &str = "/dev/urandom";
    let mut bytes = [[0; 8]; 2];
    let mut source = File::open(SOURCE).with_context(|| format!("cannot open {SOURCE}"))?;
    for half in &mut bytes {
        source
            .read_exact(half)
            .with_context(|| format!("cannot read {SOURCE}"))?;
    }
    Ok(bytes.map(u64::from_ne_bytes))
}
