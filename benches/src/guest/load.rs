//! fio's command line for one load of several disks, one after the other, and what it answers.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::contender::Contender;
use super::disk::Disk;
use crate::cell::Load;
use crate::outcome::{Outcome, jobs};

/// Before it is measured.
const RAMP: &str = "250ms";

/// For a guest's shell. Each disk is at rest, and what was written to it durable, before the next has its turn.
pub fn command(load: Load, disks: &[&Disk], seconds: u64, seed: u64) -> String {
    let Load {
        pattern,
        block,
        depth,
    } = load;
    let mut command = format!(
        "cd /tmp && fio --output=/tmp/report --output-format=json --thread --ioengine=io_uring --direct=1 --norandommap \
         --rw={pattern} --bs={block} --iodepth={depth} --time_based --runtime={seconds} --ramp_time={RAMP} --randseed={}",
        seed + 1
    );
    for disk in disks {
        let (name, device) = (disk.contender.name, &disk.device);
        command += &format!(
            " --name={name} --stonewall --filename={device} '--exec_postrun=fsync {device}'"
        );
    }
    command + " && cat /tmp/report"
}

/// For a guest's shell: writes a disk in full.
pub fn fill_command(disk: &Disk) -> String {
    let device = &disk.device;
    format!(
        "fio --name=fill --filename={device} --ioengine=io_uring --direct=1 --rw=write --bs=1m --iodepth=8 --end_fsync=1"
    )
}

/// By contender.
pub fn outcomes(report: &str, load: Load, disks: &[&Disk]) -> Result<BTreeMap<Contender, Outcome>> {
    let jobs = jobs(report).with_context(|| format!("fio says something else: {report}"))?;
    let of = |disk: &&Disk| {
        let contender = disk.contender;
        let job = jobs.iter().find(|job| job["jobname"] == contender.name);
        let outcome = job.and_then(|job| Outcome::of(job, load));
        let outcome = outcome.with_context(|| format!("fio says nothing of {contender}: {report}"));
        Ok((contender, outcome?))
    };
    disks.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::contender::Side;
    use super::*;
    use crate::cell::{Caching, LOADS};

    fn disk(side: Side, name: &'static str) -> Disk {
        Disk {
            contender: Contender { side, name },
            caching: Caching::Direct,
            device: format!("/dev/{name}"),
        }
    }

    #[test]
    fn each_disk_has_its_turn_and_is_flushed_at_its_end() {
        let (a, b) = (disk(Side::Ours, "a"), disk(Side::Rival, "b"));
        let command = command(LOADS[1], &[&b, &a], 2, 0);
        assert!(command.contains("--rw=randread --bs=4k --iodepth=32"));
        let turns = " --name=b --stonewall --filename=/dev/b '--exec_postrun=fsync /dev/b' --name=a --stonewall";
        assert!(command.contains(turns), "{command}");
    }

    #[test]
    fn outcomes_are_known_by_the_names_of_their_disks() {
        let (a, b) = (disk(Side::Ours, "a"), disk(Side::Rival, "b"));
        let job = |name: &str, iops: u32| {
            format!(
                r#"{{"jobname": "{name}", "error": 0, "read": {{"total_ios": 9, "iops": {iops}, "bw_bytes": 1,
                "clat_ns": {{"percentile": {{"99.000000": 5000}}}}}}}}"#
            )
        };
        let report = format!(r#"{{"jobs": [{}, {}]}}"#, job("b", 7), job("a", 8));
        let outcomes = outcomes(&report, LOADS[0], &[&a, &b]).unwrap();
        assert_eq!(outcomes[&a.contender].iops, 8.0);
        assert_eq!(outcomes[&b.contender].iops, 7.0);
        let half = format!(r#"{{"jobs": [{}]}}"#, job("b", 7));
        let error = super::outcomes(&half, LOADS[0], &[&a, &b]).unwrap_err();
        assert!(error.to_string().starts_with("fio says nothing of a"));
    }
}
