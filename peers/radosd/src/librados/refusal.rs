//! What the cluster says to whom it has fenced.

use std::cell::Cell;

use archipelago_runtime::local::Notify;
use rustix::io::Errno;

/// Once refused, a connection is refused for good: there is no way back but another connection.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    is_refused: Cell<bool>,
    told: Notify,
    /// Nobody hears of it but who waits for it here.
    pub is_quiet: Cell<bool>,
}

impl Refusal {
    /// Takes note of how an operation ended. Tells whether nobody is to hear of it.
    pub(super) fn swallows(&self, code: i32) -> bool {
        if code != -Errno::SHUTDOWN.raw_os_error() {
            return false;
        }
        self.refuse();
        self.is_quiet.get()
    }

    /// It is known, before any operation has said so.
    pub fn refuse(&self) {
        if !self.is_refused.replace(true) {
            self.told.notify_one();
        }
    }

    pub fn is_refused(&self) -> bool {
        self.is_refused.get()
    }

    /// Until an operation was refused.
    pub async fn wait(&self) {
        if !self.is_refused.get() {
            self.told.notified().await;
        }
    }
}
