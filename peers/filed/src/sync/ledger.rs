//! The book of what is not durable: for whom, since when. Pure: `F` is what a file is to its user.
//!
//! Everything that happens gets a number. A sync of a file, or of a folder, or of all, makes durable what happened up to
//! the number at which it was begun ([`Ledger::now`]), for whomever it was done.
//!
//! # Invariants
//! * **LEDGER-1** What was booked is planned for each sync of its scope until a sync that was begun later has succeeded
//!   (STORE-2): one that was begun before does not cover it.
//! * **LEDGER-2** When a sync fails, all scopes that it could have covered are failed, and stay so until they are healed
//!   (STORE-5, F27).
//! * **LEDGER-3** A name that is not durable belongs to each scope that wrote under it, also if its file was closed and
//!   opened again in between.
//! * **LEDGER-4** What earlier incarnations wrote is not durable before a sync of everything (D2).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use archipelago_store::Scope;

use crate::files::FileId;
use crate::layout::Folder;

/// When something happened.
type Moment = u64;

#[derive(Debug)]
pub(crate) struct Ledger<F> {
    now: Moment,
    files: HashMap<FileId, DirtyFile<F>>,
    scopes: HashMap<Scope, DirtyScope>,
    /// Names that are not durable yet.
    names: HashMap<FileId, (Folder, Moment)>,
    /// Where names of closed files are that are not durable yet.
    closed: BTreeMap<Folder, Moment>,
    /// Where something was deleted.
    deletions: BTreeMap<Folder, Moment>,
    inherited: Inherited,
}

#[derive(Debug)]
struct DirtyFile<F> {
    file: F,
    /// Who wrote, and when last.
    scopes: BTreeMap<Scope, Moment>,
}

#[derive(Debug, Default)]
struct DirtyScope {
    files: BTreeSet<FileId>,
    folders: BTreeMap<Folder, Moment>,
    failed: bool,
}

/// What earlier incarnations left.
#[derive(Debug)]
enum Inherited {
    Unknown,
    Durable,
    /// Nobody knows what was lost: scopes that were not healed since are failed.
    Lost {
        healed: BTreeSet<Scope>,
    },
}

/// What a sync of a scope has to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan<F> {
    pub files: Vec<(FileId, F)>,
    pub folders: Vec<Folder>,
    /// Only a sync of everything will do (LEDGER-4).
    pub everything: bool,
}

impl<F> Default for Ledger<F> {
    fn default() -> Self {
        Self {
            now: 0,
            files: HashMap::new(),
            scopes: HashMap::new(),
            names: HashMap::new(),
            closed: BTreeMap::new(),
            deletions: BTreeMap::new(),
            inherited: Inherited::Unknown,
        }
    }
}

impl<F: Clone> Ledger<F> {
    /// A sync that is begun now covers what was booked until now.
    pub fn now(&self) -> Moment {
        self.now
    }

    fn next(&mut self) -> Moment {
        self.now += 1;
        self.now
    }

    /// Something was written to the file.
    pub fn wrote(&mut self, scope: Scope, id: FileId, file: &F) {
        let now = self.next();
        let dirty = self.files.entry(id).or_insert_with(|| DirtyFile {
            file: file.clone(),
            scopes: BTreeMap::new(),
        });
        dirty.scopes.insert(scope, now);
        let book = self.scopes.entry(scope).or_default();
        book.files.insert(id);
        if let Some((folder, _)) = self.names.get(&id) {
            book.folders.insert(*folder, now); // LEDGER-3
        }
    }

    /// The file has got its name. To be followed by `wrote`, for whoever it was made.
    pub fn named(&mut self, id: FileId, folder: Folder) {
        let now = self.next();
        self.names.insert(id, (folder, now));
    }

    /// The file is closed: what was in it is durable.
    pub fn closed(&mut self, id: FileId) {
        if let Some((folder, named)) = self.names.remove(&id) {
            let last = self.closed.entry(folder).or_insert(named);
            *last = named.max(*last);
        }
    }

    /// A file that was there before was opened. It may be one that was named and closed just now.
    pub fn opened(&mut self, id: FileId, folder: Folder) {
        if self.closed.contains_key(&folder) {
            self.named(id, folder);
        }
    }

    pub fn deleted(&mut self, folder: Folder) {
        let now = self.next();
        self.deletions.insert(folder, now);
    }

    /// What is in the file does not matter any more: it was deleted, or durably replaced.
    pub fn forget(&mut self, id: FileId) {
        self.names.remove(&id);
        let Some(dirty) = self.files.remove(&id) else {
            return;
        };
        for scope in dirty.scopes.keys() {
            if let Some(book) = self.scopes.get_mut(scope) {
                book.files.remove(&id);
            }
        }
        self.tidy();
    }

    pub fn is_failed(&self, scope: Scope) -> bool {
        if self.scopes.get(&scope).is_some_and(|book| book.failed) {
            return true;
        }
        matches!(&self.inherited, Inherited::Lost { healed } if !healed.contains(&scope))
    }

    /// Nothing was ever synced: nothing of what there is can be taken for durable (LEDGER-4).
    pub fn plan_is_everything(&self) -> bool {
        matches!(self.inherited, Inherited::Unknown)
    }

    /// LEDGER-1. To be asked only of a scope that is not failed.
    pub fn plan(&self, scope: Scope) -> Plan<F> {
        let mut plan = Plan {
            files: Vec::new(),
            folders: self.deletions.keys().copied().collect(),
            everything: self.plan_is_everything(),
        };
        if let Some(book) = self.scopes.get(&scope) {
            let files = book.files.iter();
            let files = files.filter_map(|id| Some((*id, self.files.get(id)?.file.clone())));
            plan.files = files.collect();
            plan.folders.extend(book.folders.keys());
        }
        plan.folders.sort_unstable();
        plan.folders.dedup();
        plan
    }

    /// Does a sync of the scope still need this file?
    pub fn needs(&self, scope: Scope, id: FileId) -> bool {
        let dirty = self.files.get(&id);
        dirty.is_some_and(|dirty| dirty.scopes.contains_key(&scope))
    }

    /// Has anybody something in it that is not durable?
    pub fn is_written(&self, id: FileId) -> bool {
        self.files.contains_key(&id)
    }

    /// Is its name not durable?
    pub fn is_named(&self, id: FileId) -> bool {
        self.names.contains_key(&id)
    }

    /// The file was synced, by a sync that was begun then.
    pub fn file_synced(&mut self, id: FileId, begun: Moment) {
        let Some(dirty) = self.files.get_mut(&id) else {
            return;
        };
        let scopes = &mut self.scopes;
        dirty.scopes.retain(|scope, wrote| {
            let stays = *wrote > begun; // LEDGER-1
            if !stays && let Some(book) = scopes.get_mut(scope) {
                book.files.remove(&id);
            }
            stays
        });
        if dirty.scopes.is_empty() {
            self.files.remove(&id);
        }
        self.tidy();
    }

    /// LEDGER-2: all who have something in the file.
    pub fn file_failed(&mut self, id: FileId) {
        let scopes = self.files.get(&id).map(|dirty| dirty.scopes.keys());
        let scopes: Vec<Scope> = scopes.into_iter().flatten().copied().collect();
        for scope in scopes {
            self.fail(scope);
        }
    }

    pub fn folder_synced(&mut self, folder: Folder, begun: Moment) {
        self.names
            .retain(|_, (of, named)| *of != folder || *named > begun);
        let is_done = |at: Option<&Moment>| at.is_some_and(|at| *at <= begun);
        for names in [&mut self.deletions, &mut self.closed] {
            if is_done(names.get(&folder)) {
                names.remove(&folder);
            }
        }
        for book in self.scopes.values_mut() {
            if is_done(book.folders.get(&folder)) {
                book.folders.remove(&folder);
            }
        }
        self.tidy();
    }

    /// LEDGER-2: all who have named something there. Deletions may be anybody's.
    pub fn folder_failed(&mut self, folder: Folder) {
        for book in self.scopes.values_mut() {
            book.failed |= book.folders.contains_key(&folder);
        }
    }

    /// The whole file system was synced.
    pub fn all_synced(&mut self, begun: Moment) {
        let files: Vec<FileId> = self.files.keys().copied().collect();
        for id in files {
            self.file_synced(id, begun);
        }
        let folders = self.scopes.values().flat_map(|book| book.folders.keys());
        let names = self.deletions.keys().chain(self.closed.keys());
        let mut folders: BTreeSet<Folder> = folders.chain(names).copied().collect();
        folders.extend(self.names.values().map(|(folder, _)| *folder));
        for folder in folders {
            self.folder_synced(folder, begun);
        }
        if self.plan_is_everything() {
            self.inherited = Inherited::Durable;
        }
    }

    /// LEDGER-2: everybody who has anything that is not durable; if it is the first sync, everybody there is.
    pub fn all_failed(&mut self) {
        for book in self.scopes.values_mut() {
            book.failed |= !book.files.is_empty() || !book.folders.is_empty();
        }
        if self.plan_is_everything() {
            let healed = BTreeSet::new();
            self.inherited = Inherited::Lost { healed };
        }
    }

    /// A write or a sync of the scope has failed.
    pub fn fail(&mut self, scope: Scope) {
        self.scopes.entry(scope).or_default().failed = true;
    }

    /// The scope's user has looked at everything: it is believed again.
    pub fn heal(&mut self, scope: Scope) {
        if let Some(book) = self.scopes.get_mut(&scope) {
            book.failed = false;
        }
        if let Inherited::Lost { healed } = &mut self.inherited {
            healed.insert(scope);
        }
        self.tidy();
    }

    /// A scope that has nothing to say takes no room.
    fn tidy(&mut self) {
        self.scopes
            .retain(|_, book| book.failed || !book.files.is_empty() || !book.folders.is_empty());
    }
}
