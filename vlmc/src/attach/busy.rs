//! Does anybody use a block device of the kernel? Asked before it is taken away.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use archipelago_front::{BlockClaim, ClaimError};
use archipelago_protocol::ErrorCode;
use rustix::fs::{major, makedev, minor};
use rustix::io::Errno;

use crate::cli::ErrorReport;

const SYS: &str = "/sys";
/// How long those are waited for who have a device open.
const GRACE: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Refuses while somebody uses it: who mounts it, has put it into another device, or has it open. Nobody mounts it while the claim
/// is held. `None`: there is no such device any more.
pub(super) fn claim(device: &str) -> Result<Option<BlockClaim>, ErrorReport> {
    let path = Path::new(device);
    if !path.exists() {
        return Ok(None);
    }
    let busy = |message: String| {
        ErrorReport::new(
            ErrorCode::Busy,
            message,
            "unmount it, or stop the programs that use it; `lsblk` and `fuser` tell more",
        )
    };
    if let Some(pid) = still_opened_by(path) {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let message = format!(
            "{device} is in use: process {pid} ({}) has it open",
            name.trim()
        );
        return Err(busy(message));
    }
    if let Some((part, held)) = loop_device_on(path) {
        let message = format!("{device} is in use: {held} is a loop device upon {part}");
        return Err(busy(message));
    }
    match BlockClaim::take(path) {
        Ok(claim) => Ok(Some(claim)),
        Err(error @ ClaimError::InUse { .. }) => Err(busy(error.to_string())),
        // One that has no size opens to nobody: nobody has it open.
        Err(ClaimError::Open { source, .. }) if is_absent(&source) => Ok(None),
        Err(error) => Err(ErrorReport::new(
            ErrorCode::Failed,
            format!("it cannot be told whether {device} is in use: {error}"),
            "",
        )),
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    let absent = [Errno::NXIO, Errno::NODEV, Errno::NOMEDIUM, Errno::NOENT];
    let errno = error.raw_os_error();
    absent
        .iter()
        .any(|absent| errno == Some(absent.raw_os_error()))
}

/// Whoever looks at each device that changes (udev) is gone in a moment.
fn still_opened_by(device: &Path) -> Option<u32> {
    let begun = Instant::now();
    loop {
        let pid = opened_by(device)?;
        if begun.elapsed() > GRACE {
            return Some(pid);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// A program that has it, or a partition of it, open without claiming it: what it writes is lost as well. Those that we may not look
/// into are passed over.
fn opened_by(device: &Path) -> Option<u32> {
    let numbers = numbers(Path::new(SYS), number_of(device)?);
    let own = std::process::id();
    let processes = fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let descriptors = fs::read_dir(process.path().join("fd")).ok()?;
        let is_it = |target: PathBuf| {
            // Only then it is looked at: others may lie on a file system that does not answer.
            let target = target.starts_with("/dev").then(|| number_of(&target));
            target.flatten().is_some_and(|it| numbers.contains(&it))
        };
        let has_it = descriptors
            .flatten()
            .any(|descriptor| fs::read_link(descriptor.path()).is_ok_and(is_it));
        (has_it && pid != own).then_some(pid)
    })
}

/// The kernel itself has it open for a loop device: what of it, and which one. No process, and no claim, shows that.
fn loop_device_on(device: &Path) -> Option<(String, String)> {
    let numbers = numbers(Path::new(SYS), number_of(device)?);
    let below = loop_devices(Path::new(SYS)).into_iter();
    let mut below = below.filter(|(_, file)| file.starts_with("/dev"));
    below.find_map(|(held, file)| {
        let is_it = number_of(&file).is_some_and(|it| numbers.contains(&it));
        is_it.then(|| (file.display().to_string(), held))
    })
}

/// Loop devices, and what is below them.
fn loop_devices(sys: &Path) -> Vec<(String, PathBuf)> {
    let devices = fs::read_dir(sys.join("block")).into_iter().flatten();
    let below = devices.flatten().filter_map(|device| {
        let file = fs::read_to_string(device.path().join("loop/backing_file")).ok()?;
        let name = device.file_name().into_string().ok()?;
        Some((format!("/dev/{name}"), PathBuf::from(file.trim_end())))
    });
    below.collect()
}

/// A block device's number; `None`: it is none.
fn number_of(path: &Path) -> Option<u64> {
    let about = fs::metadata(path).ok()?;
    about.file_type().is_block_device().then(|| about.rdev())
}

/// The numbers of a disk and of its partitions.
fn numbers(sys: &Path, disk: u64) -> Vec<u64> {
    let name = format!("{}:{}", major(disk), minor(disk));
    let parts = fs::read_dir(sys.join("dev/block").join(name));
    let parts = parts.into_iter().flatten().flatten();
    let partitions = parts.filter(|part| part.path().join("partition").exists());
    let number = |part: fs::DirEntry| {
        let text = fs::read_to_string(part.path().join("dev")).ok()?;
        let (major, minor) = text.trim().split_once(':')?;
        Some(makedev(major.parse().ok()?, minor.parse().ok()?))
    };
    let mut numbers = vec![disk];
    numbers.extend(partitions.filter_map(number));
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_gone_is_used_by_nobody() {
        assert!(claim("/dev/none-at-all").expect("not there").is_none());
    }

    /// ATTACHMENT-2
    #[test]
    fn who_has_a_partition_or_a_loop_device_has_the_disk() {
        let sys = tempfile::tempdir().expect("a directory");
        let sys = sys.path();
        let disk = sys.join("dev/block/259:3");
        for (part, number) in [("ublkb0p1", "259:4"), ("ublkb0p300", "259:1048575")] {
            fs::create_dir_all(disk.join(part)).expect("made");
            fs::write(disk.join(part).join("partition"), "1\n").expect("written");
            fs::write(disk.join(part).join("dev"), format!("{number}\n")).expect("written");
        }
        fs::create_dir_all(disk.join("queue")).expect("made");
        let mut found = numbers(sys, makedev(259, 3));
        found.sort_unstable();
        let expected = [3, 4, 1_048_575].map(|minor| makedev(259, minor));
        assert_eq!(found, expected);
        assert_eq!(numbers(sys, makedev(7, 0)), [makedev(7, 0)]);
        for name in ["loop0", "loop1", "vda"] {
            fs::create_dir_all(sys.join("block").join(name)).expect("made");
        }
        let upon = sys.join("block/loop1/loop");
        fs::create_dir_all(&upon).expect("made");
        fs::write(upon.join("backing_file"), "/dev/ublkb0p1\n").expect("written");
        let loops = loop_devices(sys);
        assert_eq!(loops, [("/dev/loop1".into(), "/dev/ublkb0p1".into())]);
    }
}
