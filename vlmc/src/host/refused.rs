//! The end of a host that its cluster has fenced: nothing that it believes counts, and nothing that it has begun is to be answered.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use archipelago_radosd::Radosd;
use rustix::process::{Signal, getpid, kill_process};

/// Kills this process when the cluster of one of its stores refuses it. The next one begins in a tenure of its own, with all other
/// hosts (INSTANCE-2), and its clients see what they see after any death of a host (S8).
pub(super) async fn die_when_refused(stores: Vec<Rc<Radosd>>) {
    let mut refused: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    for store in stores {
        refused.push(Box::pin(async move { store.refused().await }));
    }
    poll_fn(|context| {
        let mut refused = refused.iter_mut();
        match refused.any(|refused| refused.as_mut().poll(context).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    tracing::error!(
        "the cluster refuses this node: somebody has broken a lock of its, or has its name; the host begins anew"
    );
    let _ = kill_process(getpid(), Signal::KILL); // ourselves: it does not fail
}
