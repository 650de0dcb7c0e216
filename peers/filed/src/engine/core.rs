//! What all operations share.

use std::cell::{Cell, RefCell, RefMut};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use archipelago_runtime::{Handle, Station, local};
use archipelago_store::StoreError;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Resource, getrlimit};

use super::lock_news::LockNews;
use super::space::Level;
use crate::error::FiledError;
use crate::files::{Cache, OpenFile, Turns};
use crate::options::FiledOptions;
use crate::root::{Reserve, Root};
use crate::sync::Ledger;

/// Descriptors that are left to others: sockets, rings, directories, files that are being made.
const DESCRIPTORS_RESERVED: u64 = 128;
/// What goes by path needs so many for a moment.
const DESCRIPTORS_FREED: usize = 4;
/// When no descriptor can be had the operation is tried again, so often, with such pauses (F24).
const DESCRIPTOR_TRIES_MAX: usize = 50;
const DESCRIPTOR_PAUSE: Duration = Duration::from_millis(20);
/// Between two looks whether there is space to keep back again.
const FILL_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Engine {
    pub handle: Handle,
    pub station: Rc<Station>,
    pub options: FiledOptions,
    pub root: Arc<Root>,
    pub cache: Cache,
    pub turns: Turns,
    /// At the locks of these names.
    pub lock_turns: Turns,
    ledger: RefCell<Ledger<Rc<OpenFile>>>,
    /// One sync of everything at a time.
    pub everything_turn: local::Mutex<()>,
    pub lock_news: Rc<LockNews>,
    /// Somebody waits for space to keep back.
    is_filling: Rc<Cell<bool>>,
    pub(super) level: Rc<Cell<Level>>,
    pub(super) look_at_space_ns: Cell<u64>,
}

impl Engine {
    /// Opens the store. Blocks: to be done before requests are served.
    pub fn begin(
        handle: &Handle,
        station: &Rc<Station>,
        options: &FiledOptions,
    ) -> Result<Self, FiledError> {
        let root = Root::open(options)?;
        let engine = Self {
            handle: handle.clone(),
            station: station.clone(),
            cache: Cache::new(files_max(options)),
            options: options.clone(),
            root: Arc::new(root),
            turns: Turns::default(),
            lock_turns: Turns::default(),
            ledger: RefCell::default(),
            everything_turn: local::Mutex::new(()),
            lock_news: Rc::default(),
            is_filling: Rc::default(),
            level: Rc::default(),
            look_at_space_ns: Cell::new(0),
        };
        engine.keep_lease(options)?;
        Ok(engine)
    }

    pub fn ledger(&self) -> RefMut<'_, Ledger<Rc<OpenFile>>> {
        self.ledger.borrow_mut()
    }

    /// Does `work` on a thread.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Root) -> T + Send + 'static,
    ) -> T {
        let root = self.root.clone();
        self.handle.blocking(move || work(&root)).await
    }

    /// The same for what needs descriptors: if there are none, idle files are closed, and it is tried again (F24); and if there
    /// is no space, with some of what was kept back (RESERVE-1).
    pub async fn blocking_with_descriptors<T: Send + 'static>(
        &self,
        work: impl Fn(&Root) -> Result<T, StoreError> + Send + Clone + 'static,
    ) -> Result<T, StoreError> {
        for _ in 0..DESCRIPTOR_TRIES_MAX {
            match self.blocking(work.clone()).await {
                Err(StoreError::Io(Errno::MFILE | Errno::NFILE)) => self.free_descriptors().await,
                Err(StoreError::NoSpace) if self.give_reserve().await => {}
                done => return done,
            }
        }
        Err(StoreError::Io(Errno::MFILE))
    }

    /// The same for what brings what it needs back when it could not be done.
    pub async fn blocking_with<A: Send + 'static, T: Send + 'static>(
        &self,
        mut needs: A,
        work: impl Fn(&Root, &mut A) -> Result<T, StoreError> + Send + Clone + 'static,
    ) -> Result<T, StoreError> {
        for _ in 0..DESCRIPTOR_TRIES_MAX {
            let work = work.clone();
            let (done, back) = self
                .blocking(move |root| {
                    let done = work(root, &mut needs);
                    (done, needs)
                })
                .await;
            match done {
                Err(StoreError::Io(Errno::MFILE | Errno::NFILE)) => self.free_descriptors().await,
                Err(StoreError::NoSpace) if self.give_reserve().await => {}
                done => return done,
            }
            needs = back;
        }
        Err(StoreError::Io(Errno::MFILE))
    }

    /// Gives some of what was kept back, if there is any: then what was refused is to be done again (RESERVE-1).
    pub async fn give_reserve(&self) -> bool {
        if self.root.reserve.is_none() {
            return false;
        }
        let has_given = self.blocking(Root::give_reserve).await;
        if has_given && !self.is_filling.replace(true) {
            let (root, handle) = (Arc::downgrade(&self.root), self.handle.clone());
            let is_filling = self.is_filling.clone();
            self.handle.spawn(async move {
                fill(&handle, &root).await;
                is_filling.set(false);
            });
        }
        has_given
    }

    /// A descriptor of the same open file, for a thread.
    pub async fn descriptor_of(&self, file: &OpenFile) -> Result<OwnedFd, StoreError> {
        for _ in 0..DESCRIPTOR_TRIES_MAX {
            match fcntl_dupfd_cloexec(&file.plain, 0) {
                Err(Errno::MFILE | Errno::NFILE) => self.free_descriptors().await,
                made => return made.map_err(error_of),
            }
        }
        Err(StoreError::Io(Errno::MFILE))
    }

    /// Closes some files; if there are none that could be closed, others may close theirs.
    async fn free_descriptors(&self) {
        let mut closed = false;
        for _ in 0..DESCRIPTORS_FREED {
            closed |= self.close_one().await;
        }
        if !closed {
            self.handle.sleep(DESCRIPTOR_PAUSE).await;
        }
    }
}

/// Fills the reserve again, as soon as that is possible; until then it looks now and then.
async fn fill(handle: &Handle, root: &Weak<Root>) {
    loop {
        handle.sleep(FILL_PAUSE).await;
        let Some(root) = root.upgrade() else {
            return;
        };
        let filled = handle.blocking(move || root.reserve.as_ref().map(Reserve::fill));
        match filled.await {
            Some(Ok(false)) => {}
            Some(Err(error)) => return tracing::warn!(%error, "no space can be kept back again"),
            Some(Ok(true)) | None => return,
        }
    }
}

/// How many files may be open: each takes one descriptor, or two.
fn files_max(options: &FiledOptions) -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let available = limit.saturating_sub(DESCRIPTORS_RESERVED) / if options.direct { 2 } else { 1 };
    // With fewer the store is slow, not broken.
    let available = usize::try_from(available).unwrap_or(usize::MAX).max(8);
    options.fdcache.min(available)
}

/// What a failed operation on a descriptor means: never that the object is not there (STORE-4).
pub(super) fn error_of(errno: Errno) -> StoreError {
    match errno {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => StoreError::NoSpace,
        // It could only be opened for reading.
        Errno::BADF => StoreError::Io(Errno::ROFS),
        other => StoreError::Io(other),
    }
}
