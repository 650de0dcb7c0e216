//! The future of an operation of the kernel's.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use rustix::io::Errno;

use crate::core::Core;
use crate::kernel::{Action, Memory, Outcome};
use crate::slab::Key;

/// Dropped, the operation is cancelled; what it works on is kept until it has ended (OPERATION-1).
#[derive(Debug)]
pub(crate) struct Operation {
    core: Rc<Core>,
    key: Key,
    over: bool,
}

impl Operation {
    pub fn begin(
        core: &Rc<Core>,
        action: Action,
        fd: &Rc<OwnedFd>,
        memory: [Option<Memory>; 2],
    ) -> Self {
        let mut operations = core.operations.borrow_mut();
        let (key, call) = operations.begin(action, fd.clone(), memory);
        match core.waiter.borrow_mut().as_mut() {
            _ if core.is_over.get() => {
                let refused = -Errno::SHUTDOWN.raw_os_error();
                drop(operations.complete((key.to_bits(), refused))); // nobody waits for it yet
            }
            Some(waiter) if core.has_ring => operations.push(waiter, key),
            _ if action.is_stream() => core.poller.add(key.to_bits(), call),
            _ => core.files.add(key.to_bits(), call),
        }
        drop(operations);
        Self {
            core: core.clone(),
            key,
            over: false,
        }
    }
}

impl Future for Operation {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let polled = self.core.operations.borrow_mut().poll(self.key, context);
        self.over = polled.is_ready();
        polled
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let (is_pending, left) = self.core.operations.borrow_mut().forget(self.key);
        drop(left);
        if is_pending {
            self.core.cancel(self.key);
        }
    }
}

impl Core {
    fn cancel(&self, key: Key) {
        match self.waiter.borrow_mut().as_mut() {
            Some(waiter) if self.has_ring => {
                self.operations.borrow_mut().push_cancel(waiter, key);
            }
            _ => {
                self.files.cancel(key.to_bits());
                self.poller.cancel(key.to_bits());
            }
        }
    }

    /// At the end: nobody waits for any operation any more.
    pub(crate) fn cancel_all(&self) {
        let keys = self.operations.borrow().keys();
        for key in keys {
            let (is_pending, left) = self.operations.borrow_mut().forget(key);
            drop(left);
            if is_pending {
                self.cancel(key);
            }
        }
    }
}
