//! A cluster that does not answer: people are told, once, and once more when it does.
//!
//! # Invariants
//! * **SILENCE-1** A cluster is silent from when it has answered nothing for a while that it was asked, until it answers anything: that an
//!   operation's time is over is no answer.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use archipelago_runtime::Handle;
use archipelago_runtime::local::Notify;

/// So long a cluster may take for all that it was asked before anybody is told.
const PATIENCE: Duration = Duration::from_secs(3);

/// Counts requests. Its timer exists only while there are any (W5).
#[derive(Debug, Default)]
pub(crate) struct Silence {
    under_way: Cell<usize>,
    /// Counted where answers come in.
    heard: Rc<Cell<u64>>,
    /// What `heard` was when it was last looked at; nothing if nobody could have been answered before.
    seen: Cell<Option<u64>>,
    /// Since when, and what `heard` was then.
    told: Cell<Option<(SystemTime, u64)>>,
    has_timer: Cell<bool>,
    changed: Notify,
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Rc<Silence>);

/// What a look finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Nothing,
    /// Nothing was heard since the last look, of those under way or of others.
    Silent,
    /// There is nothing to look at any more.
    Idle,
}

impl Silence {
    pub fn new(heard: Rc<Cell<u64>>) -> Self {
        Self {
            heard,
            ..Self::default()
        }
    }

    pub fn begin(self: &Rc<Self>, handle: &Handle) -> UnderWay {
        let request = self.count();
        if !self.has_timer.replace(true) {
            let (silence, handle) = (self.clone(), handle.clone());
            let _goes_on = handle.clone().spawn(async move {
                loop {
                    handle.sleep(PATIENCE).await;
                    match silence.look() {
                        Look::Nothing => {}
                        Look::Silent => tracing::warn!(
                            requests = silence.under_way.get(),
                            "the Ceph cluster has answered nothing for {} s: I/O waits",
                            PATIENCE.as_secs()
                        ),
                        Look::Idle => return,
                    }
                }
            });
        }
        request
    }

    fn count(self: &Rc<Self>) -> UnderWay {
        if self.under_way.get() == 0 {
            self.seen.set(None);
        }
        self.under_way.set(self.under_way.get() + 1);
        UnderWay(self.clone())
    }

    fn look(&self) -> Look {
        self.listen();
        if self.under_way.get() == 0 {
            self.has_timer.set(false);
            return Look::Idle;
        }
        let heard = self.heard.get();
        let is_silent = self.seen.replace(Some(heard)) == Some(heard);
        if is_silent && self.told.get().is_none() {
            let now = SystemTime::now();
            let since = now.checked_sub(PATIENCE).unwrap_or(now);
            self.told.set(Some((since, heard)));
            self.changed.notify_one();
            return Look::Silent;
        }
        Look::Nothing
    }

    /// Has it answered anything since it was silent?
    fn listen(&self) {
        if self
            .told
            .get()
            .is_some_and(|(_, heard)| heard != self.heard.get())
        {
            self.told.set(None);
            self.changed.notify_one();
            tracing::info!("the Ceph cluster answers again");
        }
    }

    /// Since when it has answered nothing, if that is worth telling.
    pub fn since(&self) -> Option<SystemTime> {
        self.told.get().map(|(since, _)| since)
    }

    /// Until that changes.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
        self.0.listen();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_once_that_nothing_is_answered() {
        let silence = Rc::new(Silence::default());
        let answer = |request: UnderWay| {
            silence.heard.set(silence.heard.get() + 1);
            drop(request);
        };
        let (one, other) = (silence.count(), silence.count());
        assert_eq!(silence.look(), Look::Nothing, "it may have begun just now");
        answer(one);
        assert_eq!(silence.look(), Look::Nothing, "one was answered");
        assert_eq!(silence.look(), Look::Silent);
        assert_eq!(silence.look(), Look::Nothing, "that was said");
        assert!(
            silence
                .since()
                .is_some_and(|since| since < SystemTime::now())
        );
        answer(other);
        assert_eq!(silence.since(), None);
        assert_eq!(silence.look(), Look::Idle);
        let again = silence.count();
        assert_eq!(silence.look(), Look::Nothing);
        assert_eq!(silence.look(), Look::Silent);
        drop(again);
    }

    /// SILENCE-1
    #[test]
    fn a_request_whose_time_is_over_was_not_answered() {
        let silence = Rc::new(Silence::default());
        let late = silence.count();
        silence.look();
        assert_eq!(silence.look(), Look::Silent);
        let since = silence.since();
        drop(late);
        assert_eq!(silence.look(), Look::Idle);
        let late = silence.count();
        drop(late);
        assert_eq!(silence.since(), since, "nothing was heard");
        let answered = silence.count();
        silence.heard.set(1);
        drop(answered);
        assert_eq!(silence.since(), None);
    }
}
