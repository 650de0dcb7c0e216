//! Who holds the locks of a file: for the report about a port that could not be bound.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Prints the locks of the file at `path` as the kernel lists them, and the processes that have it open.
pub(super) fn show(path: &Path) {
    let Ok(file) = fs::metadata(path) else { return };
    let inode = format!(":{} ", file.ino());
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    for lock in locks.lines().filter(|lock| lock.contains(&inode)) {
        eprintln!("    lock {lock}");
    }
    let Ok(processes) = fs::read_dir("/proc") else {
        return;
    };
    for process in processes.flatten() {
        show_process(&process.path(), &inode);
    }
}

fn show_process(process: &Path, inode: &str) {
    let Ok(descriptors) = fs::read_dir(process.join("fdinfo")) else {
        return;
    };
    for descriptor in descriptors.flatten() {
        let info = fs::read_to_string(descriptor.path()).unwrap_or_default();
        for lock in info
            .lines()
            .filter(|line| line.starts_with("lock:") && line.contains(inode))
        {
            let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
            let stat: String = stat.chars().take(60).collect();
            eprintln!("    {} holds {lock} ({stat})", process.display());
        }
    }
}
