//! Those who have connected to a listener, and have not named what they want.
//!
//! Whoever reaches a listener can be silent for as long as a handshake may take, without a key or a name to show. So there is room for
//! some of them only, and the one who has waited longest makes room for the next.
//!
//! # Invariants
//! * **HALL-1** Those who have named no export have a quarter of the connections on each listener; if that is not enough, the one
//!   who has been there longest is sent away, but nobody before he had [`PATIENCE`]. Who has named one is never sent away for that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::Handle;
use archipelago_runtime::local::Notify;

/// Enough for a handshake with TLS over a long way.
const PATIENCE: Duration = Duration::from_secs(1);

/// The part of all connections.
const PART: usize = 4;

#[derive(Debug)]
pub(super) struct Hall {
    places: usize,
    /// Since when, by the numbers of connections, which grow.
    inside: RefCell<BTreeMap<u64, u64>>,
    left: Notify,
}

/// Somebody's place in the hall.
#[derive(Debug)]
pub(super) struct Place {
    hall: Rc<Hall>,
    number: u64,
}

impl Hall {
    pub fn new(connections_max: usize) -> Rc<Self> {
        Rc::new(Self {
            places: (connections_max / PART).max(1),
            inside: RefCell::default(),
            left: Notify::new(),
        })
    }

    pub fn enter(self: &Rc<Self>, number: u64, now_ns: u64) -> Place {
        self.inside.borrow_mut().insert(number, now_ns);
        let hall = self.clone();
        Place { hall, number }
    }

    /// Waits until there is a place, and tells whom that costs his, if anybody.
    pub async fn room(&self, handle: &Handle) -> Option<u64> {
        while let Some((number, since_ns)) = self.who_is_next() {
            let patience_ns = u64::try_from(PATIENCE.as_nanos()).unwrap_or(u64::MAX);
            let until_ns = since_ns.saturating_add(patience_ns);
            let left = handle.timeout_at_ns(until_ns, self.left.notified());
            if left.await.is_err() {
                self.inside.borrow_mut().remove(&number);
                return Some(number);
            }
        }
        None
    }

    /// The one who has been there longest, if there is no place.
    fn who_is_next(&self) -> Option<(u64, u64)> {
        let inside = self.inside.borrow();
        let is_full = inside.len() >= self.places;
        let longest = inside.first_key_value().filter(|_| is_full);
        longest.map(|(number, since_ns)| (*number, *since_ns))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hall.inside.borrow_mut().remove(&self.number);
        self.hall.left.notify_all();
    }
}
