use std::os::fd::BorrowedFd;

use rustix::fs::{fcntl_get_seals, fstat, fstatfs};
use rustix::io::Errno;
use rustix::param::page_size;

use super::error::MapError;

const HUGETLBFS: u64 = 0x9584_58f6;

/// What is to be known of a file before it is mapped.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryFile {
    pub file_bytes: u64,
    /// The unit in which it is mapped: a huge page, or an ordinary one.
    pub page_bytes: u64,
}

impl MemoryFile {
    /// GUEST-3
    pub fn of(fd: BorrowedFd<'_>) -> Result<Self, MapError> {
        // The kernel answers that by itself, and only for what is memory: tmpfs, memfd, hugetlbfs. Whoever serves another file (FUSE,
        // NFS) could stop this thread, and all other guests with it, as soon as the file is asked for its kind or its size; and the
        // pages of a file on a disk may be on one that this very thread serves.
        match fcntl_get_seals(fd) {
            Ok(_) => {}
            Err(Errno::INVAL) => return Err(MapError::Kind),
            Err(error) => return Err(MapError::Map(error)),
        }
        let facts = fstatfs(fd).map_err(MapError::Map)?;
        // The field is a signed word on some machines; the numbers are of 32 bits.
        let kind = facts.f_type as u64 & 0xffff_ffff;
        let file_bytes = fstat(fd).map_err(MapError::Map)?.st_size;
        let ordinary = page_size() as u64;
        let page_bytes = match kind {
            HUGETLBFS => ordinary.max(facts.f_bsize as u64),
            _ => ordinary,
        };
        Ok(Self {
            file_bytes: u64::try_from(file_bytes).unwrap_or(0),
            page_bytes,
        })
    }
}
