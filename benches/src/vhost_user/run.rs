//! The whole benchmark.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::contender::Contender;
use super::rig::{QUEUES, Server, THREAD};
use crate::cell::{Caching, Cell};
use crate::guest::{Disk, Shell, in_guest};
use crate::profile::Profile;
use crate::{guest, programs};

#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    common: guest::Options,
    /// This contender and no other; may be given several times. Those of us that are not `archipelago` only come if they are named
    #[arg(long, value_name = "NAME", value_enum)]
    contender: Vec<Contender>,
}

pub fn run(options: &Options) -> Result<()> {
    let common = &options.common;
    Cell::must_be_chosen(&common.cell)?;
    let contenders = programs::chosen(&Contender::USUAL, &options.contender, Contender::program);
    if contenders.is_empty() {
        bail!("there is nobody to measure");
    }
    let scratch = tempfile::Builder::new()
        .prefix("bench-vhost-user-")
        .tempdir_in(&common.directory)
        .with_context(|| format!("in {}", common.directory.display()))?;
    let mut servers = Vec::new();
    for caching in Caching::ALL {
        if Cell::chosen(&common.cell, caching).is_empty() {
            continue;
        }
        for &contender in &contenders {
            eprintln!("{caching:?}: {contender} is started");
            let server = Server::start(contender, caching, scratch.path(), common.size_mib)?;
            servers.push(server);
        }
    }
    let mut shell = start_guest(&servers)?;
    let disks = disks(&servers);
    let tallies = guest::measure(common, &mut shell, &disks)?;
    if common.profile {
        for (server, disk) in servers.iter().zip(&disks) {
            profile(common, &mut shell, server, disk, scratch.path())?;
        }
    }
    drop(shell); // before its servers
    guest::print("vhost-user", &tallies, common.json)
}

/// Nothing of those who are no node of ours.
fn profile(
    options: &guest::Options,
    shell: &mut Shell,
    server: &Server,
    disk: &Disk,
    directory: &Path,
) -> Result<()> {
    let processes = server.processes()?;
    if processes.is_empty() {
        return Ok(());
    }
    for (cell, command) in guest::profile::loads(options, disk) {
        let profile = Profile::begin(&processes, directory)?;
        shell.run(&command)?;
        guest::profile::print(disk, cell, &profile.end()?);
    }
    Ok(())
}

fn start_guest(servers: &[Server]) -> Result<Shell> {
    let guest = in_guest()
        .processors(QUEUES)
        .qemu_argument("-object")
        .qemu_argument(&format!("iothread,id={THREAD}"));
    let drives = servers.iter().map(Server::drive);
    Shell::start(&drives.fold(guest, archipelago_guest::Guest::drive))
}

/// Drives have their names in the order in which the guest was given them.
fn disks(servers: &[Server]) -> Vec<Disk> {
    let disk = |(server, letter): (&Server, char)| Disk {
        contender: server.contender.in_guest(),
        caching: server.caching,
        device: format!("/dev/vd{letter}"),
    };
    servers.iter().zip('a'..='z').map(disk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::options_of;

    #[test]
    fn a_guest_has_the_drives_of_the_rivals_and_measures_them() {
        let directory = tempfile::tempdir().unwrap();
        let rivals = [
            Contender::StorageDaemon,
            Contender::Virtio,
            Contender::QemuNbd,
        ];
        let servers = rivals.map(|one| {
            let server = Server::start(one, Caching::Direct, directory.path(), 16);
            server.unwrap()
        });
        let mut shell = start_guest(&servers).unwrap();
        let sizes = shell.run("cat /sys/block/vd[abc]/size").unwrap();
        assert_eq!(sizes, "32768\n32768\n32768\n");
        let options = options_of("write-1m-q8");
        let tallies = guest::measure(&options, &mut shell, &disks(&servers)).unwrap();
        let tally = tallies.values().next().unwrap();
        assert_eq!((tallies.len(), tally.len()), (1, 3));
        assert!(tally.values().flatten().all(|one| one.iops > 0.0));
    }
}
