//! Making a segment.
//!
//! # Invariants
//! * **CREATE-1** A named segment appears under its name only when it is complete: it is built in an unnamed file
//!   and linked in at the end. A creator killed at any instant leaves nothing behind.
//! * **CREATE-2** All its memory is allocated before it has a name: no process is killed by a page that cannot
//!   be had later.
//! * **CREATE-3** Its mode is what was asked for, whatever the umask.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FallocateFlags, Gid, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

use super::handle::Segment;
use super::{header, place::Place};
use crate::error::SegmentError;
use crate::geometry::Geometry;
use crate::mapping::Mapping;

/// Whether to back the segment with huge pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// If there are some: from the pool for private segments, transparent ones for named segments.
    #[default]
    Auto,
    Never,
}

/// How to make a segment.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    geometry: Geometry,
    mode: u32,
    group: Option<u32>,
    huge_pages: HugePages,
}

impl CreateOptions {
    /// A segment of this geometry, for the creator's user and group (mode 0660).
    pub fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            mode: 0o660,
            group: None,
            huge_pages: HugePages::Auto,
        }
    }

    /// Permission bits of a named segment. Bits for others are refused.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o660;
        self
    }

    /// The group whose members may join a named segment.
    pub fn group(mut self, gid: u32) -> Self {
        self.group = Some(gid);
        self
    }

    pub fn huge_pages(mut self, huge_pages: HugePages) -> Self {
        self.huge_pages = huge_pages;
        self
    }

    /// Makes a segment with a name, for processes that know it.
    pub fn create(self, place: &Place) -> Result<Segment, SegmentError> {
        if rustix::fs::lstat(place.path()).is_ok() {
            return Err(place.error("link", Errno::EXIST)); // before megabytes are allocated in vain
        }
        let unnamed = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::open(place.directory(), unnamed, Mode::from_raw_mode(0o600))
            .map_err(|errno| place.error("create", errno))?;
        self.allocate(&file, place)?;
        if let Some(gid) = self.group {
            rustix::fs::fchown(&file, None, Some(Gid::from_raw(gid)))
                .map_err(|errno| place.error("fchown", errno))?;
        }
        rustix::fs::fchmod(&file, Mode::from_raw_mode(self.mode))
            .map_err(|errno| place.error("fchmod", errno))?;
        let unnamed_path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let segment = self.initialise(file, place, self.huge_pages == HugePages::Auto)?;
        rustix::fs::linkat(
            CWD,
            unnamed_path,
            CWD,
            place.path(),
            AtFlags::SYMLINK_FOLLOW,
        )
        .map_err(|errno| place.error("link", errno))?;
        Ok(segment)
    }

    /// Makes a sealed segment without a name, for processes that are handed its descriptor.
    pub fn create_private(self) -> Result<Segment, SegmentError> {
        let place = Place::named("private")?;
        let file = self.anonymous_file(&place)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&file, seals).map_err(|errno| place.error("seal", errno))?;
        self.initialise(file, &place, self.huge_pages == HugePages::Auto)
    }

    fn anonymous_file(&self, place: &Place) -> Result<OwnedFd, SegmentError> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        if self.huge_pages == HugePages::Auto && self.geometry.size_bytes().is_multiple_of(2 << 20)
        {
            // The pool may be empty, or shared with others who are quicker: then ordinary pages do.
            if let Ok(file) = rustix::fs::memfd_create("xseg", flags | MemfdFlags::HUGETLB)
                && self.allocate(&file, place).is_ok()
            {
                return Ok(file);
            }
        }
        let file = rustix::fs::memfd_create("xseg", flags)
            .map_err(|errno| place.error("memfd_create", errno))?;
        self.allocate(&file, place)?;
        Ok(file)
    }

    /// Has every page allocated now (CREATE-2).
    fn allocate(&self, file: &OwnedFd, place: &Place) -> Result<(), SegmentError> {
        let needed = self.geometry.size_bytes();
        let space = rustix::fs::fstatvfs(file).map_err(|errno| place.error("statvfs", errno))?;
        let in_file_system = space.f_bavail.saturating_mul(space.f_frsize);
        let limited = space.f_blocks > 0; // an anonymous file has no file system's limit
        let available = match memory_available(file) {
            Some(memory) if limited => memory.min(in_file_system),
            Some(memory) => memory,
            None if limited => in_file_system,
            None => u64::MAX,
        };
        let no_space = || SegmentError::NoSpace {
            path: place.path().into(),
            needed,
            available,
        };
        if available < needed {
            return Err(no_space());
        }
        loop {
            match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, needed) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::NOSPC | Errno::NOMEM | Errno::FBIG) => return Err(no_space()),
                Err(errno) => return Err(place.error("fallocate", errno)),
            }
        }
    }

    fn initialise(
        &self,
        file: OwnedFd,
        place: &Place,
        huge: bool,
    ) -> Result<Segment, SegmentError> {
        let mapping =
            Mapping::new(file, self.geometry, huge).map_err(|errno| place.error("mmap", errno))?;
        let identity = random_identity().map_err(|errno| place.error("getrandom", errno))?;
        header::write(
            mapping.header(),
            &self.geometry,
            identity,
            crate::clock::unix_ns(),
        );
        let gate = crate::gate::Gate::open(mapping.file().as_fd(), mapping.geometry().ports())
            .map_err(|errno| place.error("open", errno))?;
        Ok(Segment::new(mapping, gate, identity, place.clone()))
    }
}

fn random_identity() -> Result<[u64; 2], Errno> {
    let mut bytes = [0_u8; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        filled +=
            rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    let (low, high) = bytes.split_at(8);
    let word = |half: &[u8]| u64::from_ne_bytes(half.try_into().expect("eight bytes"));
    Ok([word(low), word(high)])
}

/// For a file that lives in memory: how much of that could be had. Asking for more would not fail, it would have
/// somebody killed.
fn memory_available(file: &OwnedFd) -> Option<u64> {
    const TMPFS: i64 = 0x0102_1994;
    let kind = rustix::fs::fstatfs(file).ok()?.f_type;
    if kind as i64 != TMPFS {
        return None;
    }
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}
