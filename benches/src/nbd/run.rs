//! All cells, one after the other.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::contender::Contender;
use super::measurement::Plan;
use super::report::{Tallies, print};
use super::server::Server;
use crate::cell::{Caching, Cell};
use crate::profile::Profile;
use crate::programs;

#[derive(Args, Debug)]
pub struct Options {
    /// How long each load is measured, each time
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// How long each load warms up before it is measured
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=3600))]
    ramp_seconds: u64,
    /// How often each contender is measured in each cell
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    repetitions: u64,
    /// Size of each contender's disk, which is written in full first
    #[arg(long, default_value_t = 1024, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    size_mib: u64,
    /// Only cells whose name has this in it, e.g. `randread-4k-q1-direct`, `q32`; may be given several times
    #[arg(long, value_name = "TEXT")]
    cell: Vec<String>,
    /// Only this contender; may be given several times
    #[arg(long, value_name = "NAME", value_enum)]
    contender: Vec<Contender>,
    /// One more setting of our nodes, e.g. `hosts.look_us = 0`; may be given several times
    #[arg(long, value_name = "SETTING")]
    setting: Vec<String>,
    /// Where the disks lie
    #[arg(long, default_value = "/tmp", value_name = "DIRECTORY")]
    directory: PathBuf,
    /// Counts system calls too, with perf, in one more run of each
    #[arg(long)]
    syscalls: bool,
    /// Tells where the time of ours goes, too, by perf, in one more run of each cell
    #[arg(long)]
    profile: bool,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<()> {
    Cell::must_be_chosen(&options.cell)?;
    let contenders = programs::chosen(&Contender::ALL, &options.contender, Contender::program);
    if contenders.is_empty() {
        bail!("there is nobody to measure");
    }
    let scratch = tempfile::Builder::new()
        .prefix("bench-nbd-")
        .tempdir_in(&options.directory)
        .with_context(|| format!("in {}", options.directory.display()))?;
    let mut tallies = Tallies::new();
    for caching in Caching::ALL {
        measure(options, &contenders, caching, scratch.path(), &mut tallies)?;
    }
    print(&tallies, options.json)
}

/// All loads of one way of caching.
fn measure(
    options: &Options,
    contenders: &[Contender],
    caching: Caching,
    directory: &Path,
    tallies: &mut Tallies,
) -> Result<()> {
    let cells = Cell::chosen(&options.cell, caching);
    if cells.is_empty() {
        return Ok(());
    }
    let mut servers = Vec::new();
    for contender in contenders {
        if let Some(why) = contender.lacks(caching) {
            eprintln!("left out of {caching:?}: {contender}: {why}");
            continue;
        }
        eprintln!("{caching:?}: {contender} is started and its disk written");
        servers.push(Server::start(
            *contender,
            caching,
            directory,
            options.size_mib,
            &options.setting,
        )?);
    }
    settle();
    let plan = |seed| Plan {
        directory,
        seconds: options.seconds,
        ramp_seconds: options.ramp_seconds,
        seed,
    };
    for repetition in 0..options.repetitions as usize {
        for &cell in &cells {
            eprintln!("repetition {}: {cell}", repetition + 1);
            for turn in 0..servers.len() {
                let server = &servers[(turn + repetition) % servers.len()];
                let measured = plan(repetition).measure(server, cell.load);
                let measured = measured.with_context(|| format!("{cell}, {}", server.contender))?;
                let tally = tallies.entry(cell).or_default();
                let tally = tally.entry(server.contender).or_default();
                tally.measurements.push(measured);
                settle();
            }
        }
    }
    if options.profile {
        let ours = servers.iter().filter(|server| !server.contender.is_rival());
        for (server, &cell) in ours.flat_map(|server| cells.iter().map(move |cell| (server, cell)))
        {
            let profile = Profile::begin(&server.processes, directory)?;
            plan(0).measure(server, cell.load)?;
            let places = profile.end()?;
            eprintln!(
                "where the time of {} goes, {cell}:\n{places}",
                server.contender
            );
        }
    }
    if options.syscalls {
        for cell in cells {
            eprintln!("system calls: {cell}");
            for server in &servers {
                let counted = plan(0).syscalls_per_io(server, cell.load)?;
                let tally = tallies.entry(cell).or_default();
                let tally = tally.entry(server.contender).or_default();
                tally.syscalls_per_io = Some(counted);
                settle();
            }
        }
    }
    Ok(())
}

/// What one has written is on the disk before the next begins.
fn settle() {
    rustix::fs::sync();
}
