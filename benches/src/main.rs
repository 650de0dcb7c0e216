//! Benchmarks of the storage stack, one subcommand for each part of it.
//!
//! They live in one package of their own so that the rivals they measure against, which
//! are heavy to build, never become dependencies of what is installed on a machine.

mod ipc;
mod meta;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "archipelago-bench", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure message exchange between processes on this machine.
    #[command(name = "xseg", visible_alias = "ipc")]
    Ipc(ipc::Options),
    /// Measure management commands on a volume of 1 GiB and one of 1 PiB, side by side.
    Meta(meta::Options),
    /// The other process of an `ipc` measurement; started by it, never by hand.
    #[command(hide = true)]
    IpcPeer(ipc::PeerArguments),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Ipc(options) => ipc::run(&options),
        Command::Meta(options) => meta::run(&options),
        Command::IpcPeer(arguments) => ipc::run_peer(&arguments),
    }
}
