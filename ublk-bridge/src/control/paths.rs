//! Where devices are.

use std::io;
use std::path::{Path, PathBuf};

/// What the kernel and its programs use.
pub fn block_path(number: u32) -> PathBuf {
    format!("/dev/ublkb{number}").into()
}

/// What its server uses.
pub fn character_path(number: u32) -> PathBuf {
    format!("/dev/ublkc{number}").into()
}

/// The numbers of all devices that there are, whoever added them.
pub fn list() -> io::Result<Vec<u32>> {
    list_in(Path::new("/sys/class/ublk-char"))
}

fn list_in(directory: &Path) -> io::Result<Vec<u32>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()), // no driver, no devices
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("ublkc"));
        numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_listed_by_their_numbers_and_without_a_driver_there_are_none() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["ublkc10", "ublkc2", "ublkcx", "other"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        assert_eq!(list_in(directory.path()).unwrap(), [2, 10]);
        let missing = directory.path().join("missing");
        assert_eq!(list_in(&missing).unwrap(), Vec::<u32>::new());
    }
}
