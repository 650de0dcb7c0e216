//! Two things at once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Runs two futures in turns until both are done. Needs no executor of its own.
pub async fn join<A: Future, B: Future>(first: A, second: B) -> (A::Output, B::Output) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut from_first, mut from_second) = (None, None);
    poll_fn(|context| {
        if from_first.is_none()
            && let Poll::Ready(output) = first.as_mut().poll(context)
        {
            from_first = Some(output);
        }
        if from_second.is_none()
            && let Poll::Ready(output) = second.as_mut().poll(context)
        {
            from_second = Some(output);
        }
        if from_first.is_none() || from_second.is_none() {
            return Poll::Pending;
        }
        let both = from_first.take().zip(from_second.take());
        Poll::Ready(both.expect("both are there, by the check above"))
    })
    .await
}
