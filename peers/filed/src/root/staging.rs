//! Files that are made under a name that nobody looks for, and get their own when they are whole.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::{Errno, read, retry_on_intr, write};

use super::beneath::Directory;
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
    is_gone: bool,
}

impl Staged {
    /// A new, empty file.
    pub fn begin(temporary: &Arc<Temporary>) -> Result<(Self, OwnedFd), Errno> {
        let name = temporary.fresh_name();
        let fd = temporary.directory().create_file(&name, OFlags::RDWR)?;
        let staged = Self {
            temporary: temporary.clone(),
            name,
            is_gone: false,
        };
        Ok((staged, fd))
    }

    /// A new file with this content, synced.
    pub fn with(temporary: &Arc<Temporary>, content: &[u8]) -> Result<Self, Errno> {
        let (staged, fd) = Self::begin(temporary)?;
        write_all(&fd, content)?;
        retry_on_intr(|| rustix::fs::fsync(&fd))?;
        Ok(staged)
    }

    /// Gives the file its name in `directory`. Not synced.
    pub fn publish(
        &mut self,
        directory: &Directory,
        name: &str,
        how: Publication,
    ) -> Result<(), Errno> {
        let from = self.temporary.directory();
        match how {
            Publication::Exclusive => directory.link_from(from, &self.name, name),
            Publication::Replacing => {
                directory.rename_from(from, &self.name, name)?;
                self.is_gone = true;
                Ok(())
            }
        }
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
