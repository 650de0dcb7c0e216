//! Threads for calls that block: what io_uring lacks, and files when there is no io_uring.
//!
//! # Invariants
//! * **POOL-1** No more than the greatest number of threads, and none that nobody needs: an idle one ends after a while.
//! * **POOL-2** When the pool has ended none of its work goes on (S6: the ports are given back after that).
//! * **POOL-3** A file operation that was handed over is completed exactly once, also when it is cancelled or the pool
//!   stops before it was begun.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::io::Errno;

use crate::kernel::{RawCall, block_all_signals};
use crate::remote::{Remote, lock};
use crate::tenant::Tenant;

/// Threads that are started when they are needed.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    remote: Arc<Remote>,
    threads_max: usize,
    idle_max: Duration,
    state: Mutex<State>,
    /// There is work, or the pool stops.
    work: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    stops: bool,
}

enum Job {
    Call(u64, RawCall),
    Work(Box<dyn FnOnce() + Send>),
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call(token, call) => f.debug_tuple("Call").field(token).field(call).finish(),
            Self::Work(_) => f.write_str("Work"),
        }
    }
}

impl Pool {
    pub fn new(remote: Arc<Remote>, threads_max: usize, idle_max: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                remote,
                threads_max,
                idle_max,
                state: Mutex::default(),
                work: Condvar::new(),
                ended: Condvar::new(),
            }),
        }
    }

    /// Has a thread do a file's operation.
    pub fn add(&self, token: u64, call: RawCall) {
        self.push(Job::Call(token, call));
    }

    /// Has a thread do `work`. See [`crate::Handle::blocking`].
    pub fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Blocking<T> {
        let place = Arc::new(Mutex::new(Place {
            result: None,
            waker: None,
            given_up: false,
        }));
        let theirs = place.clone();
        let tenant = Tenant::present();
        self.push(Job::Work(Box::new(move || {
            if lock(&theirs).given_up {
                return;
            }
            let result = catch_unwind(AssertUnwindSafe(|| tenant.within(work)));
            let mut place = lock(&theirs);
            if place.given_up {
                return;
            }
            place.result = Some(result);
            let waker = place.waker.take();
            drop(place);
            if let Some(waker) = waker {
                waker.wake();
            }
        })));
        Blocking { place }
    }

    fn push(&self, job: Job) {
        let mut state = lock(&self.shared.state);
        if state.stops {
            drop(state);
            self.shared.refuse(&job);
            return;
        }
        state.queue.push_back(job);
        if state.idle >= state.queue.len() {
            self.shared.work.notify_one();
        } else if state.threads < self.shared.threads_max && !self.start(&mut state) {
            // No thread can be had: with none at all the work is done here, or it never would be.
            let job = if state.threads == 0 {
                state.queue.pop_back()
            } else {
                None
            };
            drop(state);
            if let Some(job) = job {
                self.shared.run(job);
            }
        }
    }

    fn start(&self, state: &mut State) -> bool {
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new()
            .name("blocking".into())
            .spawn(move || shared.serve());
        state.threads += usize::from(thread.is_ok());
        thread.is_ok()
    }

    /// An operation is not wanted any more. If nobody has begun it nobody does.
    pub fn cancel(&self, token: u64) {
        let mut state = lock(&self.shared.state);
        let is_it = |job: &Job| matches!(job, Job::Call(other, _) if *other == token);
        let place = state.queue.iter().position(is_it);
        let job = place.and_then(|place| state.queue.remove(place));
        drop(state);
        if let Some(job) = job {
            self.shared.refuse(&job);
        }
    }

    /// What was not begun is not done.
    pub fn stop(&self) {
        let mut state = lock(&self.shared.state);
        state.stops = true;
        let jobs = std::mem::take(&mut state.queue);
        drop(state);
        self.shared.work.notify_all();
        for job in jobs {
            self.shared.refuse(&job);
        }
    }

    /// Waits until what was begun is done (POOL-2).
    pub fn join(&self) {
        let state = lock(&self.shared.state);
        let ended = self
            .shared
            .ended
            .wait_while(state, |state| state.threads > 0);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Shared {
    fn serve(&self) {
        block_all_signals();
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                self.run(job);
                state = lock(&self.state);
                continue;
            }
            if state.stops {
                break;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout_while(state, self.idle_max, |state| {
                state.queue.is_empty() && !state.stops
            });
            let (now, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            state.idle -= 1;
            if timeout.timed_out() && state.queue.is_empty() {
                break; // POOL-1
            }
        }
        state.threads -= 1;
        drop(state);
        self.ended.notify_all();
    }

    fn run(&self, job: Job) {
        match job {
            Job::Call(token, call) => self.remote.push_finished((token, call.block_on_file())),
            Job::Work(work) => work(),
        }
    }

    fn refuse(&self, job: &Job) {
        if let Job::Call(token, _) = job {
            let canceled = -Errno::CANCELED.raw_os_error();
            self.remote.push_finished((*token, canceled)); // POOL-3
        }
    }
}

#[derive(Debug)]
struct Place<T> {
    result: Option<std::thread::Result<T>>,
    waker: Option<Waker>,
    given_up: bool,
}

/// What a thread will return: see [`crate::Handle::blocking`].
#[derive(Debug)]
#[must_use = "dropped before it was begun, the work is not done"]
pub struct Blocking<T> {
    place: Arc<Mutex<Place<T>>>,
}

impl<T> Future for Blocking<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut place = lock(&self.place);
        match place.result.take() {
            Some(Ok(result)) => Poll::Ready(result),
            Some(Err(panic)) => {
                drop(place);
                resume_unwind(panic) // as if it had been called here
            }
            None => {
                place.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Blocking<T> {
    fn drop(&mut self) {
        let mut place = lock(&self.place);
        place.given_up = true;
        let unclaimed = place.result.take();
        drop(place);
        drop(unclaimed);
    }
}
