//! The whole benchmark.

use anyhow::{Context, Result, bail};
use archipelago_guest::Release;
use clap::Args;

use super::contender::Contender;
use super::rig;
use crate::cell::{Caching, Cell};
use crate::guest::Side;
use crate::{guest, programs};

#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    common: guest::Options,
    /// This contender and no other; may be given several times. Those of us that are not `archipelago` only come if they are named
    #[arg(long, value_name = "NAME", value_enum)]
    contender: Vec<Contender>,
    /// In the newest kernel that Debian has, instead of Debian 12's: its driver can do without copies
    #[arg(long)]
    newest: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let common = &options.common;
    Cell::must_be_chosen(&common.cell)?;
    let contenders = programs::chosen(&Contender::USUAL, &options.contender, Contender::program);
    if contenders.is_empty() {
        bail!("there is nobody to measure");
    }
    let scratch = tempfile::Builder::new()
        .prefix("bench-ublk-")
        .tempdir_in(&common.directory)
        .with_context(|| format!("in {}", common.directory.display()))?;
    let disks_mib = common.size_mib * (contenders.len() * Caching::ALL.len()) as u64;
    eprintln!("a guest is started");
    let release = match options.newest {
        true => Release::Newest,
        false => Release::Usual,
    };
    let profile = common.profile;
    let mut shell = rig::start(scratch.path(), disks_mib, &contenders, profile, release)?;
    let mut disks = Vec::new();
    for caching in Caching::ALL {
        if Cell::chosen(&common.cell, caching).is_empty() {
            continue;
        }
        if contenders.iter().any(|one| one.program().is_none()) {
            rig::start_node(&mut shell, caching)?;
        }
        for &contender in &contenders {
            let is_copied = contender == Contender::Copied;
            if is_copied {
                rig::set_zero_copy(&mut shell, caching, false)?;
            }
            let disk = rig::disk(&mut shell, contender, caching, common.size_mib)?;
            if is_copied {
                rig::set_zero_copy(&mut shell, caching, true)?;
            }
            disks.push(disk);
        }
    }
    let tallies = guest::measure(common, &mut shell, &disks)?;
    let ours = disks
        .iter()
        .filter(|disk| disk.contender.side != Side::Rival);
    for disk in ours.filter(|_| common.profile) {
        guest::profile::print_of_guest(common, &mut shell, disk)?;
    }
    guest::print("ublk", &tallies, common.json)
}
