//! What is heard of locks for which somebody waits: from this peer, and from the kernel, which tells what others of this machine do
//! in a lock's directory.
//!
//! # Invariants
//! * **NEWS-1** The first who waits for a lock has it watched before he looks at it: between his look and his wait nothing goes
//!   unnoticed that the kernel tells.
//! * **NEWS-2** Nobody relies on it. Changes by other machines are told by nobody, watches may run out, and there may be no `/proc`: whoever
//!   waits looks by himself as well.
//! * **NEWS-3** A watch ends with the last who waits for its lock.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use archipelago_runtime::{Handle, local};
use archipelago_store::ObjectName;
use rustix::fs::inotify;
use rustix::io::Errno;

use super::core::Engine;

/// Of some events; the others are told by the next read.
const EVENT_BYTES: usize = 4096;

/// All that is heard of locks.
#[derive(Debug, Default)]
pub(crate) struct LockNews {
    count: Cell<u64>,
    told: local::Notify,
    /// Of the kernel, from the first wait on; none if it gives none.
    inotify: OnceCell<Option<Arc<OwnedFd>>>,
    watches: RefCell<HashMap<ObjectName, Watch>>,
}

#[derive(Debug, Default)]
struct Watch {
    waiting: usize,
    /// None as long as it is not set.
    descriptor: Option<i32>,
}

/// One who waits for a lock, until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    news: Rc<LockNews>,
    name: ObjectName,
}

impl LockNews {
    /// So much was heard so far.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// Until something is heard.
    pub async fn told(&self) {
        self.told.notified().await;
    }

    pub fn tell(&self) {
        self.count.set(self.count.get() + 1);
        self.told.notify_all();
    }

    /// Locks that the kernel tells of.
    #[cfg(test)]
    pub fn watched(&self) -> usize {
        let watches = self.watches.borrow();
        let is_set = |watch: &&Watch| watch.descriptor.is_some();
        watches.values().filter(is_set).count()
    }

    /// As where the kernel gives nothing to hear with.
    #[cfg(test)]
    pub fn be_deaf(&self) {
        self.inotify.set(None).expect("nobody has waited so far");
    }

    #[cfg(test)]
    pub fn is_anybody_waiting(&self) -> bool {
        !self.watches.borrow().is_empty()
    }

    fn inotify(self: &Rc<Self>, handle: &Handle) -> Option<Arc<OwnedFd>> {
        let begin = || {
            let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
            let made = inotify::init(flags)
                .inspect_err(|errno| tracing::debug!(%errno, "locks are not watched"));
            let fd = Arc::new(made.ok()?);
            let (news, heard) = (self.clone(), handle.clone());
            let own = fd.clone();
            handle.spawn(async move { news.listen(&heard, &own).await });
            Some(fd)
        };
        self.inotify.get_or_init(begin).clone()
    }

    /// As long as the kernel tells.
    async fn listen(&self, handle: &Handle, inotify: &Arc<OwnedFd>) {
        let readable = match rustix::io::fcntl_dupfd_cloexec(inotify, 0) {
            Ok(fd) => Rc::new(fd),
            Err(errno) => return tracing::debug!(%errno, "locks are not watched"),
        };
        while handle.readable(&readable).await.is_ok() {
            let mut events = [0; EVENT_BYTES];
            match rustix::io::read(&readable, &mut events) {
                Ok(_) => self.tell(), // whichever it is: they are few, and to look costs little
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

impl Engine {
    /// From now on something is heard when the lock may have become free (NEWS-1).
    pub(super) async fn watch_lock(&self, name: &ObjectName) -> Waiting {
        let news = &self.lock_news;
        let is_first = {
            let mut watches = news.watches.borrow_mut();
            let watch = watches.entry(name.clone()).or_default();
            watch.waiting += 1;
            watch.waiting == 1
        };
        let waiting = Waiting {
            news: news.clone(),
            name: name.clone(),
        };
        if is_first && let Some(inotify) = news.inotify(&self.handle) {
            let (lock, fd) = (name.clone(), inotify.clone());
            let set = self
                .blocking(move |root| root.locks.watch(&lock, &fd))
                .await;
            match set {
                Ok(descriptor) => {
                    let mut watches = news.watches.borrow_mut();
                    let watch = watches.get_mut(name).expect("we wait for it");
                    watch.descriptor = Some(descriptor);
                }
                Err(errno) => tracing::debug!(lock = %name, %errno, "not watched"),
            }
        }
        waiting
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut watches = self.news.watches.borrow_mut();
        let watch = watches.get_mut(&self.name).expect("it counts us");
        watch.waiting -= 1;
        if watch.waiting > 0 {
            return;
        }
        let gone = watches
            .remove(&self.name)
            .and_then(|watch| watch.descriptor);
        if let (Some(descriptor), Some(Some(inotify))) = (gone, self.news.inotify.get()) {
            let _ = inotify::remove_watch(inotify, descriptor); // its directory may be gone, and the watch with it
        }
    }
}
