//! Who asks a blocker.
//!
//! # Invariants
//! * **CLIENT-1** What can be had in parts is had with whatever buffers there are: those that hold the large ones may be waiting for
//!   us (P1, F65).

use std::cell::Cell;
use std::rc::Rc;

use archipelago_runtime::Station;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use xseg::{BUFFER_BYTES_MIN, PortId};

use crate::error::StoreError;

/// The most that one request carries: enough for the device, little enough for the segment.
const TRANSFER_BYTES_MAX: u64 = 1 << 20;

/// A store that a blocker keeps, asked over a port of ours.
///
/// Payloads are copied into and out of the segment's buffers: for metadata. A composer, which has its payloads in
/// buffers already, sends [`crate::wire::Call`]s by itself. Reads and writes longer than a buffer are split; what must
/// happen at once (`write_full`, `create_exclusive`) needs a buffer of its size.
///
/// A call that is dropped is given up: whether it happened is not known, as after a failure. A waiting `lock` is
/// called off; if it was granted at the same moment the owner has the lock, and finds so when it asks again.
#[derive(Clone, Debug)]
pub struct BlockerClient {
    pub(super) station: Rc<Station>,
    pub(super) blocker: PortId,
    pub(super) transfer_bytes: u64,
    operation_id: Rc<Cell<u128>>,
}

impl BlockerClient {
    /// Asks the blocker that serves `blocker`.
    pub fn new(station: Rc<Station>, blocker: PortId) -> Result<Self, StoreError> {
        let mut seed = [0; 16];
        getrandom(&mut seed, GetRandomFlags::empty())?;
        let counts = station.segment().geometry().buffer_counts();
        let sizes = (0..).map(|class| BUFFER_BYTES_MIN << class).zip(counts);
        let sizes = sizes.filter(|(_, count)| *count > 0);
        let sizes: Vec<u64> = sizes.map(|(bytes, _)| bytes).collect();
        let usual = sizes.iter().rfind(|bytes| **bytes <= TRANSFER_BYTES_MAX);
        // A segment without buffers cannot carry this client's requests.
        let largest = usual.or(sizes.first());
        Ok(Self {
            transfer_bytes: *largest.ok_or(StoreError::Io(Errno::NOBUFS))?,
            operation_id: Rc::new(Cell::new(u128::from_le_bytes(seed))),
            station,
            blocker,
        })
    }

    /// Names one exclusive creation, so that a blocker which is asked again knows its own (S6).
    pub(super) fn next_operation_id(&self) -> [u64; 2] {
        let id = self.operation_id.get().wrapping_add(1).max(1);
        self.operation_id.set(id);
        [id as u64, (id >> 64) as u64]
    }
}
