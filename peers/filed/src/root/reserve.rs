//! Space that is kept back for the time when the file system is full (D5).
//!
//! # Invariants
//! * **RESERVE-1** What a full file system refuses is given a part of the reserve and done again; only when nothing is left is
//!   it refused: removing, unlocking and collecting need a little space before they give any back.
//! * **RESERVE-2** The reserve is filled again only where there is much more space than it takes.

use std::os::fd::OwnedFd;

use rustix::fs::{FallocateFlags, OFlags, fallocate, fstat, fstatvfs, ftruncate};
use rustix::io::{Errno, retry_on_intr};

use super::beneath::Directory;

const NAME: &str = "reserve";
/// What is given at a time: more than any single step of a removal takes.
const PART_BYTES: u64 = 512 << 10;
/// No more than one in so many bytes of a file system is kept back.
const SHARE: u64 = 16;
/// There must be so much more space than is still missing (RESERVE-2).
const PLENTY: u64 = 8;

/// A file that is nothing but its space.
#[derive(Debug)]
pub(crate) struct Reserve {
    file: OwnedFd,
    wanted_bytes: u64,
}

impl Reserve {
    /// Opens the reserve of a store, and fills it if it can be filled now.
    pub fn open(top: &Directory, bytes_max: u64) -> Result<Self, Errno> {
        let file = match top.create_file(NAME, OFlags::RDWR) {
            Err(Errno::EXIST) => top.open_file(NAME, OFlags::RDWR)?,
            made => made?,
        };
        let system = fstatvfs(&file)?;
        let share = system.f_blocks.saturating_mul(system.f_frsize) / SHARE;
        let reserve = Self {
            file,
            wanted_bytes: bytes_max.min(share),
        };
        reserve.fill()?;
        Ok(reserve)
    }

    fn size_bytes(&self) -> Result<u64, Errno> {
        Ok(u64::try_from(fstat(&self.file)?.st_size).unwrap_or(0))
    }

    /// Gives a part back to the file system. Tells whether there was any.
    pub fn give(&self) -> Result<bool, Errno> {
        let size = self.size_bytes()?;
        let left = size.saturating_sub(PART_BYTES);
        retry_on_intr(|| ftruncate(&self.file, left))?;
        Ok(size > 0)
    }

    /// Fills it if there is plenty of space. Tells whether it is full.
    pub fn fill(&self) -> Result<bool, Errno> {
        let size = self.size_bytes()?;
        let Some(missing) = self.wanted_bytes.checked_sub(size).filter(|more| *more > 0) else {
            return Ok(true);
        };
        let system = fstatvfs(&self.file)?;
        if system.f_bavail.saturating_mul(system.f_frsize) < missing.saturating_mul(PLENTY) {
            return Ok(false); // RESERVE-2
        }
        let all = || fallocate(&self.file, FallocateFlags::empty(), 0, self.wanted_bytes);
        match retry_on_intr(all) {
            Ok(()) => Ok(true),
            Err(Errno::NOSPC | Errno::DQUOT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RESERVE-1, RESERVE-2
    #[test]
    fn it_is_given_in_parts_until_nothing_is_left_and_filled_again() {
        let directory = tempfile::tempdir().unwrap();
        let top = Directory::configured(directory.path()).unwrap();
        let taken = || std::fs::metadata(directory.path().join(NAME)).unwrap();
        let wanted = 2 * PART_BYTES + 4096;
        let reserve = Reserve::open(&top, wanted).unwrap();
        assert_eq!(taken().len(), wanted);
        for left in [PART_BYTES + 4096, 4096, 0] {
            assert_eq!(reserve.give(), Ok(true));
            assert_eq!(taken().len(), left);
        }
        assert_eq!(reserve.give(), Ok(false));
        drop(reserve);
        let reserve = Reserve::open(&top, wanted).unwrap();
        assert_eq!(taken().len(), wanted);
        assert_eq!(reserve.fill(), Ok(true));
        // More than the file system has.
        let reserve = Reserve {
            wanted_bytes: u64::MAX / PLENTY,
            ..reserve
        };
        assert_eq!(reserve.fill(), Ok(false));
        assert_eq!(taken().len(), wanted);
    }
}
