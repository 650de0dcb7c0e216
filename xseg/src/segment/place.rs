//! Where a named segment lies.

use std::path::{Path, PathBuf};

use crate::error::SegmentError;

/// The directory of named segments, unless another one is chosen (a hugetlbfs mount, a test's own directory).
pub const DEFAULT_DIRECTORY: &str = "/dev/shm";

const NAME_BYTES_MAX: usize = 200;

/// A directory and a checked name in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    directory: PathBuf,
    path: PathBuf,
}

impl Place {
    /// The segment `name` in `/dev/shm`.
    pub fn named(name: &str) -> Result<Self, SegmentError> {
        Self::within(Path::new(DEFAULT_DIRECTORY), name)
    }

    /// The segment `name` in a directory of the caller's choice.
    pub fn within(directory: &Path, name: &str) -> Result<Self, SegmentError> {
        let bad = name.is_empty()
            || name.len() > NAME_BYTES_MAX
            || name.starts_with('.')
            || name.contains(['/', '\0']);
        if bad {
            return Err(SegmentError::BadName { name: name.into() });
        }
        Ok(Self {
            directory: directory.into(),
            path: directory.join(name),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Turns what a system call said into an error about this place.
    pub(crate) fn error(&self, call: &'static str, errno: rustix::io::Errno) -> SegmentError {
        use rustix::io::Errno;
        let path = self.path.clone();
        match errno {
            Errno::EXIST => SegmentError::Exists { path },
            Errno::NOENT => SegmentError::NotFound { path },
            Errno::ACCESS | Errno::PERM => SegmentError::Permission { path },
            Errno::LOOP => SegmentError::NotAFile { path },
            source => SegmentError::System { call, path, source },
        }
    }
}
