//! Doing what a kernel or a guest asks: requests in, completions out, whatever carries them.
//!
//! ```text
//! request --> judged --> admitted --> cut into pieces --> disk --> answered when the last piece is
//! ```
//!
//! # Invariants
//! * **FRONT-1** A request is answered when all of its pieces are done, with the first error if there was one: no piece goes on
//!   behind an answer (S7).
//! * **FRONT-2** A write that is to be durable is durable before it is answered: a short one by itself, a long one by a flush
//!   behind its last piece.
//! * **FRONT-3** Each piece takes its buffer, and gives it up, by itself: no request waits for a buffer with another in hand.
//! * **FRONT-4** A disk that answers less than was asked has failed (F28).
//! * **FRONT-5** A request is judged by the size that the disk has when it comes; one that was begun ends, whatever the size is
//!   then.
//! * **FRONT-6** Memory is lent to a disk that takes loans, and a request is answered when the disk has given it back.

use std::cell::{Ref, RefCell};
use std::future::Future;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::{Handle, LentMemory, Task};
use xseg::Errno;

use super::disk::{Disk, ZeroOptions};
use super::facts::DiskFacts;
use super::flow::Flow;
use super::payload::Payload;
use super::pieces::pieces;
use super::request::{Command, Request};

/// Where the client has the bytes of a request.
pub trait Carrier: 'static {
    /// Fills a place with the bytes of a write, from byte `from` of the request on.
    fn bring(&self, from: u64, place: Payload) -> impl Future<Output = Result<Payload, Errno>>;

    /// Hands over what was read, for byte `from` of the request on.
    fn hand(&self, from: u64, payload: Payload) -> impl Future<Output = Result<(), Errno>>;

    /// Lends the memory where the bytes are, or go, from byte `from` on.
    fn lend(self: Rc<Self>, _from: u64, _len_bytes: u32) -> Option<LentMemory> {
        None
    }

    /// Hands over these parts of what was read, for byte `from` of the request on: all else is in the memory that was lent.
    fn hand_parts(
        &self,
        _from: u64,
        _payload: Payload,
        _parts: Vec<Range<u64>>,
    ) -> impl Future<Output = Result<(), Errno>> {
        std::future::ready(Err(Errno::OPNOTSUPP))
    }
}

/// What is shorter is copied: that costs less than a loan.
const LEND_BYTES_MIN: u32 = 16 << 10;

/// What one client may have in flight, and how requests are cut.
#[derive(Clone, Copy, Debug)]
pub struct FrontOptions {
    pub requests_max: usize,
    /// Payload in flight.
    pub bytes_max: usize,
    /// What the disk sees of a request at a time.
    pub piece_bytes_max: u32,
}

/// A disk, for one client. Clones are the same front.
#[derive(Debug)]
pub struct Front<D> {
    shared: Rc<Shared<D>>,
}

#[derive(Debug)]
struct Shared<D> {
    handle: Handle,
    disk: D,
    facts: RefCell<DiskFacts>,
    flow: Rc<Flow>,
    piece_bytes_max: u32,
}

impl<D> Clone for Front<D> {
    fn clone(&self) -> Self {
        let shared = self.shared.clone();
        Self { shared }
    }
}

impl<D: Disk> Front<D> {
    pub fn new(handle: &Handle, disk: D, options: &FrontOptions) -> Self {
        let facts = RefCell::new(disk.facts());
        Self {
            shared: Rc::new(Shared {
                handle: handle.clone(),
                disk,
                facts,
                flow: Flow::new(options.requests_max, options.bytes_max),
                piece_bytes_max: options.piece_bytes_max,
            }),
        }
    }

    pub fn facts(&self) -> Ref<'_, DiskFacts> {
        self.shared.facts.borrow()
    }

    /// The disk has another size now; whoever carries requests tells its client (FRONT-5).
    pub fn resized(&self, size_bytes: u64) {
        self.shared.facts.borrow_mut().size_bytes = size_bytes;
    }

    /// The client is gone; what it had asked for goes on (ORPHAN-1).
    pub fn leave(&self) {
        self.shared.disk.leave();
    }

    pub fn in_flight(&self) -> usize {
        self.shared.flow.in_flight()
    }

    /// Waits until all that was asked is answered, but not longer than that. Tells whether it is.
    pub async fn settled(&self, within: Duration) -> bool {
        let empty = self.shared.flow.empty();
        self.shared.handle.timeout(within, empty).await.is_ok()
    }

    /// Does it. Waits for its turn first, if too much is in flight.
    pub async fn perform<C: Carrier>(&self, request: Request, carrier: Rc<C>) -> Result<(), Errno> {
        let shared = &self.shared;
        request.judge(&shared.facts.borrow())?;
        let payload_bytes = match request.command.has_payload() {
            true => usize::try_from(request.len_bytes).unwrap_or(usize::MAX),
            false => 0,
        };
        let _admitted = shared.flow.admit(payload_bytes).await;
        let Request {
            offset, len_bytes, ..
        } = request;
        match request.command {
            Command::Flush => shared.disk.flush().await,
            _ if len_bytes == 0 => Ok(()),
            Command::Discard => shared.disk.trim(offset, len_bytes, false).await,
            Command::WriteZeroes { unmap, fua } => {
                let options = ZeroOptions {
                    fua,
                    no_hole: !unmap,
                    fast: false,
                };
                shared.disk.write_zeroes(offset, len_bytes, options).await
            }
            Command::Read | Command::Write { .. } => shared.carry(request, &carrier).await,
        }
    }
}

impl<D: Disk> Shared<D> {
    async fn carry<C: Carrier>(
        self: &Rc<Self>,
        request: Request,
        carrier: &Rc<C>,
    ) -> Result<(), Errno> {
        let mut pieces = pieces(request.offset, request.len_bytes, self.piece_bytes_max);
        let first = pieces.next().ok_or(Errno::INVAL)?;
        let others: Vec<Task<Result<(), Errno>>> = pieces
            .map(|piece| {
                let (shared, carrier) = (self.clone(), carrier.clone());
                self.handle
                    .spawn(async move { shared.piece(request, piece, false, &carrier).await })
            })
            .collect();
        let fua = matches!(request.command, Command::Write { fua: true });
        let is_only = others.is_empty();
        let mut result = self.piece(request, first, fua && is_only, carrier).await;
        for other in others {
            result = result.and(other.await); // FRONT-1
        }
        if fua && !is_only {
            result?;
            return self.disk.flush().await; // FRONT-2
        }
        result
    }

    async fn piece<C: Carrier>(
        &self,
        request: Request,
        (at, len_bytes): (u64, u32),
        fua: bool,
        carrier: &Rc<C>,
    ) -> Result<(), Errno> {
        let from = at - request.offset;
        let is_read = request.command == Command::Read;
        if len_bytes >= LEND_BYTES_MIN
            && self.disk.takes_loans()
            && let Some(memory) = carrier.clone().lend(from, len_bytes)
        {
            if !is_read {
                return self.disk.write_lent(at, memory, fua).await;
            }
            let (read, parts) = self.disk.read_lent(at, memory).await?;
            return carrier
                .hand_parts(from, whole(read, len_bytes)?, parts)
                .await;
        }
        if is_read {
            let read = self.disk.read(at, len_bytes).await?;
            return carrier.hand(from, whole(read, len_bytes)?).await;
        }
        let place = whole(self.disk.room(len_bytes).await?, len_bytes)?;
        let filled = whole(carrier.bring(from, place).await?, len_bytes)?;
        self.disk.write(at, filled, fua).await
    }
}

/// FRONT-4
fn whole(payload: Payload, len_bytes: u32) -> Result<Payload, Errno> {
    if payload.len_bytes() == len_bytes as usize && payload.is_whole() {
        Ok(payload)
    } else {
        Err(Errno::IO)
    }
}

#[cfg(test)]
mod tests;
