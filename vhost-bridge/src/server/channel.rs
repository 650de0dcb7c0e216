//! Notices to a front end.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::Disk;
use archipelago_runtime::Task;

use super::link::Link;
use super::shared::Shared;
use crate::message::Notice;

const PAUSE: Duration = Duration::from_millis(1);

/// Tells a front end of what changes, on a socket that it gave us for that. Dropped, it no longer does.
///
/// It is a task of its own: a front end that does not read there makes nobody wait, and has one notice to come at most.
#[derive(Debug)]
pub struct Channel<D: Disk> {
    shared: Rc<Shared<D>>,
    socket: Option<Rc<OwnedFd>>,
    task: Option<Task<()>>,
    is_due: Rc<Cell<bool>>,
}

impl<D: Disk> Channel<D> {
    /// What changed after `version` is told at once.
    pub fn new(shared: &Rc<Shared<D>>, socket: OwnedFd, version: u64) -> Self {
        let (socket, is_due) = (Rc::new(socket), Rc::new(Cell::new(false)));
        let link = Link::new(&shared.handle, socket.clone(), &shared.elsewhere);
        let telling = tell(shared.clone(), link, version, is_due.clone());
        Self {
            shared: shared.clone(),
            socket: Some(socket),
            task: Some(shared.handle.spawn(telling)),
            is_due,
        }
    }

    /// One notice, whether something has changed or not.
    pub fn tell(&self) {
        self.is_due.set(true);
        self.shared.changed.notify_all();
    }
}

impl<D: Disk> Drop for Channel<D> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        // The kernel may not be done with it yet. Descriptors that somebody has sent there go with it (VHOST-8).
        if let Some(mut socket) = self.socket.take() {
            let shared = self.shared.clone();
            drop(self.shared.handle.spawn(async move {
                loop {
                    match Rc::try_unwrap(socket) {
                        Ok(socket) => return shared.elsewhere.close(socket),
                        Err(again) => socket = again,
                    }
                    shared.handle.sleep(PAUSE).await;
                }
            }));
        }
    }
}

async fn tell<D: Disk>(
    shared: Rc<Shared<D>>,
    link: Link,
    mut version: u64,
    is_due: Rc<Cell<bool>>,
) {
    loop {
        while shared.version.get() == version && !is_due.get() {
            shared.changed.notified().await;
        }
        version = shared.version.get();
        is_due.set(false);
        if let Err(error) = link.send(&Notice::ConfigChanged.to_bytes(), None).await {
            tracing::warn!(%error, "a front end is not told that its disk has changed");
            return;
        }
    }
}
