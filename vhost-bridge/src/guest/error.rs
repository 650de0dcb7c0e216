use rustix::io::Errno;
use thiserror::Error;

/// Why memory of a front end is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MapError {
    #[error(
        "a region of {len_bytes} bytes at byte {file_offset} of its file overflows, or is empty"
    )]
    Range { len_bytes: u64, file_offset: u64 },
    #[error("a region ends at byte {end} of its file, which has {file_bytes} bytes")]
    Short { end: u64, file_bytes: u64 },
    #[error(
        "memory in a file of a file system that may keep us waiting: share memory of memfd, /dev/shm or \
         hugetlbfs (QEMU: -object memory-backend-memfd,share=on)"
    )]
    Kind,
    #[error("the regions at {first:#x} and {second:#x} overlap")]
    Overlap { first: u64, second: u64 },
    #[error("there is no region at {at:#x} of {len_bytes} bytes")]
    NoSuchRegion { at: u64, len_bytes: u64 },
    #[error("more than {regions_max} regions, or {bytes_max} bytes, of guest memory")]
    TooMuch { regions_max: usize, bytes_max: u64 },
    #[error("cannot map a region: {0}")]
    Map(#[source] Errno),
}
