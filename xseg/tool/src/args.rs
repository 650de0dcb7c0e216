//! The command line as clap sees it. What it means is decided in `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::units;

mod load;
mod ops;
mod segment;

pub use load::{Bench, BenchOp, Ping, Rnd, RndAct, Serve, ServedData, Top};
pub use ops::{Duplicate, FlagArgs, Op, Range, Read, Target, Write};
pub use segment::{Create, Huge, Port, Route};

/// Makes, shows, repairs and exercises segments: the shared memory in which Archipelago's peers meet.
#[derive(Debug, Parser)]
#[command(name = "xseg", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const EVERYWHERE: &str = "Options of every command";

#[derive(Debug, Args)]
pub struct Global {
    /// The segment's name [default: $ARCHIPELAGO_SEGMENT, else "archipelago"]
    #[arg(short, long, global = true, help_heading = EVERYWHERE, value_name = "NAME")]
    pub segment: Option<String>,
    /// Where segments lie
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR", default_value = xseg::DEFAULT_DIRECTORY)]
    pub dir: PathBuf,
    /// Join a segment of this user, whom neither root nor a common group vouches for
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "USER|UID")]
    pub trust_owner: Option<String>,
    /// One JSON object a line, errors too (those on stderr)
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
    /// How long to wait for an answer, or for the I/O of the dead
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "SECONDS", default_value = "30", value_parser = units::parse_seconds)]
    pub timeout: std::time::Duration,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a segment
    Create(Create),
    /// Take a segment's name away and tell its users to leave
    Destroy {
        /// Even if live processes have ports in it, or if it is damaged
        #[arg(long)]
        force: bool,
    },
    /// Show the segment's totals, or one port
    Report { port: Option<u32> },
    /// Show the segment's totals and every port that was ever used
    Reportall,
    /// List all that is not as it should be; fails if there is anything
    Verify {
        /// Settle what the dead left, then look again
        #[arg(long)]
        fix: bool,
    },
    /// Settle what dead processes left: everywhere, or at one port
    Settle { port: Option<u32> },
    /// Answer, with an error, all that a dead peer held and all that waits for it
    Recoverport(Port),
    /// Show the requests in a port's inbox, those that it holds and those that it sent
    Inspect(Port),
    /// Show one request
    Request {
        /// Its index in the segment
        index: u32,
    },
    /// Fail one request that a dead peer holds
    Failreq {
        /// Its index in the segment
        index: u32,
    },
    /// Ask a port whether its owner is there
    Ping(Ping),
    /// Wake a port's owner
    Signal(Port),
    /// Show or change what port the requests for a port go through
    Route(Route),
    /// Answer requests as a stand-in for a peer
    Serve(Serve),
    /// Send any operation to a port
    Op(Op),
    /// Print what a target holds
    Read(Read),
    /// Write standard input, or a file, to a target
    Write(Write),
    /// Ask for a target's size
    Info(Target),
    /// Delete a target
    Delete(Target),
    /// Lock a target
    Acquire(Target),
    /// Unlock a target
    Release(Target),
    /// Copy one target to another
    Copy(Duplicate),
    /// Make a target that begins as another one's contents
    Clone(Duplicate),
    /// Keep a target's present contents under a name
    Snapshot(Duplicate),
    /// Ask for a target's hash
    Hash(Target),
    /// Make what was written to a target durable
    Flush(Target),
    /// Give up a part of a target
    Discard(Range),
    /// Write, read back and check, or delete, pseudo-random objects
    Rnd(Rnd),
    /// Measure a port's speed
    Bench(Bench),
    /// Watch the ports at work
    Top(Top),
}
