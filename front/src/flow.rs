//! How much one connection may have in flight.
//!
//! # Invariants
//! * **FLOW-1** A connection has at most `requests_max` requests and about `bytes_max` bytes in flight; a request counts from
//!   before its payload is received, or read, until its answer was sent (F75).

use std::rc::Rc;

use archipelago_runtime::local::{Gate, GateGuard, Semaphore};

/// The limits of a connection.
#[derive(Debug)]
pub struct Flow {
    requests: Semaphore,
    bytes: Semaphore,
    bytes_max: usize,
    inside: Gate,
}

/// A request that is in flight. Dropped, it no longer is.
#[derive(Debug)]
pub struct Admitted {
    flow: Rc<Flow>,
    bytes: usize,
    _inside: GateGuard,
}

impl Flow {
    pub fn new(requests_max: usize, bytes_max: usize) -> Rc<Self> {
        Rc::new(Self {
            requests: Semaphore::new(requests_max),
            bytes: Semaphore::new(bytes_max),
            bytes_max,
            inside: Gate::new(),
        })
    }

    /// Waits until one more may be in flight. A request of more than all bytes waits until it is alone.
    pub async fn admit(self: &Rc<Self>, bytes: usize) -> Admitted {
        let bytes = bytes.min(self.bytes_max);
        self.requests.acquire(1).await.forget();
        self.bytes.acquire(bytes).await.forget();
        Admitted {
            flow: self.clone(),
            bytes,
            _inside: self.inside.enter(),
        }
    }

    pub fn in_flight(&self) -> usize {
        self.inside.inside()
    }

    /// Waits until nothing is in flight.
    pub async fn empty(&self) {
        self.inside.empty().await;
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.flow.requests.add(1);
        self.flow.bytes.add(self.bytes);
    }
}
