//! All cells, one after the other.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use archipelago_ceph::ClusterOptions;
use clap::Args;

use super::contender::Contender;
use super::report::{Tallies, name, print};
use super::rig::{Disk, POOLS};
use crate::cell::{LOADS, Load};
use crate::profile::Profile;

#[derive(Args, Debug)]
pub struct Options {
    /// How long each load is measured, each time
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// How often each contender is measured in each cell
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    repetitions: u64,
    /// Size of each contender's disk, which is written in full first
    #[arg(long, default_value_t = 256, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=2048))]
    size_mib: u64,
    /// Only cells whose name has this in it, e.g. `randread-4k-q1`, `q32`; may be given several times
    #[arg(long, value_name = "TEXT")]
    cell: Vec<String>,
    /// Only this contender; may be given several times
    #[arg(long, value_name = "NAME", value_enum)]
    contender: Vec<Contender>,
    /// Where the cluster lies
    #[arg(long, default_value = "/tmp", value_name = "DIRECTORY")]
    directory: PathBuf,
    /// Tells where the time of ours goes, too, by perf, in one more run of each cell
    #[arg(long)]
    profile: bool,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

impl Options {
    fn loads(&self) -> Result<Vec<Load>> {
        let is_chosen = |load: &Load| {
            let name = name(*load);
            self.cell.is_empty() || self.cell.iter().any(|text| name.contains(text))
        };
        let loads: Vec<Load> = LOADS.into_iter().filter(is_chosen).collect();
        if loads.is_empty() {
            bail!(
                "no cell has {:?} in its name; there are e.g. randread-4k-q1, write-1m-q8",
                self.cell
            );
        }
        Ok(loads)
    }
}

pub fn run(options: &Options) -> Result<()> {
    let loads = options.loads()?;
    let scratch = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&options.directory)
        .with_context(|| format!("in {}", options.directory.display()))?;
    eprintln!("a cluster is started");
    let cluster = ClusterOptions {
        directory: Some(scratch.path().join("ceph")),
        ..ClusterOptions::default()
    };
    let cluster = cluster.start()?;
    POOLS
        .iter()
        .try_for_each(|pool| cluster.create_pool(pool))?;
    let is_named = |one: &Contender| options.contender.contains(one);
    let mut disks = Vec::new();
    for contender in Contender::ALL {
        if !options.contender.is_empty() && !is_named(&contender) {
            continue;
        }
        eprintln!("{contender} is started and its disk written");
        match Disk::of(contender, &cluster, scratch.path(), options.size_mib) {
            Ok(disk) => {
                disk.target.fill(scratch.path())?;
                disks.push(disk);
            }
            // What this machine does not have is left out, unless somebody wants it.
            Err(error) if contender == Contender::QemuRbd && !is_named(&contender) => {
                eprintln!("left out: {contender}: {error:#}");
            }
            Err(error) => return Err(error.context(format!("{contender} does not start"))),
        }
    }
    let mut tallies = Tallies::new();
    for repetition in 0..options.repetitions {
        for &load in &loads {
            eprintln!("repetition {}: {}", repetition + 1, name(load));
            for turn in 0..disks.len() {
                let disk = &disks[(turn + repetition as usize) % disks.len()];
                let measured =
                    disk.target
                        .measure(load, options.seconds, repetition, scratch.path());
                let outcome =
                    measured.with_context(|| format!("{}, {}", name(load), disk.contender))?;
                let tally = tallies.entry(load).or_default();
                tally.entry(disk.contender).or_default().push(outcome);
            }
        }
    }
    if options.profile {
        profile(options, &loads, &disks, scratch.path())?;
    }
    print(&tallies, options.json)
}

/// Where the node's time goes in each cell; the cluster's daemons have theirs.
fn profile(options: &Options, loads: &[Load], disks: &[Disk], directory: &Path) -> Result<()> {
    for disk in disks {
        let Some(processes) = disk.of_node()? else {
            continue;
        };
        for &load in loads {
            let profile = Profile::begin(&processes, directory)?;
            disk.target.measure(load, options.seconds, 0, directory)?;
            let places = profile.end()?;
            eprintln!(
                "where the time of {} goes, {}:\n{places}",
                disk.contender,
                name(load)
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_in_no_name_is_an_error() {
        let options = |text: &str| Options {
            seconds: 1,
            repetitions: 1,
            size_mib: 1,
            cell: vec![text.to_owned()],
            contender: Vec::new(),
            directory: PathBuf::new(),
            profile: false,
            json: false,
        };
        assert_eq!(options("q32").loads().unwrap().len(), 2);
        let error = options("q64").loads().unwrap_err();
        assert!(error.to_string().contains("q64"), "{error}");
    }
}
