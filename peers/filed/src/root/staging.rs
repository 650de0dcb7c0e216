//! Files that are made under a name that nobody looks for, and get their own when they are whole.
//!
//! A server of files may die between a change and its answer, and is asked again: then the name is taken, or the old one is gone,
//! by what was asked for itself.
//!
//! # Invariants
//! * **STAGED-1** A file that has its name is told to have it, also if the file system finds that when it is asked for the second time.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::{Errno, read, retry_on_intr, write};

use super::beneath::{Directory, InodeId};
use super::temporary::Temporary;

/// How a file gets its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publication {
    /// EXIST if the name is taken.
    Exclusive,
    /// Over whatever has it.
    Replacing,
}

/// The name of a file that is being made. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Staged {
    temporary: Arc<Temporary>,
    name: String,
    file: InodeId,
    is_gone: bool,
}

impl Staged {
    /// A new, empty file, which is to be an object.
    pub fn begin(temporary: &Arc<Temporary>) -> Result<(Self, OwnedFd), Errno> {
        Self::begin_for(temporary, OFlags::RDWR | temporary.object_flags())
    }

    fn begin_for(temporary: &Arc<Temporary>, flags: OFlags) -> Result<(Self, OwnedFd), Errno> {
        let name = temporary.fresh_name();
        let fd = temporary.directory().create_file(&name, flags)?;
        let staged = Self {
            temporary: temporary.clone(),
            name,
            file: InodeId::of(&fd)?,
            is_gone: false,
        };
        Ok((staged, fd))
    }

    /// A new file with this content, synced. It is opened to be written only: a server of files is the less inclined to delegate it
    /// to this machine, and others the sooner get at it if this one is cut off.
    pub fn with(temporary: &Arc<Temporary>, content: &[u8]) -> Result<Self, Errno> {
        let (staged, fd) = Self::begin_for(temporary, OFlags::WRONLY)?;
        write_all(&fd, content)?;
        retry_on_intr(|| rustix::fs::fsync(&fd))?;
        Ok(staged)
    }

    pub fn file(&self) -> InodeId {
        self.file
    }

    /// Gives the file its name in `directory`. Not synced.
    pub fn publish(
        &mut self,
        directory: &Directory,
        name: &str,
        how: Publication,
    ) -> Result<(), Errno> {
        let from = self.temporary.directory();
        let (named, done_before) = match how {
            Publication::Exclusive => (directory.link_from(from, &self.name, name), Errno::EXIST),
            Publication::Replacing => (directory.rename_from(from, &self.name, name), Errno::NOENT),
        };
        match named {
            Ok(()) => {}
            // STAGED-1
            Err(errno) if errno == done_before && directory.file_named(name) == Ok(self.file) => {}
            Err(errno) => return Err(errno),
        }
        self.is_gone = how == Publication::Replacing;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_gone {
            // What stays is cleared away by the next incarnation.
            let _ = self.temporary.directory().unlink(&self.name);
        }
    }
}

/// Writes all of it from where the file stands (F29).
pub(crate) fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match retry_on_intr(|| write(&fd, bytes))? {
            0 => return Err(Errno::IO),
            written => bytes = &bytes[written..],
        }
    }
    Ok(())
}

/// Reads a small file from where it stands; what is longer than `bytes_max` is cut off there.
pub(crate) fn read_small(fd: impl AsFd, bytes_max: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; bytes_max];
    let mut len = 0;
    while len < bytes_max {
        match retry_on_intr(|| read(&fd, &mut bytes[len..]))? {
            0 => break,
            count => len += count,
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// STAGED-1: as if the first answer had been lost.
    #[test]
    fn a_file_that_has_its_name_already_is_told_to_have_it() {
        let home = tempfile::tempdir().unwrap();
        let top = Directory::configured(home.path()).unwrap();
        let temporary = Temporary::begin(top.make_directory("tmp").unwrap());
        let temporary = Arc::new(temporary.unwrap());
        let staged = || Staged::with(&temporary, b"text").unwrap();
        for how in [Publication::Exclusive, Publication::Replacing] {
            let mut ours = staged();
            for _ in 0..2 {
                assert_eq!(ours.publish(&top, "name", how), Ok(()), "{how:?}");
            }
        }
        let mut late = staged();
        let exclusive = late.publish(&top, "name", Publication::Exclusive);
        assert_eq!(exclusive, Err(Errno::EXIST), "another one has it");
        temporary.directory().unlink(&late.name).unwrap();
        let replacing = late.publish(&top, "name", Publication::Replacing);
        assert_eq!(replacing, Err(Errno::NOENT), "it is gone");
    }
}
