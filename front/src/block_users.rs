//! Who uses a block device, as the kernel tells: mounts, swap, and other devices that are made of it or of its partitions.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A use that stands in the way of taking a device away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockUser {
    Mounted(PathBuf),
    Swap,
    /// A device that is made of it: a mapping, an array, a cache.
    Holder(String),
}

impl fmt::Display for BlockUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted(place) => write!(f, "mounted at {}", place.display()),
            Self::Swap => f.write_str("used as swap"),
            Self::Holder(name) => write!(f, "part of {name}"),
        }
    }
}

/// Where the kernel tells.
#[derive(Debug)]
struct Places<'a> {
    sys_block: &'a Path,
    mounts: &'a Path,
    swaps: &'a Path,
}

/// All that can be found of those who use a device or a partition of it. Mounts in other namespaces, and programs that hold
/// it for themselves, are not seen: [`crate::BlockClaim`] is what decides.
pub fn block_users(device: &Path) -> io::Result<Vec<BlockUser>> {
    let places = Places {
        sys_block: Path::new("/sys/block"),
        mounts: Path::new("/proc/self/mountinfo"),
        swaps: Path::new("/proc/swaps"),
    };
    places.users(device)
}

impl Places<'_> {
    fn users(&self, device: &Path) -> io::Result<Vec<BlockUser>> {
        let device = fs::canonicalize(device).unwrap_or_else(|_| device.to_owned());
        let name = device.file_name().unwrap_or_default().to_string_lossy();
        let directory = self.sys_block.join(&*name);
        let mut parts = vec![(name.clone().into_owned(), directory.clone())];
        for entry in names(&directory)? {
            let part = directory.join(&entry);
            if part.join("partition").exists() {
                parts.push((entry, part));
            }
        }
        let mounts = fs::read_to_string(self.mounts)?;
        let swaps = fs::read_to_string(self.swaps).unwrap_or_default(); // a kernel without swap
        let mut users = Vec::new();
        for (name, directory) in parts {
            let path = format!("/dev/{name}");
            let number = fs::read_to_string(directory.join("dev")).unwrap_or_default();
            let mounted = mounted(&mounts, number.trim(), &path);
            users.extend(mounted.into_iter().map(BlockUser::Mounted));
            if swaps
                .lines()
                .any(|line| line.split_whitespace().next() == Some(&path))
            {
                users.push(BlockUser::Swap);
            }
            let holders = names(&directory.join("holders")).unwrap_or_default();
            users.extend(holders.into_iter().map(BlockUser::Holder));
        }
        Ok(users)
    }
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// Where a device is mounted, by its number or, for file systems that have a number of their own, by its path.
fn mounted(mountinfo: &str, number: &str, path: &str) -> Vec<PathBuf> {
    let place = |line: &str| {
        let (mount, source) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(2);
        let (found, place) = (mount.next()?, mount.nth(1)?);
        let is_it =
            (found == number && !number.is_empty()) || source.split(' ').nth(1) == Some(path);
        is_it.then(|| PathBuf::from(unescaped(place)))
    };
    mountinfo.lines().filter_map(place).collect()
}

/// Blanks and the like stand there as octal numbers.
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain += before;
        let code = after
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        match code {
            Some(code) if code.is_ascii() => {
                plain.push(code.into());
                rest = &after[3..];
            }
            _ => {
                plain.push('\\');
                rest = after;
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_swap_and_holders_of_a_device_and_its_partitions_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("block/ublkb0/dev", "259:0\n");
        write("block/ublkb0/ublkb0p1/dev", "259:1\n");
        write("block/ublkb0/ublkb0p1/partition", "1\n");
        write("block/ublkb0/ublkb0p1/holders/dm-3/dev", "");
        write("block/ublkb0/queue/dev", "259:9\n");
        let mounts = "30 1 259:0 / /srv/with\\040blank rw - ext4 /dev/ublkb0 rw\n\
                      31 1 0:40 / /pool rw shared:1 - btrfs /dev/ublkb0p1 rw\n\
                      32 1 259:9 / /other rw - ext4 /dev/sda rw\n";
        write("mountinfo", mounts);
        write("swaps", "Filename Type\n/dev/ublkb0p1 partition\n");
        let places = Places {
            sys_block: &directory.path().join("block"),
            mounts: &directory.path().join("mountinfo"),
            swaps: &directory.path().join("swaps"),
        };
        let users = places.users(Path::new("/dev/ublkb0")).unwrap();
        let expected = [
            BlockUser::Mounted("/srv/with blank".into()),
            BlockUser::Mounted("/pool".into()),
            BlockUser::Swap,
            BlockUser::Holder("dm-3".to_owned()),
        ];
        assert_eq!(users, expected);
        assert_eq!(places.users(Path::new("/dev/ublkb1")).unwrap(), []);
    }

    #[test]
    fn lines_that_make_no_sense_are_passed_over() {
        assert!(mounted("nonsense\n1 2\n - \n", "1:2", "/dev/x").is_empty());
        assert_eq!(unescaped("a\\0"), "a\\0");
        assert_eq!(unescaped("a\\011b\\"), "a\tb\\");
    }
}
