//! An operation on its way.

use std::ffi::CString;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use rustix::io::Errno;

use super::place::{Done, Place};
use super::pool::Pool;

/// How an operation ended, and what it was about.
#[derive(Debug)]
pub(crate) struct Landing<K> {
    /// The number of bytes, where there are any.
    pub result: Result<usize, Errno>,
    /// The version of the object that the operation found or made.
    pub version: u64,
    pub kept: K,
}

/// Dropped before its end, it goes on, and what it is about is kept until then (LIBRADOS-1).
#[derive(Debug)]
#[must_use = "it goes on whether it is awaited or not"]
pub(crate) struct Flight<K: 'static> {
    place: Place,
    kept: Option<K>,
    pool: Rc<Pool>,
    /// What it changes, if it may be given up.
    changes: Option<CString>,
}

impl<K: 'static> Flight<K> {
    pub(super) fn new(place: Place, kept: K, pool: Rc<Pool>, changes: Option<CString>) -> Self {
        Self {
            place,
            kept: Some(kept),
            pool,
            changes,
        }
    }
}

// Nothing of it is pinned.
impl<K: 'static> Unpin for Flight<K> {}

impl<K: 'static> Future for Flight<K> {
    type Output = Landing<K>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Landing<K>> {
        let Poll::Ready(Done { code, version }) = self.place.poll(context.waker()) else {
            return Poll::Pending;
        };
        if code == -Errno::TIMEDOUT.raw_os_error() {
            if let Some(object) = self.changes.take() {
                self.pool.late.add(object); // LATE-1
            }
        } else {
            self.pool.heard.set(self.pool.heard.get() + 1);
        }
        if self.pool.refusal.swallows(code) {
            return Poll::Pending; // for ever: the process ends
        }
        let kept = self.kept.take().expect("it is not polled after its end");
        Poll::Ready(Landing {
            result: usize::try_from(code).map_err(|_| errno(code)),
            version,
            kept,
        })
    }
}

impl<K: 'static> Drop for Flight<K> {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take() {
            if let Some(object) = self.changes.take() {
                self.pool.late.add(object); // nobody will see that its time is over
            }
            self.pool.keep_until(self.place.clone(), Box::new(kept));
        }
    }
}

/// A failure is a failure, also with a number that the kernel does not have (STORE-4).
pub(super) fn errno(code: i32) -> Errno {
    match code.checked_neg() {
        Some(number @ 1..4096) => Errno::from_raw_os_error(number),
        _ => Errno::IO,
    }
}
