//! Benchmarks, crash drills and fuzzing: release builds of programs that live in `benches/` and `tests/`.
//!
//! Their options are their own: all that follows the name is handed on, `--help` included.

use std::ffi::OsString;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::command::{self, Outcome, cargo};

#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Bench {
    /// Which benchmark, e.g. `xseg`
    name: String,
    /// Handed on to it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Crash {
    /// What to kill
    subject: CrashSubject,
    /// Handed on: [--kills N] [--seed S] [--json]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CrashSubject {
    /// Processes that share a segment
    Xseg,
}

#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Fuzz {
    /// What to feed
    subject: FuzzSubject,
    /// Handed on: [--seconds N] [--seed S] [--json]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FuzzSubject {
    /// The readers of a segment's bytes
    Segment,
}

impl Bench {
    pub fn run(&self) -> Result<Outcome> {
        // What is measured as users have it.
        command::run(&mut cargo(["build", "--release"]))?;
        let options = ["--package", "archipelago-benches", "--all-features"];
        let mut command = release(&options);
        command.arg("--").arg(&self.name).args(&self.args);
        command::run(&mut command)?;
        Ok(Outcome::Passed)
    }
}

impl Crash {
    /// The drill that CI runs. Long ones are for nights.
    pub fn short() -> Self {
        Self {
            subject: CrashSubject::Xseg,
            args: ["--kills", "200"].map(OsString::from).to_vec(),
        }
    }

    pub fn run(&self) -> Result<Outcome> {
        let program = match self.subject {
            CrashSubject::Xseg => "crash-xseg",
        };
        drill(&["--features", "kill-points", "--bin", program], &self.args)
    }
}

impl Fuzz {
    /// What CI runs.
    pub fn short() -> Self {
        Self {
            subject: FuzzSubject::Segment,
            args: ["--seconds", "60"].map(OsString::from).to_vec(),
        }
    }

    pub fn run(&self) -> Result<Outcome> {
        let program = match self.subject {
            FuzzSubject::Segment => "fuzz-segment",
        };
        drill(&["--bin", program], &self.args)
    }
}

fn drill(options: &[&str], args: &[OsString]) -> Result<Outcome> {
    let mut command = release(&["--package", "archipelago-tests"]);
    command.args(options).arg("--").args(args);
    command::run(&mut command)?;
    Ok(Outcome::Passed)
}

fn release(options: &[&str]) -> std::process::Command {
    let mut command = cargo(["run", "--release"]);
    command.args(options);
    command
}
