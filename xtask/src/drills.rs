//! Benchmarks, crash drills and fuzzing: release builds of programs that live in `benches/` and `tests/`.
//!
//! Their options are their own: all that follows the name is handed on, `--help` included.

use std::ffi::OsString;

use anyhow::Result;
use archipelago_ceph::ClusterOptions;
use clap::{Args, Parser, ValueEnum};

use crate::ceph;
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
    /// Nodes that share a store: stopped, killed, their locks broken; what their clients saw is checked
    Nodes,
    /// The Ceph cluster under a node: daemons die and hang while verified I/O goes on
    Cluster,
}

/// Where the nodes of a drill keep their objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    /// In directories
    Directory,
    /// In a small Ceph cluster, which lives as long as the drill
    Ceph,
}

/// What is handed on to the drill of several nodes.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask crash nodes", bin_name = "cargo xtask crash nodes")]
struct NodesDrill {
    /// How often something is done to a node
    #[arg(long, default_value_t = 500)]
    rounds: u64,
    /// How many nodes there are
    #[arg(long, default_value_t = 3)]
    nodes: u64,
    /// Where the nodes keep their objects
    #[arg(long, value_enum, default_value_t = Store::Directory)]
    store: Store,
    /// Each node on a machine of its own, over a directory of an NFS server, within a guest
    #[arg(long, conflicts_with_all = ["store", "isolated"])]
    nfs: bool,
    /// Each role in a process of its own
    #[arg(long)]
    isolated: bool,
    /// Repeats the choices of a run
    #[arg(long)]
    seed: Option<u64>,
}

/// What is handed on to the drill of a node.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask crash node", bin_name = "cargo xtask crash node")]
struct NodeDrill {
    /// How often a host is killed under each load
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Where the nodes keep their objects
    #[arg(long, value_enum, default_value_t = Store::Directory)]
    store: Store,
    /// Repeats the choices of a run
    #[arg(long)]
    seed: Option<u64>,
}

/// What is handed on to the drill of a cluster.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask crash cluster",
    bin_name = "cargo xtask crash cluster"
)]
struct ClusterDrill {
    /// How long each trouble lasts
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Repeats the choices of a run
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Fuzz {
    /// What to feed
    subject: FuzzSubject,
    /// Handed on: segment: [--seconds N] [--seed S] [--json], nbd: [--cases N] [--seconds N] [--seed S]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FuzzSubject {
    /// The readers of a segment's bytes
    Segment,
    /// A vhost-user device: messages, rings, chains
    Vhost,
    /// What NBD clients say
    Nbd,
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
            CrashSubject::Nodes => {
                let name = OsString::from("cargo xtask crash nodes");
                NodesDrill::parse_from([&name].into_iter().chain(&self.args)).run()
            }
            CrashSubject::Cluster => {
                let name = OsString::from("cargo xtask crash cluster");
                ClusterDrill::parse_from([&name].into_iter().chain(&self.args)).run()
            }
        }
    }
}

impl NodeDrill {
    /// The tests of a node, with more kills; built like the tests, so that what they assert about themselves is checked.
    fn run(&self) -> Result<Outcome> {
        let kills = [("NODE_KILLS", Some(self.kills)), ("NODE_SEED", self.seed)];
        node_tests("drill::", self.store, &kills)
    }
}

impl NodesDrill {
    /// The test of several nodes, with more rounds.
    fn run(&self) -> Result<Outcome> {
        let rounds = [
            ("NODES_ROUNDS", Some(self.rounds)),
            ("NODES", Some(self.nodes)),
            ("NODES_ISOLATED", Some(u64::from(self.isolated))),
            ("NODE_SEED", self.seed),
        ];
        let filter = if self.nfs { "nfs::" } else { "nodes_storm::" };
        node_tests(filter, self.store, &rounds)
    }
}

impl ClusterDrill {
    /// The test of a cluster in trouble, with longer troubles; it has a cluster of its own.
    fn run(&self) -> Result<Outcome> {
        let troubles = [
            ("NODE_TROUBLE_SECONDS", Some(self.seconds)),
            ("NODE_SEED", self.seed),
        ];
        node_tests("ceph_trouble::", Store::Directory, &troubles)
    }
}

/// Tests of nodes, one at a time, on such a store, which are told these numbers.
fn node_tests(filter: &str, store: Store, numbers: &[(&str, Option<u64>)]) -> Result<Outcome> {
    prerequisites::ensure()?;
    let mut command = cargo(["test", "--package", "archipelago", "--test", "node"]);
    command.args(["--", "--nocapture", "--test-threads=1", filter]);
    for (name, number) in numbers {
        if let Some(number) = number {
            command.env(name, number.to_string());
        }
    }
    if store == Store::Directory {
        command::run(&mut command)?;
        return Ok(Outcome::Passed);
    }
    let cluster = ceph::for_nodes(&ClusterOptions::default())?;
    command.env("NODE_CEPH_CONF", cluster.conf());
    command::run(&mut command)?;
    Ok(Outcome::Passed)
}

impl Fuzz {
    /// What CI runs.
    pub fn short() -> Self {
        Self {
            subject: FuzzSubject::Segment,
            args: ["--seconds", "60"].map(OsString::from).to_vec(),
        }
    }

    /// The same of the device.
    pub fn short_vhost() -> Self {
        Self {
            subject: FuzzSubject::Vhost,
            args: ["--seconds", "60"].map(OsString::from).to_vec(),
        }
    }

    /// What CI runs of NBD: a million cases.
    pub fn clients() -> Self {
        Self {
            subject: FuzzSubject::Nbd,
            args: Vec::new(),
        }
    }

    pub fn run(&self) -> Result<Outcome> {
        let program = match self.subject {
            FuzzSubject::Segment => "fuzz-segment",
            FuzzSubject::Vhost => "fuzz-vhost",
            FuzzSubject::Nbd => "fuzz-nbd",
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
