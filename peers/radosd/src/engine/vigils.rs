//! Who waits for the change of an object is told of it: one watch for all of them.
//!
//! # Invariants
//! * **VIGIL-1** Between looking at an object and waiting for news of it nothing is missed: whoever has seen the number of the news
//!   before he looked does not wait if it is another one, and what happened before the watch was set counts as news.
//! * **VIGIL-2** Whoever waits looks by himself as well, often if there is no watch, seldom if there is one: a watch is quick, and no
//!   promise.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CString;
use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::Handle;
use archipelago_runtime::local::{Notify, either};

use crate::librados::{News, Pool, Watch};

/// Between looks where nobody tells us.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The same where somebody does: for those of an older program, who tell nobody.
const LOOK_ANYWAY: Duration = Duration::from_secs(2);
/// Between tries to watch what cannot be watched.
const WATCH_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The objects that are watched.
#[derive(Debug, Default)]
pub(super) struct Vigils {
    by_object: RefCell<HashMap<CString, Rc<Vigil>>>,
}

#[derive(Debug, Default)]
struct Vigil {
    watchers: Cell<usize>,
    is_watched: Cell<bool>,
    news: Cell<u64>,
    told: Notify,
    left: Notify,
}

/// One who waits for news of an object, until this is dropped.
#[derive(Debug)]
pub(super) struct Watcher(Rc<Vigil>);

impl Vigil {
    fn tell(&self) {
        self.news.set(self.news.get() + 1);
        self.told.notify_all();
    }
}

impl Watcher {
    /// The number of the news so far.
    pub fn news(&self) -> u64 {
        self.0.news.get()
    }

    /// Until there is news, or it is time to look without.
    pub async fn wait(&self, handle: &Handle) {
        let time = match self.0.is_watched.get() {
            true => LOOK_ANYWAY,
            false => LOOK_EVERY,
        };
        let _either = handle.timeout(time, self.0.told.notified()).await;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.watchers.set(self.0.watchers.get() - 1);
        if self.0.watchers.get() == 0 {
            self.0.left.notify_one();
        }
    }
}

impl Vigils {
    /// From now on the object is watched, as soon as that can be.
    pub fn begin(self: &Rc<Self>, handle: &Handle, pool: &Rc<Pool>, object: CString) -> Watcher {
        let mut by_object = self.by_object.borrow_mut();
        if let Some(vigil) = by_object.get(&object) {
            vigil.watchers.set(vigil.watchers.get() + 1);
            return Watcher(vigil.clone());
        }
        let vigil = Rc::new(Vigil::default());
        vigil.watchers.set(1);
        by_object.insert(object.clone(), vigil.clone());
        let keeper = Keeper {
            vigils: self.clone(),
            vigil: vigil.clone(),
            handle: handle.clone(),
            pool: pool.clone(),
            object,
        };
        handle.spawn(async move { keeper.keep().await });
        Watcher(vigil)
    }
}

/// Keeps a watch for as long as there are watchers.
struct Keeper {
    vigils: Rc<Vigils>,
    vigil: Rc<Vigil>,
    handle: Handle,
    pool: Rc<Pool>,
    object: CString,
}

impl Keeper {
    async fn keep(self) {
        while !self.is_over() {
            // What is not there, or was lost, is looked at by whoever waits.
            let watched = self.pool.watch(&self.object).await;
            if let Ok(watch) = watched {
                self.vigil.is_watched.set(true);
                self.vigil.tell(); // VIGIL-1
                let is_lost = self.listen(&watch).await;
                self.vigil.is_watched.set(false);
                watch.end().await;
                self.vigil.tell();
                if !is_lost {
                    continue;
                }
            }
            let left = self.vigil.left.notified();
            let _either = self.handle.timeout(WATCH_AGAIN_AFTER, left).await;
        }
    }

    /// Until the watch was lost, or nobody wants it any more. Tells whether it was lost.
    async fn listen(&self, watch: &Watch) -> bool {
        while self.vigil.watchers.get() > 0 {
            match either(watch.next(), self.vigil.left.notified()).await {
                Some(News::Told) => self.vigil.tell(),
                Some(News::Lost) => return true,
                None => {}
            }
        }
        false
    }

    /// Who comes later begins another one.
    fn is_over(&self) -> bool {
        let is_over = self.vigil.watchers.get() == 0;
        if is_over {
            self.vigils.by_object.borrow_mut().remove(&self.object);
        }
        is_over
    }
}
