//! Opening files, and closing those that were not used for long.
//!
//! # Invariants
//! * **FDOPEN-1** A file that has anything that is not durable is synced before it is closed; if that fails, all who wrote
//!   to it are told at their next sync (STORE-5, F27).
//! * **FDOPEN-2** An open that overlaps with the replacement of the object's file never leaves the old file in the cache.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use archipelago_store::{ObjectName, Scope, StoreError};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::core::Engine;
use crate::files::{OpenFile, Using};
use crate::layout::Place;
use crate::root::Root;

/// So many files are closed at the most before another one is opened.
const CLOSES_MAX: usize = 64;

/// What [`Engine::open`] does if there is no such object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Fails,
    IsMade,
}

/// Descriptors of a file.
struct Opened {
    plain: OwnedFd,
    direct: Option<OwnedFd>,
    made: bool,
}

impl Engine {
    /// The object's file, in use. If it is open already that costs a look.
    pub(super) async fn open(&self, name: &[u8], missing: Missing) -> Result<Using, StoreError> {
        match self.cache.find(name) {
            Some(using) => Ok(using),
            None => {
                let name = ObjectName::new(name).map_err(|_| StoreError::Invalid)?;
                self.open_named(&name, missing).await
            }
        }
    }

    async fn open_named(&self, name: &ObjectName, missing: Missing) -> Result<Using, StoreError> {
        let _turn = self.turns.at(name).await; // FDOPEN-2
        if let Some(using) = self.cache.find(name.as_bytes()) {
            return Ok(using);
        }
        self.make_room().await;
        let place = Place::of(name);
        let opened = match self.open_known(&place) {
            Some(opened) => opened,
            None => self.open_on_a_thread(&place, name, missing).await?,
        };
        Ok(self.keep(name, &place, opened))
    }

    /// Puts a file that was just opened, or just got its name, into the cache. Called in the name's turn.
    fn keep(&self, name: &ObjectName, place: &Place, opened: Opened) -> Using {
        let Opened {
            plain,
            direct,
            made,
        } = opened;
        let id = self.cache.next_id();
        let file = OpenFile::new(id, name.clone(), place.folder, plain, direct);
        if made {
            self.ledger().named(id, place.folder);
        } else {
            self.ledger().opened(id, place.folder);
        }
        self.cache.insert(file)
    }

    /// The same for a file that was made elsewhere.
    pub(super) async fn keep_made(
        &self,
        name: &ObjectName,
        place: &Place,
        plain: OwnedFd,
    ) -> Using {
        self.make_room().await;
        let opened = Opened {
            plain,
            direct: None,
            made: true,
        };
        self.keep(name, place, opened)
    }

    /// If the kernel has the path in memory it is not worth a thread.
    fn open_known(&self, place: &Place) -> Option<Opened> {
        let objects = &self.root.objects;
        let plain = objects.open_known(place, OFlags::RDWR)?;
        let direct = if self.options.direct {
            Some(objects.open_known(place, OFlags::RDWR | OFlags::DIRECT)?)
        } else {
            None
        };
        Some(Opened {
            plain,
            direct,
            made: false,
        })
    }

    async fn open_on_a_thread(
        &self,
        place: &Place,
        name: &ObjectName,
        missing: Missing,
    ) -> Result<Opened, StoreError> {
        let (place, name, direct) = (place.clone(), name.clone(), self.options.direct);
        self.blocking_with_descriptors(move |root| open(root, &place, &name, missing, direct))
            .await
    }

    /// Forgets a descriptor that has become useless (F40).
    pub(super) fn drop_stale(&self, file: &OpenFile) {
        if !file.is_gone.get() {
            self.cache.remove(file.name.as_bytes());
        }
    }

    /// Closes files until there is room for one more, as far as any is idle.
    async fn make_room(&self) {
        for _ in 0..CLOSES_MAX {
            if !self.cache.is_full() || !self.close_one().await {
                return;
            }
        }
    }

    /// Closes the file that was used the longest time ago (FDOPEN-1). Tells whether there was one. That takes no
    /// descriptor: it is done when there are none.
    pub(super) async fn close_one(&self) -> bool {
        let is_clean = |file: &OpenFile| !self.ledger().is_written(file.id);
        let Some(file) = self.cache.oldest_idle(is_clean) else {
            return false;
        };
        if !is_clean(&file) {
            let using = Using::new(&file);
            let synced = self.sync_file(&file, None).await;
            drop(using);
            if synced.is_err() {
                // What could not be written will not be: those whom it concerns were told (LEDGER-2).
                self.ledger().forget(file.id);
            }
        }
        if file.is_idle() && is_clean(&file) && !file.is_gone.get() {
            self.cache.remove(file.name.as_bytes());
            self.ledger().closed(file.id);
        }
        true
    }

    /// Makes a write of the scope durable (FUA).
    pub async fn settle_for(&self, scope: Scope, file: &Using) -> Result<(), StoreError> {
        self.refuse_failed(scope)?;
        let settled = if self.ledger().plan_is_everything() {
            // An earlier incarnation may have made the file, and its name may not be durable (D2).
            self.sync_everything_for(scope).await
        } else {
            self.settle_file(file.file()).await
        };
        settled.inspect_err(|_| self.ledger().fail(scope))?;
        self.refuse_failed(scope)
    }

    /// Makes what is in the file durable, and its name.
    pub(super) async fn settle_file(&self, file: &Rc<OpenFile>) -> Result<(), StoreError> {
        self.sync_file(file, None).await?;
        if self.ledger().is_named(file.id) {
            self.settle_folder(file.folder).await?;
        }
        Ok(())
    }
}

/// On a thread.
fn open(
    root: &Root,
    place: &Place,
    name: &ObjectName,
    missing: Missing,
    direct: bool,
) -> Result<Opened, StoreError> {
    let objects = &root.objects;
    let (plain, made) = match objects.open(place, OFlags::RDWR) {
        Ok(plain) => (plain, false),
        Err(StoreError::NotFound) if missing == Missing::IsMade => {
            let made = objects.create(place, name, OFlags::RDWR);
            (made.map_err(|errno| objects.error(errno))?, true)
        }
        // Reads go on (F39).
        Err(StoreError::Io(Errno::ROFS)) => (objects.open(place, OFlags::RDONLY)?, false),
        Err(error) => return Err(error),
    };
    let direct = if direct {
        match objects.open(place, OFlags::RDWR | OFlags::DIRECT) {
            Ok(direct) => Some(direct),
            Err(error @ StoreError::Io(Errno::MFILE | Errno::NFILE)) if !made => return Err(error),
            // The file system does not have it; then everything goes through the page cache.
            Err(_) => None,
        }
    } else {
        None
    };
    Ok(Opened {
        plain,
        direct,
        made,
    })
}
