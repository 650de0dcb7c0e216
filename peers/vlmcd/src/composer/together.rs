//! Several futures at once.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// Runs the work, at most `at_once` at a time. After a failure no more is begun, but all that was is run to its end: a
/// part of a request that is away must come home. Tells the first failure.
pub async fn all<E, F>(mut work: Vec<F>, at_once: usize) -> Result<(), E>
where
    F: Future<Output = Result<(), E>>,
{
    if work.len() == 1
        && let Some(only) = work.pop()
    {
        return only.await;
    }
    let mut waiting = work.into_iter();
    let mut running: Vec<Pin<Box<F>>> = Vec::new();
    let mut failure = None;
    std::future::poll_fn(|context| {
        loop {
            while failure.is_none()
                && running.len() < at_once.max(1)
                && let Some(next) = waiting.next()
            {
                running.push(Box::pin(next));
            }
            let before = running.len();
            running.retain_mut(|future| match future.as_mut().poll(context) {
                Poll::Pending => true,
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(error)) => {
                    failure.get_or_insert(error);
                    false
                }
            });
            if running.is_empty() && (failure.is_some() || waiting.len() == 0) {
                return Poll::Ready(());
            }
            if running.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
    failure.map_or(Ok(()), Err)
}
