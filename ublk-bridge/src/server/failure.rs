//! What is told of a device whose tags are refused, or done.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use archipelago_runtime::local::Notify;

use super::error::ServeError;

/// What becomes of a device's tags. Clones are the same device's.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    shared: Rc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    first: RefCell<Option<ServeError>>,
    is_over: Cell<bool>,
    changed: Notify,
}

impl Failure {
    /// A tag is refused. The first is told.
    pub fn note(&self, error: ServeError) {
        let mut first = self.shared.first.borrow_mut();
        if first.is_none() {
            tracing::error!(%error, "requests of a ublk device cannot be served any more");
            *first = Some(error);
            self.shared.changed.notify_all();
        }
    }

    /// All tags are done.
    pub fn end(&self) {
        self.shared.is_over.set(true);
        self.shared.changed.notify_all();
    }

    /// As soon as one tag is refused, or when all are done (DEVICE-3).
    pub async fn first_or_end(&self) -> Result<(), ServeError> {
        loop {
            if let Some(error) = &*self.shared.first.borrow() {
                return Err(error.clone());
            }
            if self.shared.is_over.get() {
                return Ok(());
            }
            self.shared.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_tag_that_is_refused_is_told_while_others_go_on() {
        // DEVICE-3
        let error = |tag| ServeError::Command {
            queue: 0,
            tag,
            source: Errno::INVAL,
        };
        let failure = Failure::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut told = pin!(failure.first_or_end());
        assert_eq!(told.as_mut().poll(&mut context), Poll::Pending);
        failure.note(error(3));
        failure.note(error(4));
        assert_eq!(told.poll(&mut context), Poll::Ready(Err(error(3))));
    }

    #[test]
    fn a_device_that_is_stopped_ends_without_an_error() {
        let failure = Failure::default();
        failure.end();
        let mut context = Context::from_waker(Waker::noop());
        let told = pin!(failure.first_or_end()).poll(&mut context);
        assert_eq!(told, Poll::Ready(Ok(())));
    }
}
