//! Joining a segment that exists.
//!
//! # Invariants
//! * **JOIN-1** A file is mapped only after its owner, mode, kind, length and header were checked, on the open
//!   descriptor; no symbolic link is followed and nothing blocks.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, SealFlags, Stat};
use rustix::io::Errno;

use super::handle::Segment;
use super::header::{self, HEADER_BYTES};
use super::place::Place;
use crate::error::SegmentError;
use crate::gate::Gate;
use crate::mapping::Mapping;

/// How to join a segment.
#[derive(Clone, Debug, Default)]
pub struct JoinOptions {
    trusted_owner: Option<u32>,
}

impl JoinOptions {
    pub fn new() -> Self {
        Self::default()
    }

    /// A user, besides root and ourselves, whose segments we join even if they belong to none of our groups.
    pub fn trust_owner(mut self, uid: u32) -> Self {
        self.trusted_owner = Some(uid);
        self
    }

    /// Joins the segment that lies at `place`.
    pub fn join(&self, place: &Place) -> Result<Segment, SegmentError> {
        // NONBLOCK: a fifo under this name must not stop us.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::open(place.path(), flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::ISDIR | Errno::NXIO) => return Err(place.error("open", Errno::LOOP)),
            Err(errno) => return Err(place.error("open", errno)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|errno| place.error("stat", errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(place.error("open", Errno::LOOP));
        }
        if !self.trusts(&stat) {
            return Err(SegmentError::ForeignOwner {
                path: place.path().into(),
                uid: stat.st_uid,
                gid: stat.st_gid,
                mode: stat.st_mode & 0o7777,
            });
        }
        join_file(file, place)
    }

    /// Joins a private segment whose descriptor we were handed. It must be sealed: a file that can shrink under us
    /// kills us.
    pub fn join_fd(&self, file: OwnedFd) -> Result<Segment, SegmentError> {
        let place = Place::named("private")?;
        let seals = rustix::fs::fcntl_get_seals(&file).unwrap_or(SealFlags::empty());
        if !seals.contains(SealFlags::SHRINK) {
            return Err(SegmentError::NotSealed);
        }
        join_file(file, &place)
    }

    fn trusts(&self, stat: &Stat) -> bool {
        if stat.st_mode & 0o002 != 0 {
            return false; // anybody could have written it
        }
        let owner_is_fine = stat.st_uid == 0
            || stat.st_uid == rustix::process::geteuid().as_raw()
            || Some(stat.st_uid) == self.trusted_owner;
        owner_is_fine || is_our_group(stat.st_gid)
    }
}

/// Root is a member of every group it likes, so only named groups count.
fn is_our_group(gid: u32) -> bool {
    let ours = rustix::process::getegid().as_raw();
    let others = rustix::process::getgroups().unwrap_or_default();
    gid == ours || others.iter().any(|group| group.as_raw() == gid)
}

fn join_file(file: OwnedFd, place: &Place) -> Result<Segment, SegmentError> {
    let stat = rustix::fs::fstat(&file).map_err(|errno| place.error("stat", errno))?;
    let file_bytes = u64::try_from(stat.st_size).unwrap_or(0);
    let mut page = [0_u8; HEADER_BYTES];
    let mut filled = 0;
    while filled < HEADER_BYTES {
        match rustix::io::pread(&file, &mut page[filled..], filled as u64) {
            Ok(0) => {
                return Err(SegmentError::TooShort {
                    path: place.path().into(),
                    found: file_bytes,
                    needed: HEADER_BYTES as u64,
                });
            }
            Ok(bytes) => filled += bytes,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(place.error("read", errno)),
        }
    }
    let checked = header::check(&page, file_bytes, place.path())?;
    let mapping =
        Mapping::new(file, checked.geometry, true).map_err(|errno| place.error("mmap", errno))?;
    let gate = Gate::open(mapping.file().as_fd(), mapping.geometry().ports())
        .map_err(|errno| place.error("open", errno))?;
    Ok(Segment::new(mapping, gate, checked.identity, place.clone()))
}
