//! The lives of two volumes, in turn.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::table::{Row, print};
use crate::node::Node;

const SMALL_BYTES: u64 = 1 << 30;
const LARGE_BYTES: u64 = 1 << 50;

#[derive(Args, Debug)]
pub struct Options {
    /// How often each volume goes through its life
    #[arg(long, default_value_t = 25)]
    rounds: usize,
    /// Where the store lies
    #[arg(long, default_value = "/tmp", value_name = "DIRECTORY")]
    directory: PathBuf,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

const STEPS: [&str; 6] = ["create", "write", "snapshot", "clone", "list", "remove"];

pub fn run(options: &Options) -> Result<()> {
    let node = Node::start(&options.directory, &[])?;
    let mut times: Vec<[Vec<Duration>; 2]> =
        STEPS.iter().map(|_| [Vec::new(), Vec::new()]).collect();
    // The first life of each warms up.
    for round in 0..=options.rounds {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for size in order {
            let bytes = [SMALL_BYTES, LARGE_BYTES][size];
            let taken = live(&node, ["small", "large"][size], bytes)?;
            if round > 0 {
                for (all, took) in times.iter_mut().zip(taken) {
                    all[size].push(took);
                }
            }
        }
    }
    let rows: Vec<Row> = STEPS
        .iter()
        .zip(times)
        .map(|(step, [small, large])| Row::of(step, small, large))
        .collect();
    print(&rows, options.json);
    Ok(())
}

/// One life, and how long each step took.
fn live(node: &Node, name: &str, bytes: u64) -> Result<[Duration; 6]> {
    let size = format!("--size={}G", bytes >> 30);
    let (snapshot, clone) = (format!("{name}-snapshot"), format!("{name}-clone"));
    let create = node.time("vlmc", &["create", name, &size])?;
    let write = node.write_at_end(name, bytes)?;
    let snap = node.time("vlmc", &["snapshot", name, &snapshot])?;
    let cloned = node.time("vlmc", &["create", &clone, "--snap", &snapshot])?;
    let list = node.time("vlmc", &["list"])?;
    let remove = node.time("vlmc", &["remove", &clone])?;
    node.time("vlmc", &["remove", &snapshot])?;
    node.time("vlmc", &["remove", name])?;
    Ok([create, write, snap, cloned, list, remove])
}
