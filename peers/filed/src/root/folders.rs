//! The directories of objects.
//!
//! # Invariants
//! * **FOLDER-1** When a folder was settled, what was named in it before survives power loss: the folder's own names
//!   on the way down too.
//! * **FOLDER-2** An object is not found only if the store's directory is there and does not have it (STORE-4, F43).

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use archipelago_store::{ObjectName, StoreError};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::beneath::Directory;
use super::staging::{Publication, Staged, read_small};
use super::temporary::Temporary;
use crate::layout::{Folder, Place, Sidecar};

/// A sidecar is no longer than a name; one byte more shows that it is.
const SIDECAR_BYTES_MAX: usize = archipelago_store::OBJECT_NAME_BYTES_MAX + 1;

/// Everything below `objects`.
#[derive(Debug)]
pub(crate) struct Objects {
    directory: Directory,
    temporary: Arc<Temporary>,
    /// Of all that are opened for their content (BENEATH-3).
    flags: OFlags,
    takes_what_changes: bool,
    /// Folders whose own names are known to be durable.
    durable: Mutex<BTreeSet<Folder>>,
}

impl Objects {
    pub fn new(directory: Directory, temporary: &Arc<Temporary>) -> Result<Self, Errno> {
        Ok(Self {
            flags: directory.object_flags()?,
            takes_what_changes: directory.takes_what_changes(),
            directory,
            temporary: temporary.clone(),
            durable: Mutex::default(),
        })
    }

    fn with_flags(&self, flags: OFlags) -> OFlags {
        if flags.contains(OFlags::PATH) {
            return flags;
        }
        flags | self.flags
    }

    /// Do all reads and writes go past the page cache?
    pub fn are_direct(&self) -> bool {
        self.flags.contains(OFlags::DIRECT)
    }

    /// May what goes past it change on the way?
    pub fn takes_what_changes(&self) -> bool {
        self.takes_what_changes
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    pub fn temporary(&self) -> &Arc<Temporary> {
        &self.temporary
    }

    /// What it means that a path below is not there (FOLDER-2).
    pub fn absent(&self) -> StoreError {
        if self.directory.is_there() {
            StoreError::NotFound
        } else {
            StoreError::Io(Errno::STALE)
        }
    }

    pub fn error(&self, errno: Errno) -> StoreError {
        match errno {
            Errno::NOENT => self.absent(),
            // Something stands there, and it is not an object: a failure, not an absence.
            Errno::INVAL | Errno::EXIST => StoreError::Io(errno),
            other => StoreError::from(other),
        }
    }

    /// Opens an object's file.
    pub fn open(&self, place: &Place, flags: OFlags) -> Result<OwnedFd, StoreError> {
        let flags = self.with_flags(flags);
        let opened = self.directory.open_file(&place.path(), flags);
        opened.map_err(|errno| self.error(errno))
    }

    /// The same without asking a disk: `None` if that is not possible.
    pub fn open_known(&self, place: &Place, flags: OFlags) -> Option<OwnedFd> {
        let flags = self.with_flags(flags);
        self.directory.open_known_file(&place.path(), flags).ok()
    }

    pub fn folder(&self, folder: Folder) -> Result<Directory, Errno> {
        self.directory.open_directory(&folder.path())
    }

    fn make_folder(&self, folder: Folder) -> Result<Directory, Errno> {
        match self.folder(folder) {
            Err(Errno::NOENT) => {
                let outer = self.directory.make_directory(&folder.outer())?;
                outer.make_directory(&folder.inner())
            }
            opened => opened,
        }
    }

    /// FOLDER-1.
    pub fn settle(&self, folder: Folder) -> Result<(), Errno> {
        self.settle_open(folder, &self.folder(folder)?)
    }

    fn settle_open(&self, folder: Folder, directory: &Directory) -> Result<(), Errno> {
        directory.sync()?;
        let durable = || self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable().contains(&folder) {
            return Ok(());
        }
        self.directory.open_directory(&folder.outer())?.sync()?;
        self.directory.sync()?;
        durable().insert(folder);
        Ok(())
    }

    /// Makes an empty object: not durable before its folder was settled.
    pub fn create(
        &self,
        place: &Place,
        name: &ObjectName,
        flags: OFlags,
    ) -> Result<OwnedFd, Errno> {
        let folder = self.make_folder(place.folder)?;
        self.write_sidecar(place, name, &folder)?;
        folder.create_file(&place.file, self.with_flags(flags))
    }

    /// Gives a staged file an object's name: not durable before its folder was settled.
    pub fn publish(
        &self,
        staged: &mut Staged,
        place: &Place,
        name: &ObjectName,
        how: Publication,
    ) -> Result<(), Errno> {
        let folder = self.make_folder(place.folder)?;
        self.write_sidecar(place, name, &folder)?;
        staged.publish(&folder, &place.file, how)
    }

    pub fn delete(&self, place: &Place) -> Result<(), StoreError> {
        let unlinked = self.folder(place.folder).and_then(|folder| {
            // What is not a file is nobody's object, and is left alone (F100).
            if !folder.has_file(place.file.as_bytes()) {
                return Err(Errno::NOENT);
            }
            folder.unlink(&place.file)?;
            if let Some(sidecar) = &place.sidecar {
                let _ = folder.unlink(&sidecar.file); // without its object it says nothing
            }
            Ok(())
        });
        unlinked.map_err(|errno| self.error(errno))
    }

    /// A long name is durable before the object that has it.
    fn write_sidecar(
        &self,
        place: &Place,
        name: &ObjectName,
        folder: &Directory,
    ) -> Result<(), Errno> {
        let Some(sidecar) = &place.sidecar else {
            return Ok(());
        };
        if read_sidecar(folder, sidecar)?.as_deref() == Some(name.as_bytes()) {
            return Ok(());
        }
        let mut staged = Staged::with(&self.temporary, name.as_bytes())?;
        staged.publish(folder, &sidecar.file, Publication::Replacing)?;
        folder.sync()
    }
}

/// What the sidecar says.
pub(super) fn read_sidecar(
    folder: &Directory,
    sidecar: &Sidecar,
) -> Result<Option<Vec<u8>>, Errno> {
    match folder.open_file(&sidecar.file, OFlags::RDONLY) {
        Ok(fd) => read_small(&fd, SIDECAR_BYTES_MAX).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}
