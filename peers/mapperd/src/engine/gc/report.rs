//! What a collection found.

use std::cell::{Cell, RefCell};

use archipelago_store::ObjectName;

/// Orphans that are told by name; the others are counted.
const NAMES_MAX: usize = 1000;

/// An object that nobody names, or of which nobody names a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    pub object: String,
    /// What it takes of the store's space.
    pub bytes: u64,
}

/// Grows while the collection goes on.
#[derive(Debug, Default)]
pub struct Report {
    pub looked_at: Cell<u64>,
    pub found: Cell<u64>,
    pub bytes: Cell<u64>,
    /// The first of them.
    pub orphans: RefCell<Vec<Orphan>>,
    /// What was not judged, and why.
    pub notes: RefCell<Vec<String>>,
}

impl Report {
    pub(super) fn look(&self) {
        self.looked_at.set(self.looked_at.get() + 1);
    }

    pub(super) fn find(&self, object: &ObjectName, bytes: u64) {
        self.found.set(self.found.get() + 1);
        self.bytes.set(self.bytes.get().saturating_add(bytes));
        let mut orphans = self.orphans.borrow_mut();
        if orphans.len() < NAMES_MAX {
            let object = object.to_string();
            orphans.push(Orphan { object, bytes });
        }
    }

    pub(super) fn note(&self, text: String) {
        self.notes.borrow_mut().push(text);
    }
}
