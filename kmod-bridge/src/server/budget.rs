//! How much memory the payloads of all clients have together, and who gets some next.
//!
//! ```text
//! half of it: a part of its own for each connection, which it shares with nobody
//! the rest:   the pool, for what does not fit into these
//! ```
//! # Invariants
//! * **BUDGET-1** The payloads of all connections are never more than `bytes_max` together.
//! * **BUDGET-2** What fits into a connection's own part waits for nobody else, whatever others do.
//! * **BUDGET-3** Nobody waits for ever: those who have nothing of the pool are served in the order of asking, and while one of them
//!   waits nobody gets more who has some. It comes back when a request is answered, or when its client is cut off (F75, F76).
//! * **BUDGET-4** Who has some of the pool never has more of it than it leaves free.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use archipelago_runtime::local::{Sender, oneshot};

/// What there is for all connections of a server.
#[derive(Debug)]
pub(super) struct Budget {
    own_bytes_max: usize,
    /// Own parts that no connection has.
    parts: Cell<usize>,
    pool_bytes: usize,
    free: Cell<usize>,
    /// In the order of asking.
    waiting: RefCell<Vec<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    account: Rc<Account>,
    bytes: usize,
    granted: Sender<Share>,
}

/// What one connection has of it.
#[derive(Debug)]
pub(super) struct Account {
    budget: Rc<Budget>,
    own_bytes_max: usize,
    own: Cell<usize>,
    pooled: Cell<usize>,
}

/// Memory of one payload. Dropped, others may have it.
#[derive(Debug)]
pub(super) struct Share {
    account: Rc<Account>,
    bytes: usize,
    is_pooled: bool,
}

impl Budget {
    pub fn new(bytes_max: usize, connections_max: usize) -> Rc<Self> {
        let own_bytes_max = bytes_max / 2 / connections_max.max(1);
        let pool_bytes = bytes_max - own_bytes_max * connections_max;
        Rc::new(Self {
            own_bytes_max,
            parts: Cell::new(connections_max),
            pool_bytes,
            free: Cell::new(pool_bytes),
            waiting: RefCell::default(),
        })
    }

    /// For a connection. One more than there should be has no part of its own.
    pub fn open(self: &Rc<Self>) -> Rc<Account> {
        let parts = self.parts.get();
        let own_bytes_max = match parts {
            0 => 0,
            _ => self.own_bytes_max,
        };
        self.parts.set(parts.saturating_sub(1));
        Rc::new(Account {
            budget: self.clone(),
            own_bytes_max,
            own: Cell::new(0),
            pooled: Cell::new(0),
        })
    }

    /// Gives what there is to those who wait.
    fn serve(&self) {
        while let Some(waiter) = self.next() {
            let share = waiter.account.take(waiter.bytes);
            // It still waits: looked at just now.
            let _ = waiter.granted.send(share);
        }
    }

    /// Who is to be served now, if anybody is.
    fn next(&self) -> Option<Waiter> {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|waiter| !waiter.granted.is_closed());
        let has_room = |waiter: &Waiter| waiter.account.has_room(waiter.bytes); // BUDGET-2
        let place = waiting.iter().position(has_room).or_else(|| {
            let has_none = |waiter: &Waiter| waiter.account.pooled.get() == 0;
            match waiting.iter().position(has_none) {
                // BUDGET-3: whoever it is that comes next, nobody overtakes it.
                Some(first) => (waiting[first].bytes <= self.free.get()).then_some(first),
                None => waiting.iter().position(|w| w.account.may_have(w.bytes)),
            }
        });
        place.map(|place| waiting.remove(place))
    }
}

impl Account {
    /// Waits until so many bytes may be had. More than there are in all count as all of them.
    pub async fn acquire(self: &Rc<Self>, bytes: usize) -> Share {
        let budget = &self.budget;
        let bytes = bytes.min(budget.pool_bytes);
        let is_alone = budget.waiting.borrow().is_empty();
        if self.has_room(bytes) || (is_alone && self.may_have(bytes)) {
            return self.take(bytes);
        }
        let (granted, share) = oneshot();
        budget.waiting.borrow_mut().push(Waiter {
            account: self.clone(),
            bytes,
            granted,
        });
        budget.serve();
        share.await.expect("who waits is served, not forgotten")
    }

    fn has_room(&self, bytes: usize) -> bool {
        bytes <= self.own_bytes_max - self.own.get()
    }

    /// Of the pool, if nobody has to be served first (BUDGET-4).
    fn may_have(&self, bytes: usize) -> bool {
        let (had, free) = (self.pooled.get(), self.budget.free.get());
        bytes <= free && (had == 0 || had + bytes <= free - bytes)
    }

    /// There is as much: that was looked at.
    fn take(self: &Rc<Self>, bytes: usize) -> Share {
        let is_pooled = !self.has_room(bytes);
        if is_pooled {
            self.pooled.set(self.pooled.get() + bytes);
            self.budget.free.set(self.budget.free.get() - bytes);
        } else {
            self.own.set(self.own.get() + bytes);
        }
        Share {
            account: self.clone(),
            bytes,
            is_pooled,
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.own_bytes_max > 0 {
            self.budget.parts.set(self.budget.parts.get() + 1);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let (account, budget) = (&self.account, &self.account.budget);
        if self.is_pooled {
            account.pooled.set(account.pooled.get() - self.bytes);
            budget.free.set(budget.free.get() + self.bytes);
        } else {
            account.own.set(account.own.get() - self.bytes);
        }
        budget.serve();
    }
}

#[cfg(test)]
mod tests;
