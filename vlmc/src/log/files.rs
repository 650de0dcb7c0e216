//! The log files of a node that are no role's.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::config::Config;

/// What a host says that belongs to none of its roles, and its last words.
pub fn host_file(config: &Config, host: &str) -> PathBuf {
    config.log_dir.join(host_file_name(host))
}

pub fn host_file_name(host: &str) -> String {
    format!("host-{host}.log")
}

pub fn supervisor_file(config: &Config) -> PathBuf {
    config.log_dir.join("supervisor.log")
}

/// A log file, to be written at its end. A pipe that nobody reads is refused rather than waited for.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options.open(path)
}
