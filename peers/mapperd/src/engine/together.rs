//! Several futures at once, as many as may run at a time.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// Runs all of `work`, at most `at_once` at a time, and gives what they gave, in their order.
pub async fn all<F: Future>(work: impl IntoIterator<Item = F>, at_once: usize) -> Vec<F::Output> {
    let mut waiting = work.into_iter().enumerate();
    let mut running: Vec<(usize, Pin<Box<F>>)> = Vec::new();
    let mut results: Vec<Option<F::Output>> = Vec::new();
    std::future::poll_fn(|context| {
        loop {
            while running.len() < at_once.max(1)
                && let Some((index, future)) = waiting.next()
            {
                results.push(None);
                running.push((index, Box::pin(future)));
            }
            let before = running.len();
            running.retain_mut(|(index, future)| match future.as_mut().poll(context) {
                Poll::Ready(value) => {
                    results[*index] = Some(value);
                    false
                }
                Poll::Pending => true,
            });
            if running.len() == before {
                break;
            }
        }
        if running.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    results
        .into_iter()
        .map(|result| result.expect("none is left running"))
        .collect()
}

/// The same for work that can fail: all of it is run to its end, and the first failure told.
pub async fn try_all<F, T, E>(
    work: impl IntoIterator<Item = F>,
    at_once: usize,
) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<T, E>>,
{
    all(work, at_once).await.into_iter().collect()
}
