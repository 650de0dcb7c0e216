//! Many things at once, on one thread.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Runs all futures until each is done.
pub(super) async fn in_parallel<'a>(mut all: Vec<Pin<Box<dyn Future<Output = ()> + 'a>>>) {
    poll_fn(|context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}
