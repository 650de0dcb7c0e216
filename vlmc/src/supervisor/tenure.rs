//! The time from one moment at which no host of a node lives to the next, by a number that is never used again.
//!
//! Hosts tell stores that can fence (RADOS) in which tenure they begin: what was fenced in it does not begin in it again, for who
//! outlived it may believe what is not so any more.
//!
//! # Invariants
//! * **TENURE-1** The number changes only while no host lives: all hosts that live at one time have begun in one tenure.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;

use rustix::rand::{GetRandomFlags, getrandom};

use super::run_dir::RunDir;

/// With this a host ends whose deployment was fenced in this tenure.
pub const FENCED_EXIT_CODE: i32 = 79;

/// To be called by the holder of the gate, and while no host lives.
pub(super) fn begin(run_dir: &RunDir) -> io::Result<()> {
    let mut number = [0; 16];
    getrandom(&mut number, GetRandomFlags::empty())?;
    let (number, before) = (u128::from_le_bytes(number), tenure(run_dir));
    let (file, new) = (run_dir.tenure(), run_dir.tenure().with_extension("new"));
    fs::write(&new, format!("{number:032x}\n{before:032x}\n"))?;
    // Hosts may be somebody else's.
    fs::set_permissions(&new, fs::Permissions::from_mode(0o644))?;
    fs::rename(new, file)
}

/// The number, for a host; 0 if its run directory was taken from under it.
pub fn tenure(run_dir: &RunDir) -> u128 {
    line(run_dir, 0)
}

/// The one before, of which no host lives; 0 if nobody remembers one, as after a boot.
pub fn tenure_before(run_dir: &RunDir) -> u128 {
    line(run_dir, 1)
}

fn line(run_dir: &RunDir, number: usize) -> u128 {
    let text = fs::read_to_string(run_dir.tenure()).unwrap_or_default();
    let line = text.lines().nth(number).unwrap_or_default();
    u128::from_str_radix(line, 16).unwrap_or(0)
}
