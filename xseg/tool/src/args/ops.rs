//! Arguments of the commands that send one operation.

use clap::Args;

use crate::units;

/// An operation by hand.
#[derive(Debug, Args)]
pub struct Op {
    /// The operation's name, or its number
    pub name: String,
    /// The port to send it to
    pub port: u32,
    /// What it is about
    pub target: Option<String>,
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = units::parse_bytes)]
    pub offset: u64,
    /// [default: the length of the data]
    #[arg(long, value_name = "BYTES", value_parser = units::parse_bytes)]
    pub length: Option<u64>,
    /// The second name: a snapshot, a new name, a source
    #[arg(long, value_name = "NAME")]
    pub snapshot: Option<String>,
    /// Send this file's contents with it; "-" is standard input
    #[arg(long, value_name = "FILE")]
    pub data: Option<String>,
    /// Give it a buffer for an answer of so many bytes, and print them
    #[arg(long, value_name = "BYTES", value_parser = units::parse_bytes, conflicts_with = "data")]
    pub reply: Option<u64>,
    /// A target by number
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub handle: u64,
    /// An argument of the operation; up to four times
    #[arg(long = "arg", value_name = "N")]
    pub args: Vec<u64>,
    /// The 128 bits, in hexadecimal, that name a change so that it is not made twice [default: random]
    #[arg(long, value_name = "HEX")]
    pub operation_id: Option<String>,
    #[command(flatten)]
    pub flags: FlagArgs,
}

#[derive(Clone, Copy, Debug, Default, Args)]
pub struct FlagArgs {
    /// Answer when it is durable
    #[arg(long)]
    pub fua: bool,
    /// Make durable first what was answered before
    #[arg(long)]
    pub flush: bool,
    /// Break what others hold
    #[arg(long)]
    pub force: bool,
    /// Fail rather than wait
    #[arg(long)]
    pub nowait: bool,
}

#[derive(Debug, Args)]
pub struct Target {
    /// The port to send it to
    pub port: u32,
    /// What it is about
    pub target: String,
    #[command(flatten)]
    pub flags: FlagArgs,
}

#[derive(Debug, Args)]
pub struct Range {
    /// The port to send it to
    pub port: u32,
    /// What it is about
    pub target: String,
    /// Where the part begins
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = units::parse_bytes)]
    pub offset: u64,
    /// How long the part is
    #[arg(long, value_name = "BYTES", value_parser = units::parse_bytes)]
    pub length: u64,
    #[command(flatten)]
    pub flags: FlagArgs,
}

#[derive(Debug, Args)]
pub struct Duplicate {
    /// The port to send it to
    pub port: u32,
    /// What is there already
    pub source: String,
    /// The name of the new one
    pub name: String,
    /// How long the new one is, or how much is copied [default: all of it]
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = units::parse_bytes)]
    pub length: u64,
    #[command(flatten)]
    pub flags: FlagArgs,
}

#[derive(Debug, Args)]
pub struct Read {
    /// The port to send it to
    pub port: u32,
    /// What to read
    pub target: String,
    /// Where to begin
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = units::parse_bytes)]
    pub offset: u64,
    /// How much to read [default: to the end]
    #[arg(long, value_name = "BYTES", value_parser = units::parse_bytes)]
    pub length: Option<u64>,
    /// How much to ask for at a time
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = units::parse_block)]
    pub block: u64,
    #[command(flatten)]
    pub flags: FlagArgs,
}

#[derive(Debug, Args)]
pub struct Write {
    /// The port to send it to
    pub port: u32,
    /// What to write to
    pub target: String,
    /// Where to begin
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = units::parse_bytes)]
    pub offset: u64,
    /// What to write; "-" is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub data: String,
    /// How much to send at a time
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = units::parse_block)]
    pub block: u64,
    #[command(flatten)]
    pub flags: FlagArgs,
}
