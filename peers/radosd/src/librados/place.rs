//! Where a completion leaves its result: shared by the thread of librados that brings it and the task that waits for it.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::symbols::{Opaque, Symbols};

/// What an operation ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Done {
    /// A count, or an errno below zero.
    pub code: i32,
    /// The version of the object then.
    pub version: u64,
}

#[derive(Debug, Default)]
struct State {
    done: Option<Done>,
    waker: Option<Waker>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    state: Arc<Mutex<State>>,
}

/// What the callback is given, for good.
struct Argument {
    place: Place,
    symbols: &'static Symbols,
}

impl Place {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn settle(&self, done: Done) {
        let mut state = self.state();
        state.done = Some(done);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub fn is_settled(&self) -> bool {
        self.state().done.is_some()
    }

    pub fn poll(&self, waker: &Waker) -> Poll<Done> {
        let mut state = self.state();
        match state.done {
            Some(done) => Poll::Ready(done),
            None => {
                state.waker = Some(waker.clone());
                Poll::Pending
            }
        }
    }

    /// Begins an operation: `submit` gets a completion that will bring its result here. If librados does not take it, its answer is the
    /// result.
    pub fn await_completion(&self, symbols: &'static Symbols, submit: impl FnOnce(Opaque) -> i32) {
        let argument = Box::into_raw(Box::new(Argument {
            place: self.clone(),
            symbols,
        }));
        let mut completion: Opaque = std::ptr::null_mut();
        // SAFETY: the callback takes the argument as it is given here, and the completion is ours to fill.
        let made = unsafe {
            (symbols.rados_aio_create_completion)(
                argument.cast(),
                Some(completed),
                None,
                &raw mut completion,
            )
        };
        let submitted = if made < 0 { made } else { submit(completion) };
        if submitted >= 0 {
            return;
        }
        if made >= 0 {
            // SAFETY: librados did not take the operation, so the completion is ours alone.
            unsafe { (symbols.rados_aio_release)(completion) };
        }
        // SAFETY: made above; the callback is never called (LIBRADOS-2).
        drop(unsafe { Box::from_raw(argument) });
        self.settle(Done {
            code: submitted,
            version: 0,
        });
    }
}

/// Called on a thread of librados, which must not be kept waiting.
extern "C" fn completed(completion: Opaque, argument: *mut c_void) {
    // SAFETY: made by `await_completion` for this call, which is the only one (LIBRADOS-2).
    let argument = unsafe { Box::from_raw(argument.cast::<Argument>()) };
    let symbols = argument.symbols;
    // SAFETY: the completion is complete, and ours until it is released below.
    let code = unsafe { (symbols.rados_aio_get_return_value)(completion) };
    // SAFETY: as above.
    let version = unsafe { (symbols.rados_aio_get_version)(completion) };
    // SAFETY: as above; nobody uses it after this.
    unsafe { (symbols.rados_aio_release)(completion) };
    argument.place.settle(Done { code, version });
}
