//! Benchmarks of the storage stack, one subcommand for each part of it.
//!
//! They live in one package of their own so that the rivals they measure against, which
//! are heavy to build, never become dependencies of what is installed on a machine.

mod cell;
mod guest;
mod ipc;
mod median;
mod meta;
mod nbd;
mod node;
mod outcome;
mod profile;
mod programs;
mod rados;
mod ublk;
mod vhost_user;

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
    /// Measure the NBD server beside those of QEMU and nbdkit, with fio.
    Nbd(nbd::Options),
    /// Measure volumes in a small Ceph cluster over NBD beside RBD images of the same cluster, with fio.
    Rados(rados::Options),
    /// Measure ublk devices beside the kernel's loop and NBD devices, all of them in a guest: ratios only.
    Ublk(ublk::Options),
    /// Measure a guest's vhost-user disk beside what QEMU offers: ratios only.
    VhostUser(vhost_user::Options),
    /// The other process of an `ipc` measurement; started by it, never by hand.
    #[command(hide = true)]
    IpcPeer(ipc::PeerArguments),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Ipc(options) => ipc::run(&options),
        Command::Meta(options) => meta::run(&options),
        Command::Nbd(options) => nbd::run(&options),
        Command::Rados(options) => rados::run(&options),
        Command::Ublk(options) => ublk::run(&options),
        Command::VhostUser(options) => vhost_user::run(&options),
        Command::IpcPeer(arguments) => ipc::run_peer(&arguments),
    }
}
