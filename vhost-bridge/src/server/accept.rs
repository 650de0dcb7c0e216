//! Taking front ends.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::Disk;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::connection::Connection;
use super::elsewhere::JOBS_MAX;
use super::link::Link;
use super::shared::Shared;

/// Pauses after an accept that failed, for want of descriptors perhaps.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// Takes connections for ever.
pub(super) async fn accept<D: Disk>(shared: Rc<Shared<D>>, listener: OwnedFd) {
    let listener = Rc::new(listener);
    let mut pause = PAUSE_FIRST;
    loop {
        match shared.handle.accept(&listener).await {
            Ok(socket) => {
                pause = PAUSE_FIRST;
                admit(&shared, socket).await;
            }
            // It was gone before we came.
            Err(Errno::CONNABORTED) => {}
            Err(errno) => {
                tracing::warn!(%errno, ?pause, "no front end can be taken");
                shared.handle.sleep(pause).await;
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
        }
    }
}

/// Serves it as soon as the last one's requests are done (VHOST-1); a second one beside a first is refused.
pub(super) async fn admit<D: Disk>(shared: &Rc<Shared<D>>, socket: OwnedFd) {
    while shared.elsewhere.jobs() > JOBS_MAX {
        shared.handle.sleep(PAUSE_LONGEST).await;
    }
    while shared.connections.inside() > 0 {
        let current = shared.current.borrow().clone();
        if current.is_some_and(|current| !has_left(&current)) {
            tracing::warn!("a front end is refused: another one has the disk");
            return dismiss(shared, socket);
        }
        shared.connections.empty().await;
    }
    if shared.turns.is_closed() {
        return dismiss(shared, socket);
    }
    begin(shared, Rc::new(socket));
}

/// What it has sent and nobody has read goes with the socket, descriptors as well (VHOST-8).
fn dismiss<D: Disk>(shared: &Shared<D>, socket: OwnedFd) {
    // It hears of it now, whenever it is closed. If it was quicker there is nothing left to shut.
    let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Both);
    shared.elsewhere.close(socket);
}

/// The kernel knows at once, we when it is our turn.
fn has_left(socket: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(socket, PollFlags::RDHUP)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let end = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    poll(&mut polled, Some(&at_once)).is_ok() && polled[0].revents().intersects(end)
}

fn begin<D: Disk>(shared: &Rc<Shared<D>>, socket: Rc<OwnedFd>) {
    let inside = shared.connections.enter();
    shared.current.replace(Some(socket.clone()));
    let link = Link::new(&shared.handle, socket.clone(), &shared.elsewhere);
    let own = shared.clone();
    drop(shared.handle.spawn(async move {
        tracing::info!("a front end has connected");
        match Connection::new(&own, link).serve().await {
            Ok(()) => tracing::info!("the front end has left"),
            Err(error) => tracing::warn!(%error, "the front end's connection was ended"),
        }
        own.current.replace(None);
        if let Some(socket) = Rc::into_inner(socket) {
            dismiss(&own, socket);
        }
        drop(inside);
    }));
}
