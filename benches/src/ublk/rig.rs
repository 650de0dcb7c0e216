//! A guest with the devices of all contenders.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use archipelago_guest::{Drive, Release};

use super::contender::Contender;
use crate::cell::Caching;
use crate::guest::{Disk, Shell, in_guest};
use crate::programs::own_directory;

/// For two nodes with segments of the usual size, and what is cached.
const MEMORY_MIB: u32 = 3072;

/// Of the guest's disk: the file system's own, and what is written to volumes again.
const DISK_SPARE_MIB: u64 = 2048;

/// A guest, with a file below a directory as its disk.
pub fn start(
    directory: &Path,
    disk_mib: u64,
    contenders: &[Contender],
    with_perf: bool,
    release: Release,
) -> Result<Shell> {
    let disk = directory.join("disk");
    let disk_bytes = (disk_mib + DISK_SPARE_MIB) << 20;
    File::create(&disk)?.set_len(disk_bytes)?;
    let mut guest = in_guest()
        .release(release)
        .memory_mib(MEMORY_MIB)
        .program("mkfs.ext4")
        .module("ext4")
        .module("ublk_drv")
        .module("loop")
        .module_with("nbd", "nbds_max=8")
        .drive(Drive::raw(&disk));
    for caching in Caching::ALL {
        guest = guest.file(&config_path(caching), config(caching));
    }
    if with_perf {
        guest = guest.program("perf");
    }
    for contender in contenders {
        if let Some((program, _)) = contender.program() {
            guest = guest.program(program);
        } else {
            let ours = own_directory()?;
            guest = guest.program(ours.join("archipelago"));
            guest = guest.program(ours.join("vlmc"));
        }
    }
    let mut shell = Shell::start(&guest)?;
    shell.run(
        "mkdir -p /store /var/lock && mkfs.ext4 -q /dev/vda && mount -t ext4 /dev/vda /store",
    )?;
    Ok(shell)
}

/// The node of a way of caching, for all of ours.
pub fn start_node(shell: &mut Shell, caching: Caching) -> Result<()> {
    let config = config_path(caching);
    let name = name(caching);
    let start = format!(
        "mkdir /store/{name} && archipelago --config {config} start || {{ tail -n 40 /store/{name}/log/*; exit 1; }}"
    );
    shell.run(&start).map(drop)
}

/// For devices that are made from now on: those that are there stay as they are.
pub fn set_zero_copy(shell: &mut Shell, caching: Caching, zero_copy: bool) -> Result<()> {
    let config = config_path(caching);
    let set = format!(
        "sed -i 's/^ublk.zero_copy.*/ublk.zero_copy = {zero_copy}/' {config} && archipelago --config {config} restart >&2"
    );
    shell.run(&set).map(drop)
}

/// Makes the device of a contender.
pub fn disk(
    shell: &mut Shell,
    contender: Contender,
    caching: Caching,
    size_mib: u64,
) -> Result<Disk> {
    let name = name(caching);
    let config = config_path(caching);
    let of_node = |kind: &str| {
        let vlmc = format!("vlmc --config {config}");
        let volume = format!("{name}-{contender}");
        format!(
            "{vlmc} create {volume} --size={size_mib}M >&2 && {vlmc} map {volume} --type {kind}"
        )
    };
    let file = format!("/store/{contender}-{name}");
    let make = format!("truncate -s {size_mib}M {file}");
    let is_direct = caching == Caching::Direct;
    let command = match contender {
        Contender::Archipelago | Contender::Copied => of_node("ublk"),
        Contender::KernelNbd => of_node("nbd"),
        Contender::Loop => {
            let direct = if is_direct { "on" } else { "off" };
            format!("{make} && losetup --find --show --direct-io={direct} {file}")
        }
        Contender::QemuNbd => {
            // Far from those that a node takes, which begins with the first.
            let (cache, device) = if is_direct {
                ("none", "nbd7")
            } else {
                ("writeback", "nbd6")
            };
            format!(
                "{make} && qemu-nbd --connect=/dev/{device} --format=raw --aio=io_uring --cache={cache} --discard=unmap {file} \
                 && until [ $(cat /sys/block/{device}/size) -gt 0 ]; do sleep 0.1; done && echo /dev/{device}"
            )
        }
    };
    let said = shell
        .run(&command)
        .with_context(|| format!("{contender} does not start"))?;
    let device = said.lines().find(|line| line.starts_with("/dev/"));
    let device = device.with_context(|| format!("{contender} has no device: {said}"))?;
    Ok(Disk {
        contender: contender.in_guest(),
        caching,
        device: device.to_owned(),
    })
}

fn name(caching: Caching) -> &'static str {
    match caching {
        Caching::Buffered => "buffered",
        Caching::Direct => "direct",
    }
}

fn config_path(caching: Caching) -> String {
    format!("/etc/archipelago/{}.toml", name(caching))
}

fn config(caching: Caching) -> String {
    let name = name(caching);
    let is_direct = caching == Caching::Direct;
    format!(
        "run_dir = \"/run/{name}\"\nlog_dir = \"/store/{name}/log\"\nstate_dir = \"/store/{name}/state\"\n\
         segment.name = \"{name}\"\nrole.blockerb.archip_dir = \"/store/{name}/blocks\"\n\
         role.blockerb.direct = {is_direct}\nrole.blockerm.archip_dir = \"/store/{name}/maps\"\n\
         ublk.zero_copy = true\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Cell;
    use crate::guest::{measure, options_of};

    #[test]
    fn a_guest_has_the_devices_of_the_rivals_and_measures_them() {
        let directory = tempfile::tempdir().unwrap();
        let rivals = [Contender::Loop, Contender::QemuNbd];
        let mut shell = start(directory.path(), 64, &rivals, false, Release::Usual).unwrap();
        let disks = rivals.map(|one| disk(&mut shell, one, Caching::Direct, 16).unwrap());
        assert_eq!(disks[0].device, "/dev/loop0");
        let is_direct = shell.run("cat /sys/block/loop0/loop/dio").unwrap();
        assert_eq!(is_direct, "1\n");
        let options = options_of("randwrite-4k-q1");
        let tallies = measure(&options, &mut shell, &disks).unwrap();
        let cells: Vec<Cell> = tallies.keys().copied().collect();
        assert_eq!(cells, Cell::chosen(&options.cell, Caching::Direct));
        let tally = &tallies[&cells[0]];
        assert_eq!(tally.len(), 2);
        assert!(tally.values().flatten().all(|one| one.iops > 0.0));
    }
}
