//! A device that is slow on purpose: a loop device, throttled for the processes of one control group.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A loop device over a file. Let go of when dropped.
pub struct LoopDevice {
    path: PathBuf,
    backing: File,
    _directory: TempDir,
}

impl LoopDevice {
    /// An error says why, where there are no loop devices or we may not make one.
    pub fn new(bytes: u64) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = directory.path().join("disk");
        let backing = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&file)
            .map_err(|error| error.to_string())?;
        backing.set_len(bytes).map_err(|error| error.to_string())?;
        let made = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(&file)
            .output();
        let made = made.map_err(|error| format!("losetup: {error}"))?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).trim().to_owned());
        }
        let path = String::from_utf8_lossy(&made.stdout).trim().into();
        Ok(Self {
            path,
            backing,
            _directory: directory,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What lies below, written before anybody uses the device.
    pub fn prefill(&self, at: u64, len: u64, byte: u8) {
        self.backing
            .write_all_at(&vec![byte; len as usize], at)
            .unwrap();
        self.backing.sync_all().unwrap();
    }

    /// What lies below now.
    pub fn read(&self, at: u64, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        self.backing.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    /// Requests that the device has accepted and not finished.
    pub fn in_flight(&self) -> u64 {
        let name = self.path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(format!("/sys/block/{name}/inflight")).unwrap();
        text.split_ascii_whitespace()
            .map(|count| count.parse::<u64>().unwrap())
            .sum()
    }

    fn numbers(&self) -> String {
        let number = fs::metadata(&self.path).unwrap().rdev();
        format!(
            "{}:{}",
            rustix::fs::major(number),
            rustix::fs::minor(number)
        )
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Command::new("losetup")
            .arg("--detach")
            .arg(&self.path)
            .status();
    }
}

/// A control group whose processes are slow on one device. Removed when dropped.
pub struct Throttle {
    group: PathBuf,
}

impl Throttle {
    /// Fails, and says why, where control groups cannot throttle.
    pub fn new(device: &LoopDevice, bytes_a_second: u64) -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
        let mounted = |wanted: fn(&str, &str) -> bool| {
            mounts.lines().find_map(|line| {
                let fields: Vec<&str> = line.split(' ').collect();
                wanted(fields[2], fields[3]).then(|| PathBuf::from(fields[1]))
            })
        };
        let has_blkio = |kind: &str, options: &str| {
            kind == "cgroup" && options.split(',').any(|option| option == "blkio")
        };
        let device_name = device.path.file_name().unwrap().to_string_lossy();
        let name = format!("xseg-test-{}-{device_name}", std::process::id());
        let numbers = device.numbers();
        let made = if let Some(root) = mounted(has_blkio) {
            Self::make(root.join(name), |group| {
                let limit = format!("{numbers} {bytes_a_second}");
                fs::write(group.join("blkio.throttle.read_bps_device"), &limit)?;
                fs::write(group.join("blkio.throttle.write_bps_device"), &limit)
            })
        } else if let Some(root) = mounted(|kind, _| kind == "cgroup2") {
            let _ = fs::write(root.join("cgroup.subtree_control"), "+io");
            Self::make(root.join(name), |group| {
                let limit = format!("{numbers} rbps={bytes_a_second} wbps={bytes_a_second}");
                fs::write(group.join("io.max"), limit)
            })
        } else {
            return Err("no control group can throttle block devices".to_owned());
        };
        made.map_err(|error| format!("control group: {error}"))
    }

    fn make(group: PathBuf, limit: impl Fn(&Path) -> io::Result<()>) -> io::Result<Self> {
        fs::create_dir(&group)?;
        let made = Self { group };
        limit(&made.group)?;
        Ok(made)
    }

    pub fn add(&self, pid: u32) {
        fs::write(self.group.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        // The last process of the group may still be going.
        for _ in 0..500 {
            if fs::remove_dir(&self.group).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
