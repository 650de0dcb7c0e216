//! What the supervisor is told from outside: by signals, as a rule.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use archipelago_runtime::{RuntimeError, Signal, SignalDescriptor};

use crate::log::Outlets;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stop all hosts in order, and end (P2).
    End,
    /// Open the log files anew, and have the hosts do so.
    ReopenLogs,
}

/// Where orders come from.
pub trait Orders {
    /// Readable while there is one.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// The next one, if there is one.
    fn take(&self) -> Option<Order>;
}

/// SIGTERM and SIGINT end, SIGHUP reopens.
#[derive(Debug)]
pub struct SignalOrders {
    signals: SignalDescriptor,
    outlets: Arc<Outlets>,
}

impl SignalOrders {
    /// Before the process has a second thread.
    pub fn new(outlets: Arc<Outlets>) -> Result<Self, RuntimeError> {
        let signals = SignalDescriptor::new(&[Signal::TERM, Signal::INT, Signal::HUP])?;
        Ok(Self { signals, outlets })
    }
}

impl Orders for SignalOrders {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    fn take(&self) -> Option<Order> {
        match self.signals.take() {
            Ok(None) => None,
            Ok(Some(Signal::HUP)) => {
                self.outlets.reopen();
                Some(Order::ReopenLogs)
            }
            Ok(Some(signal)) => {
                tracing::info!(?signal, "told to end: the hosts stop first");
                Some(Order::End)
            }
            Err(error) => {
                // Deaf to signals it could only be killed, and its hosts would live on.
                tracing::error!(%error, "signals cannot be read: ending");
                Some(Order::End)
            }
        }
    }
}
