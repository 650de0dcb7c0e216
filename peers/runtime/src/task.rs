//! Tasks: futures that the reactor polls when they were woken.
//!
//! # Invariants
//! * **TASK-1** A waker may be used by any thread and at any time, also when its task is over: it names a place, and
//!   whatever task has that place then is polled once too often at the worst.
//! * **TASK-2** A task that was woken while it was being polled is polled once more.
//! * **TASK-3** A future is dropped on its own thread, while nothing of the reactor is borrowed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::remote::Remote;
use crate::tenant::Tenant;

/// The place of the future that [`crate::Reactor::block_on`] was given.
pub(crate) const ROOT: u32 = u32::MAX;

type Body = Pin<Box<dyn Future<Output = ()>>>;

/// All tasks of a reactor but its root.
#[derive(Debug)]
pub(crate) struct Tasks {
    places: RefCell<Vec<Place>>,
    free: RefCell<Vec<u32>>,
    remote: Arc<Remote>,
    closed: Cell<bool>,
    /// What is polled in this round. Kept for its memory.
    round: RefCell<VecDeque<u32>>,
}

struct Place {
    body: Option<Body>,
    /// Made once, used by all tasks that come to this place. `None` while the task is polled.
    waker: Option<Waker>,
    woken: Arc<TaskWaker>,
    taken: bool,
    tenant: Tenant,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct TaskWaker {
    place: u32,
    queued: AtomicBool,
    remote: Arc<Remote>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // AcqRel: what the waker's thread did comes before the poll that clears the flag (TASK-2).
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.remote.push_ready(self.place);
        }
    }
}

fn new_waker(place: u32, remote: &Arc<Remote>) -> Arc<TaskWaker> {
    Arc::new(TaskWaker {
        place,
        queued: AtomicBool::new(false),
        remote: remote.clone(),
    })
}

/// Wakes the root, and knows whether it was woken.
#[derive(Debug)]
pub(crate) struct RootWaker {
    woken: Arc<TaskWaker>,
    waker: Waker,
}

impl RootWaker {
    pub fn new(remote: &Arc<Remote>) -> Self {
        let woken = new_waker(ROOT, remote);
        Self {
            waker: woken.clone().into(),
            woken,
        }
    }

    pub fn poll<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        self.woken.queued.store(false, Ordering::Release);
        future.poll(&mut Context::from_waker(&self.waker))
    }
}

impl Tasks {
    pub fn new(remote: Arc<Remote>) -> Self {
        Self {
            places: RefCell::default(),
            free: RefCell::default(),
            remote,
            closed: Cell::new(false),
            round: RefCell::default(),
        }
    }

    /// A new task, to be polled soon. After the end of the reactor it is dropped at once.
    pub fn spawn(&self, body: Body) -> Waker {
        if self.closed.get() {
            drop(body);
            return Waker::noop().clone();
        }
        let place = self.free.borrow_mut().pop();
        let mut places = self.places.borrow_mut();
        let index = place.unwrap_or_else(|| {
            let index = u32::try_from(places.len()).expect("memory ends before 2^32 tasks");
            let woken = new_waker(index, &self.remote);
            places.push(Place {
                body: None,
                waker: Some(woken.clone().into()),
                woken,
                taken: false,
                tenant: Tenant::NOBODY,
            });
            index
        });
        let place = &mut places[index as usize];
        place.body = Some(body);
        place.taken = true;
        place.tenant = Tenant::present(); // TENANT-1
        let waker: Waker = place.woken.clone().into();
        drop(places);
        waker.wake_by_ref();
        waker
    }

    /// Polls what is ready now. What becomes ready meanwhile waits for the next round. Tells whether the root is
    /// among it, and whether there was anything.
    pub fn run_round(&self) -> Round {
        let mut round = self.round.take();
        self.remote.take_ready(&mut round);
        let mut done = Round {
            any: !round.is_empty(),
            root: false,
        };
        while let Some(index) = round.pop_front() {
            if index == ROOT {
                done.root = true;
            } else {
                self.poll(index);
            }
        }
        self.round.replace(round);
        done
    }

    fn poll(&self, index: u32) {
        let (mut body, waker, tenant) = {
            let mut places = self.places.borrow_mut();
            let place = &mut places[index as usize];
            // Release: pairs with the swap of a waker that finds it cleared.
            place.woken.queued.store(false, Ordering::Release);
            let Some(body) = place.body.take() else {
                return; // over since it was woken (TASK-1)
            };
            (
                body,
                place.waker.take().expect("given back after each poll"),
                place.tenant,
            )
        };
        let entered = tenant.enter();
        let polled = body.as_mut().poll(&mut Context::from_waker(&waker));
        let over = polled.is_ready();
        let body = if over {
            drop(body); // TASK-3
            None
        } else {
            Some(body)
        };
        drop(entered);
        let mut places = self.places.borrow_mut();
        let place = &mut places[index as usize];
        place.waker = Some(waker);
        place.body = body;
        if over {
            place.taken = false;
            drop(places);
            self.free.borrow_mut().push(index);
        }
    }

    /// Drops all tasks, and those that their ends begin.
    pub fn close(&self) {
        self.closed.set(true);
        loop {
            let next = {
                let mut places = self.places.borrow_mut();
                let mut full = places.iter_mut();
                full.find_map(|place| Some((place.body.take()?, place.tenant)))
            };
            match next {
                Some((body, tenant)) => tenant.within(|| drop(body)), // TASK-3
                None => return,
            }
        }
    }

    /// How many tasks there are.
    pub fn count(&self) -> usize {
        self.places.borrow().len() - self.free.borrow().len()
    }
}

/// What a round had to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub any: bool,
    pub root: bool,
}

/// A task's result, awaited. Dropped, the task goes on by itself.
pub struct Task<T> {
    shared: Rc<Shared<T>>,
}

struct Shared<T> {
    result: Cell<Option<T>>,
    waiting: Cell<Option<Waker>>,
    aborted: Cell<bool>,
    task: Cell<Option<Waker>>,
}

impl<T> std::fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

impl<T: 'static> Task<T> {
    pub(crate) fn spawn(tasks: &Tasks, future: impl Future<Output = T> + 'static) -> Self {
        let shared = Rc::new(Shared {
            result: Cell::new(None),
            waiting: Cell::new(None),
            aborted: Cell::new(false),
            task: Cell::new(None),
        });
        let own = shared.clone();
        let waker = tasks.spawn(Box::pin(async move {
            if let Some(result) = unless_aborted(future, &own).await {
                own.result.set(Some(result));
            }
            if let Some(waiting) = own.waiting.take() {
                waiting.wake();
            }
        }));
        shared.task.set(Some(waker));
        Self { shared }
    }
}

impl<T> Task<T> {
    /// Drops the task's future as soon as it would be polled next. A result that is there already is lost.
    pub fn abort(self) {
        self.shared.aborted.set(true);
        if let Some(task) = self.shared.task.take() {
            task.wake();
        }
    }
}

/// `None`: it was aborted.
async fn unless_aborted<T>(future: impl Future<Output = T>, shared: &Shared<T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        if shared.aborted.get() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(context).map(Some)
    })
    .await
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if let Some(result) = self.shared.result.take() {
            return Poll::Ready(result);
        }
        self.shared.waiting.set(Some(context.waker().clone()));
        Poll::Pending
    }
}
