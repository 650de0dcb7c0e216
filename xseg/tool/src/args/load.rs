//! Arguments of the commands that keep ports busy, and of those that watch them.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::units;

#[derive(Debug, Args)]
pub struct Ping {
    /// The port to ask
    pub port: u32,
    /// How often
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub count: u64,
    /// The pause between two questions
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = units::parse_seconds)]
    pub interval: Duration,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// The static port to answer at
    pub port: u32,
    /// Leave after so many answers [default: stay until killed, or until the segment is destroyed]
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Leave when nothing has come for so long
    #[arg(long, value_name = "SECONDS", value_parser = units::parse_seconds)]
    pub idle: Option<Duration>,
    /// Fail everything with this error: a number, or a name such as EIO
    #[arg(long, value_name = "ERRNO", value_parser = crate::exit::parse_errno, conflicts_with = "stall")]
    pub fail: Option<xseg::Errno>,
    /// Accept everything and answer nothing, to try recovery
    #[arg(long)]
    pub stall: bool,
    /// What reads see
    #[arg(long, value_enum, default_value_t = ServedData::Offset)]
    pub pattern: ServedData,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ServedData {
    /// Every eight bytes hold their own offset; all targets have 4 GiB
    Offset,
    /// Zeroes; all targets have 4 GiB
    Zero,
    /// What was written, kept in memory
    Memory,
}

#[derive(Debug, Args)]
pub struct Rnd {
    pub act: RndAct,
    /// The port to send to
    pub port: u32,
    /// How many objects
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub loops: u64,
    /// Another seed, other names and contents
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// The size of each object
    #[arg(long, value_name = "BYTES", default_value = "4K", value_parser = units::parse_block)]
    pub object_bytes: u64,
    /// Requests under way at a time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RndAct {
    Write,
    Read,
    Delete,
}

#[derive(Debug, Args)]
pub struct Bench {
    /// The port to send to
    pub port: u32,
    /// What to send; "write" overwrites the target
    #[arg(long, value_enum, default_value_t = BenchOp::Ping)]
    pub op: BenchOp,
    /// What reads and writes are about
    #[arg(long, value_name = "NAME", default_value = "xseg-bench")]
    pub target: String,
    /// Requests under way at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: u32,
    /// The size of each read or write
    #[arg(long, value_name = "BYTES", default_value = "4K", value_parser = units::parse_block)]
    pub bytes: u64,
    /// How long
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = units::parse_seconds)]
    pub seconds: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchOp {
    Ping,
    Read,
    Write,
}

#[derive(Debug, Args)]
pub struct Top {
    /// Show one interval and leave
    #[arg(long)]
    pub once: bool,
    /// How long an interval is
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = units::parse_seconds)]
    pub interval: Duration,
}
