//! A directory, and what lies beneath it and nowhere else.
//!
//! # Invariants
//! * **BENEATH-1** No path leads out of the directory, and no symbolic link is followed (F96): paths of several steps go
//!   through openat2, all else takes a single name from a directory that was opened so.
//! * **BENEATH-2** What is made here has mode 0660, directories 0770, whatever the umask.
//! * **BENEATH-3** What another machine has written to an object is read by this one from then on, also if the file is open here: where the
//!   page cache does not see to that, objects are read and written past it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    self, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, Statx, StatxFlags, fstat,
    linkat, mkdirat, renameat, statat, statx, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};

use super::device::wants_it_still;

pub(crate) const FILE_MODE: Mode = Mode::from_raw_mode(0o660);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o770);

/// NFS, whichever version. A client keeps what it knows of a file's content as long as it has it open to write, whatever others write: it
/// goes by their locks, or by their closing and opening it, and we do neither. Past its cache it asks the server each time, and wants no
/// alignment.
const NFS: u64 = 0x6969;

/// File systems that write what they are given, as it is.
const EXT4: u64 = 0xef53;
const XFS: u64 = 0x5846_5342;
const TMPFS: u64 = 0x0102_1994;

/// openat2 gives up when somebody renames beneath it at the same time; so often it is tried again.
const TRIES_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
}

/// Tells a file from all others that are there at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InodeId {
    device: u64,
    inode: u64,
}

impl InodeId {
    pub fn of(file: impl AsFd) -> Result<Self, Errno> {
        Ok(Self::from_stat(&fstat(file)?))
    }

    fn from_stat(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }

    pub fn from_statx(stat: &Statx) -> Self {
        Self {
            device: fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Directory {
    /// A directory that the configuration names: its path is trusted.
    pub fn configured(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| fs::open(path, flags, Mode::empty()))?;
        Ok(Self { fd })
    }

    /// What objects in this file system are opened with, beside what is to be done to them (BENEATH-3).
    pub fn object_flags(&self) -> Result<OFlags, Errno> {
        let kind = u64::try_from(fs::fstatfs(&self.fd)?.f_type).unwrap_or(0);
        Ok(match kind {
            NFS => OFlags::DIRECT,
            _ => OFlags::empty(),
        })
    }

    /// May what is written past the page cache change while it is written? Where somebody below takes checksums of it, or makes
    /// copies, it must not. What is not known is told so.
    pub fn takes_what_changes(&self) -> bool {
        let kind = fs::fstatfs(&self.fd).map_or(0, |told| u64::try_from(told.f_type).unwrap_or(0));
        match kind {
            TMPFS => true, // it has no "past"
            EXT4 | XFS => fstat(&self.fd).is_ok_and(|stat| !wants_it_still(stat.st_dev)),
            _ => false,
        }
    }

    /// Opens what the path names, beneath this directory (BENEATH-1).
    pub fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.open_resolving(path, flags, ResolveFlags::empty())
    }

    fn open_resolving(
        &self,
        path: &str,
        flags: OFlags,
        more: ResolveFlags,
    ) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | more;
        let mut flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if !flags.contains(OFlags::PATH) {
            flags |= OFlags::NOCTTY | OFlags::NONBLOCK; // nothing is opened then that these could be about
        }
        let is_cached = more.contains(ResolveFlags::CACHED);
        for _ in 0..TRIES_MAX {
            match fs::openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if !is_cached => {}
                opened => return opened,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Opens a regular file. What else has its name is not ours (F100): ISDIR, or NXIO.
    pub fn open_file(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        require_regular(self.open(path, flags)?, flags)
    }

    /// The same if the kernel knows the way by heart; AGAIN if it would have to ask a disk.
    pub fn open_known_file(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let fd = self.open_resolving(path, flags, ResolveFlags::CACHED)?;
        require_regular(fd, flags)
    }

    /// Makes a file that must not be there. `name` is a single step.
    pub fn create_file(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::CLOEXEC
            | OFlags::NOFOLLOW
            | OFlags::NOCTTY;
        let fd = retry_on_intr(|| fs::openat(&self.fd, name, flags, FILE_MODE))?;
        fs::fchmod(&fd, FILE_MODE)?; // BENEATH-2
        Ok(fd)
    }

    pub fn open_directory(&self, path: &str) -> Result<Self, Errno> {
        let fd = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Self { fd })
    }

    /// Opens the directory of this name (a single step), which is made if need be.
    pub fn make_directory(&self, name: &str) -> Result<Self, Errno> {
        match self.open_directory(name) {
            Err(Errno::NOENT) => {}
            opened => return opened,
        }
        let made = match mkdirat(&self.fd, name, DIRECTORY_MODE) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(errno),
        };
        let directory = self.open_directory(name)?;
        if made {
            fs::fchmod(&directory.fd, DIRECTORY_MODE)?; // BENEATH-2
        }
        Ok(directory)
    }

    /// Gives a file of another directory a name here too; EXIST if the name is taken.
    pub fn link_from(&self, from: &Self, old: &str, new: &str) -> Result<(), Errno> {
        linkat(&from.fd, old, &self.fd, new, AtFlags::empty())
    }

    /// Moves a file of another directory here, over what has the name.
    pub fn rename_from(&self, from: &Self, old: &str, new: &str) -> Result<(), Errno> {
        renameat(&from.fd, old, &self.fd, new)
    }

    pub fn unlink(&self, name: &str) -> Result<(), Errno> {
        unlinkat(&self.fd, name, AtFlags::empty())
    }

    /// Whether a regular file has this name (a single step).
    pub fn has_file(&self, name: &[u8]) -> bool {
        let stat = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
    }

    /// What has this name (a single step).
    pub fn file_named(&self, name: &str) -> Result<InodeId, Errno> {
        let stat = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(InodeId::from_stat(&stat))
    }

    /// Whether this very file still has this name (a single step).
    pub fn is_named(&self, name: &str, file: impl AsFd) -> bool {
        let is_there = stat_now(&file, "", AtFlags::EMPTY_PATH).is_ok_and(|now| now.stx_nlink > 0);
        is_there
            && self
                .file_named(name)
                .is_ok_and(|named| InodeId::of(file) == Ok(named))
    }

    /// How the file of this name is now (a single step).
    pub fn stat_now(&self, name: &str) -> Result<Statx, Errno> {
        stat_now(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Removes a directory that nothing is in (a single step); NOTEMPTY or EXIST if something is.
    pub fn remove_empty_directory(&self, name: &str) -> Result<(), Errno> {
        unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
    }

    /// Removes a directory and the files in it (a single step).
    pub fn remove_directory(&self, name: &str) -> Result<(), Errno> {
        let directory = self.open_directory(name)?;
        let mut files = Vec::new();
        directory.read(|file, _| files.push(file.to_vec()))?;
        for file in files {
            unlinkat(&directory.fd, file.as_slice(), AtFlags::empty())?;
        }
        unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
    }

    pub fn sync(&self) -> Result<(), Errno> {
        retry_on_intr(|| fs::fsync(&self.fd))
    }

    /// Nobody has removed it.
    pub fn is_there(&self) -> bool {
        fstat(&self.fd).is_ok_and(|stat| stat.st_nlink > 0)
    }

    /// Calls `each` with every name in it, and what the file system says of its kind.
    pub fn read(&self, mut each: impl FnMut(&[u8], FileType)) -> Result<(), Errno> {
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                each(name, entry.file_type());
            }
        }
        Ok(())
    }
}

/// Whoever keeps the file is asked: where that is another machine, this one may go by what it was told of it, and not know yet that it is
/// not to any more.
fn stat_now(at: impl AsFd, path: &str, flags: AtFlags) -> Result<Statx, Errno> {
    let flags = flags | AtFlags::STATX_FORCE_SYNC;
    retry_on_intr(|| statx(&at, path, flags, StatxFlags::BASIC_STATS))
}

/// The file, if it is a regular one. It was opened so that a fifo would not hold us up; a regular file must not be
/// kept so, or io_uring would not wait for its disk.
fn require_regular(fd: OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
        FileType::RegularFile => {
            if !flags.contains(OFlags::PATH) {
                fs::fcntl_setfl(&fd, flags & OFlags::DIRECT)?;
            }
            Ok(fd)
        }
        FileType::Directory => Err(Errno::ISDIR),
        _ => Err(Errno::NXIO),
    }
}
