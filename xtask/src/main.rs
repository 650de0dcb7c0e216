//! The project's chores, as `cargo xtask <chore>`. CI runs `cargo xtask ci` and knows nothing else.

#![forbid(unsafe_code)]

mod ceph;
mod ci;
mod command;
mod drills;
mod models;
mod prerequisites;
mod suite;
mod tidy;
mod tree;
mod tsan;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use command::Outcome;

/// The chores of the Archipelago project
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Options {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Runs all that CI checks, in order, and says how long each step took
    Ci,
    /// Installs what the tests need (as root on Debian; else names it), then runs all tests and doctests
    Test,
    /// Fetches the kernel that the tests' guests boot, from Debian with apt, unless it is there
    Guest,
    /// Runs a small Ceph cluster on the loopback interface until its input ends
    Ceph(ceph::Ceph),
    /// Checks the source as text: headers, file sizes, invariant ids, left-over notes
    Tidy,
    /// Runs the loom models of xseg
    Loom {
        /// Runs them once more for each named ordering, weakened to Relaxed; some model must then fail
        #[arg(long)]
        mutants: bool,
    },
    /// Runs the tests of xseg under ThreadSanitizer, if a nightly toolchain is installed
    Tsan {
        /// Runs only the tests whose name contains one of these
        filters: Vec<OsString>,
    },
    /// Runs a benchmark: `bench xseg --help`
    Bench(drills::Bench),
    /// Kills real processes at random instants and checks what they leave: `crash xseg --help`
    Crash(drills::Crash),
    /// Feeds garbage to a reader of foreign bytes: `fuzz segment --help`
    Fuzz(drills::Fuzz),
}

fn main() -> ExitCode {
    let done = match Options::parse().chore {
        Chore::Ci => ci::run(),
        Chore::Test => suite::run(),
        Chore::Guest => prerequisites::guest(),
        Chore::Ceph(ceph) => ceph.run(),
        Chore::Tidy => tidy::run(),
        Chore::Loom { mutants } => models::run(mutants),
        Chore::Tsan { filters } => tsan::run(&filters),
        Chore::Bench(bench) => bench.run(),
        Chore::Crash(crash) => crash.run(),
        Chore::Fuzz(fuzz) => fuzz.run(),
    };
    match done {
        Ok(Outcome::Passed) => ExitCode::SUCCESS,
        Ok(Outcome::Skipped(why)) => {
            println!("skipped: {why}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
