//! Lock requests that wait for others.
//!
//! # Invariants
//! * **WAITING-1** A request that waits does not count among a peer's `nr_ops`, and holds no thread (P1).
//! * **WAITING-2** Its wait ends when it is served, called off, past its deadline, or when the peer stops; then it is
//!   answered.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use archipelago_runtime::{Handle, local};
use xseg::{Errno, Incoming};

/// Requests that wait, each with a task of its own.
#[derive(Clone, Debug)]
pub struct WaitingRoom {
    handle: Handle,
    guests: Rc<RefCell<Vec<Rc<Guest>>>>,
}

#[derive(Debug)]
struct Guest {
    request: RefCell<Option<Incoming>>,
    leave: local::Notify,
    why: RefCell<Option<Errno>>,
}

impl Guest {
    fn send_away(&self, why: Errno) {
        self.why.borrow_mut().get_or_insert(why);
        self.leave.notify_one();
    }
}

impl WaitingRoom {
    pub fn new(handle: &Handle) -> Self {
        Self {
            handle: handle.clone(),
            guests: Rc::default(),
        }
    }

    /// Has `work` go on in a task of its own, and gives its output and the request to `answer`; unless the wait ends
    /// before: then the request fails.
    pub fn admit<T: 'static>(
        &self,
        request: Incoming,
        work: impl Future<Output = T> + 'static,
        answer: impl FnOnce(Incoming, T) + 'static,
    ) {
        let deadline_ns = match request.request().deadline_ns {
            0 => u64::MAX,
            at_ns => at_ns,
        };
        let guest = Rc::new(Guest {
            request: RefCell::new(Some(request)),
            leave: local::Notify::new(),
            why: RefCell::default(),
        });
        self.guests.borrow_mut().push(guest.clone());
        let room = self.clone();
        let _goes_on = self.handle.spawn(async move {
            let outcome = room.handle.timeout_at_ns(deadline_ns, serve(&guest, work));
            let outcome = outcome.await.unwrap_or(Err(Errno::TIMEDOUT));
            room.guests
                .borrow_mut()
                .retain(|other| !Rc::ptr_eq(other, &guest));
            let Some(request) = guest.request.take() else {
                return;
            };
            match outcome {
                Ok(output) => answer(request, output),
                Err(errno) => request.fail(errno),
            }
        });
    }

    /// Ends the wait of the request that the notice calls off. Tells whether there was one.
    pub fn call_off(&self, notice: &Incoming) -> bool {
        let guests = self.guests.borrow();
        let called_off = guests.iter().find(|guest| {
            let request = guest.request.borrow();
            request.as_ref().is_some_and(|one| notice.cancels(one))
        });
        if let Some(guest) = called_off {
            guest.send_away(Errno::CANCELED);
        }
        called_off.is_some()
    }

    /// Ends all waits (P2): whoever waits is told to ask again, and finds the next incarnation.
    pub fn close(&self) {
        for guest in self.guests.borrow().iter() {
            guest.send_away(Errno::AGAIN);
        }
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.guests.borrow().len()
    }
}

/// The work, until the guest is sent away. What is done at the same moment counts as done.
async fn serve<T>(guest: &Guest, work: impl Future<Output = T>) -> Result<T, Errno> {
    let (mut work, mut leave) = (pin!(work), pin!(guest.leave.notified()));
    poll_fn(|context| {
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        if leave.as_mut().poll(context).is_ready() {
            let why = guest.why.borrow().unwrap_or(Errno::CANCELED);
            return Poll::Ready(Err(why));
        }
        Poll::Pending
    })
    .await
}
