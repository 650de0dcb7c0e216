//! How many chains a guest may have taken, and which ring is next.
//!
//! A chain that is taken costs memory, up to 16 KiB for one of 1024 descriptors, so they stay in their rings until it is their turn:
//! a guest with many long rings has no more of our memory than another (VHOST-5).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use archipelago_front::Disk;
use archipelago_runtime::local::{Gate, GateGuard};

use super::ring::Ring;

/// Turns of all rings of a device.
#[derive(Debug)]
pub struct Turns<D> {
    taken_max: usize,
    taken: Gate,
    /// Rings that had more when there was no turn left, by their arrival.
    waiting: RefCell<VecDeque<Weak<Ring<D>>>>,
    is_closed: Cell<bool>,
}

/// A chain that is worked on.
#[derive(Debug)]
#[must_use = "dropping it makes room for another one"]
pub struct Turn {
    _taken: GateGuard,
}

impl<D: Disk> Turns<D> {
    pub fn new(taken_max: usize) -> Self {
        Self {
            taken_max,
            taken: Gate::new(),
            waiting: RefCell::default(),
            is_closed: Cell::new(false),
        }
    }

    /// May one more be taken?
    pub fn has_room(&self) -> bool {
        self.taken.inside() < self.taken_max
    }

    /// Whether there is room or not: what a predecessor had taken is done again all at once.
    pub fn take(&self) -> Turn {
        Turn {
            _taken: self.taken.enter(),
        }
    }

    pub fn taken(&self) -> usize {
        self.taken.inside()
    }

    /// The ring goes on when there is room. To be called once until it is told to.
    pub fn wait(&self, ring: &Rc<Ring<D>>) {
        self.waiting.borrow_mut().push_back(Rc::downgrade(ring));
    }

    /// A chain is done: those that wait go on, one after the other.
    pub fn give_back(&self, turn: Turn) {
        drop(turn);
        while self.has_room() {
            let Some(next) = self.waiting.borrow_mut().pop_front() else {
                return;
            };
            if let Some(ring) = next.upgrade() {
                ring.go_on_after_waiting();
            }
        }
    }

    /// Nothing more is taken from now on.
    pub fn close(&self) {
        self.is_closed.set(true);
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// Waits until nothing is taken.
    pub async fn empty(&self) {
        self.taken.empty().await;
    }
}
