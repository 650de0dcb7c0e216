//! The handle of a joined segment, shared by all threads of a process.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::place::Place;
use crate::gate::Gate;
use crate::geometry::{DataRange, Geometry, Slot};
use crate::layout::STATE_DESTROYED;
use crate::mapping::Mapping;
use crate::name::Name;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// A joined segment. Cloning it is cheap; it stays mapped until the last clone and the last port are gone.
#[derive(Clone, Debug)]
pub struct Segment {
    shared: Arc<Shared>,
}

/// What all ports of this process have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub mapping: Mapping,
    pub gate: Gate,
    /// What this process knows of the requests that it sent, by slot. Private memory: no peer can forge it.
    pub flights: Box<[Flight]>,
    identity: [u64; 2],
    place: Place,
}

/// What this process knows of a record that it is writing, has sent, or holds. A slot belongs to one port at a time,
/// so plain loads and stores do; handles stay small because this is here.
#[repr(align(64))]
#[derive(Debug, Default)]
pub(crate) struct Flight {
    /// 0, or the sender's packed name with [`Flight::AWAY`] (and [`Flight::ABANDONED`]).
    state: AtomicU64,
    pub serial: AtomicU64,
    pub cookie: AtomicU64,
    /// The data: where in the segment, and how many bytes.
    pub data_at: AtomicU64,
    pub data_len: AtomicU64,
    pub deadline_ns: AtomicU64,
    /// Our buffer that belongs to it, plus one.
    pub buffer: AtomicU32,
    /// The request that this one is a part of, plus one.
    pub parent: AtomicU32,
    pub to: AtomicU32,
    /// For a request that we hold: how many parts of it are away.
    pub parts_away: AtomicU32,
}

const _: () = assert!(
    size_of::<Flight>() == 64,
    "one line of private memory for each record"
);

impl Flight {
    const AWAY: u64 = 1 << 63;
    const ABANDONED: u64 = 1 << 62;

    /// The data, of a record that has some.
    pub fn data(&self) -> DataRange {
        DataRange::remembered(
            self.data_at.load(Ordering::Relaxed),
            self.data_len.load(Ordering::Relaxed),
        )
    }

    /// Nothing is known of a new draft.
    pub fn clear(&self) {
        for word in [&self.cookie, &self.data_len, &self.deadline_ns] {
            word.store(0, Ordering::Relaxed);
        }
        self.buffer.store(0, Ordering::Relaxed);
        self.parent.store(0, Ordering::Relaxed);
    }

    /// The request that this one is a part of.
    pub fn parent_in(&self, geometry: &Geometry) -> Option<Slot> {
        let index = self.parent.load(Ordering::Relaxed).checked_sub(1)?;
        geometry.slot(index)
    }

    /// Its buffer word, which is 0 from now on. One thread owns a flight: no exchange is needed.
    pub fn take_buffer(&self) -> u32 {
        let word = self.buffer.load(Ordering::Relaxed);
        self.buffer.store(0, Ordering::Relaxed);
        word
    }

    pub fn depart(&self, by: Name) {
        self.state.store(by.pack() | Self::AWAY, Ordering::Relaxed);
    }

    pub fn land(&self) {
        self.state.store(0, Ordering::Relaxed);
    }

    pub fn is_away_for(&self, name: Name) -> bool {
        self.state.load(Ordering::Relaxed) & !Self::ABANDONED == name.pack() | Self::AWAY
    }

    pub fn abandon(&self) {
        let state = self.state.load(Ordering::Relaxed);
        self.state.store(state | Self::ABANDONED, Ordering::Relaxed);
    }

    pub fn is_abandoned(&self) -> bool {
        self.state.load(Ordering::Relaxed) & Self::ABANDONED != 0
    }
}

impl Segment {
    pub(super) fn new(mapping: Mapping, gate: Gate, identity: [u64; 2], place: Place) -> Self {
        let requests = mapping.geometry().requests();
        let flights = (0..requests).map(|_| Flight::default()).collect();
        Self {
            shared: Arc::new(Shared {
                mapping,
                gate,
                flights,
                identity,
                place,
            }),
        }
    }

    pub fn geometry(&self) -> &Geometry {
        self.shared.mapping.geometry()
    }

    /// 128 random bits that no other segment has, not even one of the same name.
    pub fn identity(&self) -> [u64; 2] {
        self.shared.identity
    }

    /// Where it lies; `/dev/shm/private` stands for a segment without a name.
    pub fn place(&self) -> &Place {
        &self.shared.place
    }

    /// Has somebody destroyed it? Then leave it and join the new one.
    pub fn is_destroyed(&self) -> bool {
        self.shared.is_destroyed()
    }

    /// The drain gate, to register with io_uring instances of one's own (rings of [`crate::Waiter`] have it).
    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Shared {
    pub fn is_destroyed(&self) -> bool {
        self.mapping.header().state.load(Ordering::Relaxed) == STATE_DESTROYED
    }
}

/// The segment's file: for handing a private segment to another process.
impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.mapping.file().as_fd()
    }
}
