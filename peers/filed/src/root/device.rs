//! What the device beneath a file system wants.

use std::path::Path;

use rustix::fs::{major, minor};

/// Does the device, or the one that it is a part of, want that nothing changes while it is written? Who does not tell does.
pub(super) fn wants_it_still(device: u64) -> bool {
    is_told_to_want_it(Path::new("/sys/dev/block"), device)
}

fn is_told_to_want_it(devices: &Path, device: u64) -> bool {
    let own = devices.join(format!("{}:{}", major(device), minor(device)));
    // A part has no queue of its own: it lies in the directory of its whole.
    let told = ["queue", "../queue"].map(|queue| {
        let path = own.join(queue).join("stable_writes");
        std::fs::read_to_string(path).ok()
    });
    let told = told.into_iter().flatten().next();
    told.is_none_or(|told| told.trim() != "0")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends with what went wrong")]

    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::makedev;

    use super::*;

    /// Devices as the kernel shows them: a disk, a part of it, and one that tells nothing.
    fn kernel(stable_writes: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("devices/disk/queue")).unwrap();
        fs::create_dir_all(at("devices/disk/part1")).unwrap();
        fs::create_dir_all(at("devices/other/queue")).unwrap();
        fs::create_dir_all(at("block")).unwrap();
        fs::write(at("devices/disk/queue/stable_writes"), stable_writes).unwrap();
        symlink("../devices/disk", at("block/8:0")).unwrap();
        symlink("../devices/disk/part1", at("block/8:1")).unwrap();
        symlink("../devices/other", at("block/8:16")).unwrap();
        root
    }

    fn wants(told: &str, minor: u32) -> bool {
        let root = kernel(told);
        is_told_to_want_it(&root.path().join("block"), makedev(8, minor))
    }

    #[test]
    fn a_disk_and_its_parts_want_what_the_disk_says() {
        for minor in [0, 1] {
            assert!(!wants("0\n", minor));
            assert!(wants("1\n", minor));
            assert!(wants("", minor));
        }
    }

    #[test]
    fn who_tells_nothing_wants_it() {
        assert!(wants("0\n", 16));
        assert!(wants("0\n", 99));
    }
}
