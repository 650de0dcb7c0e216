use std::future::{Future, poll_fn};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use archipelago_front::Disk;
use archipelago_runtime::{Handle, Task};

use super::error::RingError;
use super::event::take;
use super::ring::Ring;

/// A ring, and the task that waits for its kicks.
#[derive(Debug)]
pub struct Running<D> {
    pub ring: Rc<Ring<D>>,
    kicks: Option<Task<()>>,
}

impl<D: Disk> Running<D> {
    /// `kick` is an eventfd.
    pub fn new(handle: &Handle, ring: Rc<Ring<D>>, kick: OwnedFd) -> Self {
        let mut running = Self { ring, kicks: None };
        running.kicked_by(handle, kick);
        running
    }

    /// Nothing more is taken; what was is done.
    pub async fn stop(mut self) -> Rc<Ring<D>> {
        self.forget_kicks();
        self.ring.pause().await;
        self.ring
    }

    /// Waits for other kicks from now on.
    pub fn kicked_by(&mut self, handle: &Handle, kick: OwnedFd) {
        self.forget_kicks();
        let kicks = wait_for_kicks(handle.clone(), self.ring.clone(), Rc::new(kick));
        self.kicks = Some(handle.spawn(kicks));
    }

    fn forget_kicks(&mut self) {
        if let Some(kicks) = self.kicks.take() {
            kicks.abort();
        }
    }
}

async fn wait_for_kicks<D: Disk>(handle: Handle, ring: Rc<Ring<D>>, kick: Rc<OwnedFd>) {
    let mut kicked = Box::pin(kicked(&handle, &kick));
    loop {
        ring.take_all();
        if ring.is_broken() {
            return;
        }
        let mut seen = pin!(ring.seen());
        let was_kicked = poll_fn(|context| match kicked.as_mut().poll(context) {
            Poll::Ready(was_kicked) => Poll::Ready(Some(was_kicked)),
            Poll::Pending => seen.as_mut().poll(context).map(|()| None),
        });
        match was_kicked.await {
            Some(Ok(())) => kicked.set(self::kicked(&handle, &kick)),
            Some(Err(error)) => return ring.break_down(&error),
            None => {}
        }
    }
}

async fn kicked(handle: &Handle, kick: &Rc<OwnedFd>) -> Result<(), RingError> {
    handle.readable(kick).await.map_err(RingError::Kick)?;
    take(&**kick).map(drop).map_err(RingError::Kick)
}
