//! Benchmarks, crash drills and fuzzing: release builds of programs that live in `benches/` and `tests/`.
//!
//! Their options are their own: all that follows the name is handed on, `--help` included.

use std::ffi::OsString;

use anyhow::Result;
use clap::{Args, Parser, ValueEnum};

use crate::command::{self, Outcome, cargo};
use crate::prerequisites;

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
    /// The hosts of a node under verified loads, in shared and in isolated placement; the kills are those of each load
    Node,
}

/// What is handed on to the drill of a node.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask crash node", bin_name = "cargo xtask crash node")]
struct NodeDrill {
    /// How often a host is killed under each load
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Repeats the choices of a run
    #[arg(long)]
    seed: Option<u64>,
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
        match self.subject {
            CrashSubject::Xseg => drill(
                &["--features", "kill-points", "--bin", "crash-xseg"],
                &self.args,
            ),
            CrashSubject::Node => {
                let name = OsString::from("cargo xtask crash node");
                NodeDrill::parse_from([&name].into_iter().chain(&self.args)).run()
            }
        }
    }
}

impl NodeDrill {
    /// The tests of a node, with more kills; built like the tests, so that what they assert about themselves is checked.
    fn run(&self) -> Result<Outcome> {
        prerequisites::ensure()?;
        let mut command = cargo(["test", "--package", "archipelago", "--test", "node"]);
        command.args(["--", "--nocapture", "--test-threads=1", "drill::"]);
        command.env("NODE_KILLS", self.kills.to_string());
        if let Some(seed) = self.seed {
            command.env("NODE_SEED", seed.to_string());
        }
        command::run(&mut command)?;
        Ok(Outcome::Passed)
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
