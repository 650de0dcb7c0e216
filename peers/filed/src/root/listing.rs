//! Lists of names, read from the directories.
//!
//! # Invariants
//! * **LISTING-1** What is not a regular file under an object's own file name is not listed, and not touched (F100).

use std::collections::BTreeSet;

use archipelago_store::{Listing, ObjectName, StoreError};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::beneath::Directory;
use super::folders::{Objects, read_sidecar};
use crate::layout::{FileName, Folder, Place};

impl Objects {
    /// The names of a group, after `after`, at most `max`.
    pub fn list(
        &self,
        group: &[u8],
        after: Option<&ObjectName>,
        max: usize,
    ) -> Result<Listing, StoreError> {
        let folder = match self.folder(Folder::of_group(group)) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => {
                return match self.absent() {
                    StoreError::NotFound => Ok(Listing::default()),
                    error => Err(error),
                };
            }
            Err(errno) => return Err(self.error(errno)),
        };
        let mut names = Vec::new();
        let each = |name: ObjectName| {
            if name.group() == group && after.is_none_or(|after| name > *after) {
                names.push(name);
            }
        };
        objects_in(&folder, each).map_err(|errno| self.error(errno))?;
        names.sort_unstable();
        let more = names.len() > max;
        names.truncate(max);
        Ok(Listing { names, more })
    }

    /// All groups after `after`, sorted.
    pub fn groups(&self, after: Option<&[u8]>) -> Result<Vec<Vec<u8>>, StoreError> {
        if !self.directory().is_there() {
            return Err(self.absent());
        }
        let mut groups: BTreeSet<Vec<u8>> = BTreeSet::new();
        let folders = self.folders().map_err(|errno| self.error(errno))?;
        for folder in folders {
            let found = self.groups_in(folder, &mut groups);
            found.map_err(|errno| self.error(errno))?;
        }
        groups.retain(|group| after.is_none_or(|after| group.as_slice() > after));
        Ok(groups.into_iter().collect())
    }

    /// The folders that there are, and what has their names.
    fn folders(&self) -> Result<Vec<Folder>, Errno> {
        let (mut outer_names, mut folders) = (Vec::new(), Vec::new());
        self.directory()
            .read(|outer, _| outer_names.push(outer.to_vec()))?;
        for outer in outer_names {
            // A name that is a folder's with some other name is one of ours.
            let Some(path) = Folder::at(&outer, b"00").map(Folder::outer) else {
                continue;
            };
            match self.directory().open_directory(&path) {
                Ok(directory) => {
                    directory.read(|inner, _| folders.extend(Folder::at(&outer, inner)))?;
                }
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(folders)
    }

    fn groups_in(&self, folder: Folder, groups: &mut BTreeSet<Vec<u8>>) -> Result<(), Errno> {
        let directory = match self.folder(folder) {
            Ok(directory) => directory,
            // Nothing was ever put there, or it is not a directory of ours.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        objects_in(&directory, |name| {
            let is_at_home = Folder::of_group(name.group()) == folder;
            if is_at_home && !groups.contains(name.group()) {
                groups.insert(name.group().to_vec());
            }
        })
    }
}

/// Calls `each` with every object that lies in a folder (LISTING-1).
fn objects_in(folder: &Directory, mut each: impl FnMut(ObjectName)) -> Result<(), Errno> {
    let mut hashed = Vec::new();
    folder.read(|file, kind| {
        let is_regular = match kind {
            FileType::RegularFile => true,
            FileType::Unknown => folder.has_file(file),
            _ => false,
        };
        if !is_regular {
            return;
        }
        match FileName::of(file) {
            FileName::Object(name) => each(name),
            FileName::Hashed(sidecar) => hashed.push((file.to_vec(), sidecar)),
            FileName::Other => {}
        }
    })?;
    for (file, sidecar) in hashed {
        let name = read_sidecar(folder, &sidecar)?;
        let name = name.and_then(|name| ObjectName::new(&name).ok());
        match name {
            Some(name) if Place::of(&name).file.as_bytes() == file => each(name),
            _ => tracing::warn!(
                file = %file.escape_ascii(),
                "the file with this object's name is missing or damaged: the object is not listed"
            ),
        }
    }
    Ok(())
}
