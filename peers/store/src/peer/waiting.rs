//! Lock requests that wait for others.
//!
//! A notice that calls a request off may come before the request itself, since notices go first: the room remembers the
//! last ones for a while.
//!
//! # Invariants
//! * **WAITING-1** A request that waits does not count among a peer's `nr_ops`, and holds no thread (P1).
//! * **WAITING-2** Its wait ends when it is served, called off, past its deadline, or when the peer stops; then it is
//!   answered.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use archipelago_runtime::{Handle, local};
use xseg::{Errno, Incoming};

/// So many notices are remembered whose requests are not known.
const CALLED_OFF_MAX: usize = 1024;

/// Requests that wait, each with a task of its own.
#[derive(Clone, Debug)]
pub struct WaitingRoom {
    handle: Handle,
    state: Rc<State>,
}

#[derive(Debug, Default)]
struct State {
    guests: RefCell<Vec<Rc<Guest>>>,
    /// Serials of requests that were called off before they came.
    called_off: RefCell<VecDeque<u64>>,
    is_closed: Cell<bool>,
}

#[derive(Debug)]
struct Guest {
    request: RefCell<Option<Incoming>>,
    why: Cell<Option<Errno>>,
    told: local::Notify,
}

/// Tells the work for a request whether it is still wanted.
#[derive(Clone, Debug)]
pub struct Leave {
    guest: Rc<Guest>,
}

impl Leave {
    /// Why the work is to end, if it is.
    pub fn why(&self) -> Option<Errno> {
        self.guest.why.get()
    }

    /// Waits until it is to end.
    pub async fn told(&self) -> Errno {
        loop {
            if let Some(why) = self.why() {
                return why;
            }
            self.guest.told.notified().await;
        }
    }
}

impl Guest {
    fn send_away(&self, why: Errno) {
        if self.why.get().is_none() {
            self.why.set(Some(why));
            self.told.notify_one();
        }
    }
}

impl WaitingRoom {
    pub fn new(handle: &Handle) -> Self {
        Self {
            handle: handle.clone(),
            state: Rc::default(),
        }
    }

    /// Has `work` go on in a task of its own, and gives its output and the request to `answer`. If the wait ends before,
    /// `work` is dropped and the request fails.
    pub fn admit<T: 'static>(
        &self,
        request: Incoming,
        work: impl Future<Output = T> + 'static,
        answer: impl FnOnce(Incoming, T) + 'static,
    ) {
        let work = |leave: Leave| async move { unless_told(&leave, work).await };
        self.admit_with(request, work, answer);
    }

    /// The same for work that must not be dropped: it is told when it is to end, and ends with why.
    pub fn admit_with<T: 'static, W: Future<Output = Result<T, Errno>> + 'static>(
        &self,
        request: Incoming,
        work: impl FnOnce(Leave) -> W,
        answer: impl FnOnce(Incoming, T) + 'static,
    ) {
        let deadline_ns = match request.request().deadline_ns {
            0 => u64::MAX,
            at_ns => at_ns,
        };
        let guest = self.receive(request);
        let work = work(Leave {
            guest: guest.clone(),
        });
        let room = self.clone();
        let _goes_on = self.handle.spawn(async move {
            let outcome = room.until(deadline_ns, &guest, work).await;
            let mut guests = room.state.guests.borrow_mut();
            guests.retain(|other| !Rc::ptr_eq(other, &guest));
            drop(guests);
            let Some(request) = guest.request.take() else {
                return;
            };
            match outcome {
                Ok(output) => answer(request, output),
                Err(errno) => request.fail(errno),
            }
        });
    }

    fn receive(&self, request: Incoming) -> Rc<Guest> {
        let serial = request.request().serial;
        let guest = Rc::new(Guest {
            request: RefCell::new(Some(request)),
            why: Cell::new(None),
            told: local::Notify::new(),
        });
        let mut called_off = self.state.called_off.borrow_mut();
        if let Some(at) = called_off.iter().position(|other| *other == serial) {
            called_off.remove(at);
            guest.send_away(Errno::CANCELED);
        }
        if self.state.is_closed.get() {
            guest.send_away(Errno::AGAIN);
        }
        self.state.guests.borrow_mut().push(guest.clone());
        guest
    }

    /// The work, which is told to end at the deadline.
    async fn until<T>(
        &self,
        deadline_ns: u64,
        guest: &Guest,
        work: impl Future<Output = Result<T, Errno>>,
    ) -> Result<T, Errno> {
        let mut work = pin!(work);
        let on_time = self.handle.timeout_at_ns(deadline_ns, work.as_mut()).await;
        if let Ok(outcome) = on_time {
            return outcome;
        }
        guest.send_away(Errno::TIMEDOUT);
        work.await
    }

    /// Ends the wait of the request that the notice calls off, now or when it comes. Tells whether it was there.
    pub fn call_off(&self, notice: &Incoming) -> bool {
        let guests = self.state.guests.borrow();
        let called_off = guests.iter().find(|guest| {
            let request = guest.request.borrow();
            request.as_ref().is_some_and(|one| notice.cancels(one))
        });
        if let Some(guest) = called_off {
            guest.send_away(Errno::CANCELED);
            return true;
        }
        let [_, serial, ..] = notice.args();
        let mut called_off = self.state.called_off.borrow_mut();
        if called_off.len() == CALLED_OFF_MAX {
            called_off.pop_front();
        }
        called_off.push_back(serial);
        false
    }

    /// Ends all waits (P2), those that are still to begin as well: whoever waits is told to ask again, and finds the next
    /// incarnation.
    pub fn close(&self) {
        self.state.is_closed.set(true);
        for guest in self.state.guests.borrow().iter() {
            guest.send_away(Errno::AGAIN);
        }
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.state.guests.borrow().len()
    }
}

/// The work, until it is to end. What is done at the same moment counts as done.
async fn unless_told<T>(leave: &Leave, work: impl Future<Output = T>) -> Result<T, Errno> {
    let (mut work, mut told) = (pin!(work), pin!(leave.told()));
    poll_fn(|context| {
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        told.as_mut().poll(context).map(Err)
    })
    .await
}
