//! An object's file, open.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use archipelago_runtime::local;
use archipelago_store::ObjectName;

use super::gate::Gate;
use crate::layout::Folder;

/// Tells open files apart, also those that had the same name one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(pub u64);

#[derive(Debug)]
pub(crate) struct OpenFile {
    pub id: FileId,
    pub name: ObjectName,
    pub folder: Folder,
    /// Through the page cache.
    pub plain: Rc<OwnedFd>,
    /// Past it, if that is wanted and can be had.
    pub direct: Option<Rc<OwnedFd>>,
    pub gate: Gate,
    /// One sync at a time: the kernel tells of a failure only once.
    pub sync_turn: local::Mutex<()>,
    /// The device takes less than it says: everything goes through the page cache.
    pub direct_failed: Cell<bool>,
    /// How many use it: it is not closed then.
    users: Cell<u32>,
    /// When it was last used, by the cache's count.
    pub(super) used_at: Cell<u64>,
    /// Its name has passed on to another file, or to none.
    pub is_gone: Cell<bool>,
}

impl OpenFile {
    pub fn new(
        id: FileId,
        name: ObjectName,
        folder: Folder,
        plain: OwnedFd,
        direct: Option<OwnedFd>,
    ) -> Self {
        Self {
            id,
            name,
            folder,
            plain: Rc::new(plain),
            direct: direct.map(Rc::new),
            gate: Gate::default(),
            sync_turn: local::Mutex::new(()),
            direct_failed: Cell::new(false),
            users: Cell::new(0),
            used_at: Cell::new(0),
            is_gone: Cell::new(false),
        }
    }

    pub fn is_idle(&self) -> bool {
        self.users.get() == 0
    }
}

/// A file in use: it stays open.
#[derive(Debug)]
pub(crate) struct Using(Rc<OpenFile>);

impl Using {
    pub fn new(file: &Rc<OpenFile>) -> Self {
        file.users.set(file.users.get() + 1);
        Self(file.clone())
    }

    pub fn file(&self) -> &Rc<OpenFile> {
        &self.0
    }
}

impl std::ops::Deref for Using {
    type Target = OpenFile;

    fn deref(&self) -> &OpenFile {
        &self.0
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        self.0.users.set(self.0.users.get() - 1);
    }
}
