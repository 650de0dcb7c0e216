//! A port as tasks see it: drafts, buffers, calls.
//!
//! # Invariants
//! * **CALL-1** A call's answer reaches the future that waits for it, or nobody: the cookie is the key of its place, and a
//!   place that was given up never has that key again.
//! * **CALL-2** Who waits for a record, or for a buffer of a size, is served in the order of asking, and nobody who comes later for the
//!   same is served before. Who waits for one size keeps nobody from another.
//! * **CALL-4** Who can do with less waits only while all buffers of all sizes that would do are taken: no peer waits for a size
//!   that those hold who wait for it (P1, F65).
//! * **CALL-3** What was sent and is not waited for any more is abandoned: its record and buffer are used again only
//!   after its answer came.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use xseg::{
    BUFFER_BYTES_MIN, BUFFER_CLASSES, Buffer, Data, Draft, Incoming, OpCode, Port, PortError,
    PortId, Reply, RequestError, Segment,
};

use crate::call::{Call, CallState};
use crate::core::Core;
use crate::error::CallError;
use crate::handle::Handle;
use crate::kernel::Memory;
use crate::local;
use crate::service::Attendant;
use crate::slab::Slab;

/// Pauses between tries when the segment is exhausted and no answer of ours brings anything back.
const PAUSE_FIRST_NS: u64 = 50_000;
const PAUSE_LONGEST_NS: u64 = 10_000_000;

/// A port of a reactor.
#[derive(Debug)]
pub struct Station {
    pub(crate) port: Port,
    pub(crate) core: Weak<Core>,
    pub(crate) calls: RefCell<Slab<CallState>>,
    pub(crate) attendant: RefCell<Option<Rc<dyn Attendant>>>,
    /// Notices that came before there was anybody to handle them (SERVE-5).
    pub(crate) early_notices: RefCell<Vec<Incoming>>,
    /// Kinds of corruption that were logged.
    pub(crate) logged: RefCell<BTreeSet<&'static str>>,
    /// Who waits for records, and for buffers: one at a time tries (CALL-2).
    draft_queue: local::Semaphore,
    buffer_queues: [local::Semaphore; BUFFER_CLASSES],
    /// Who can do with several sizes, by the least of them.
    room_queues: [local::Semaphore; BUFFER_CLASSES],
    /// Answers bring records and buffers back.
    pub(crate) answered: local::Notify,
    pub(crate) part_waiters: RefCell<Vec<Waker>>,
    /// Where the segment lies in this process: tells whether data are of this segment.
    base: OnceCell<usize>,
}

impl Station {
    pub(crate) fn new(port: Port, core: &Rc<Core>) -> Self {
        port.set_held_max(0); // until somebody serves it
        Self {
            port,
            core: Rc::downgrade(core),
            calls: RefCell::default(),
            attendant: RefCell::default(),
            early_notices: RefCell::default(),
            logged: RefCell::default(),
            draft_queue: local::Semaphore::new(1),
            buffer_queues: std::array::from_fn(|_| local::Semaphore::new(1)),
            room_queues: std::array::from_fn(|_| local::Semaphore::new(1)),
            answered: local::Notify::new(),
            part_waiters: RefCell::default(),
            base: OnceCell::new(),
        }
    }

    /// The handle of its reactor; `None`: that is over.
    pub fn handle(&self) -> Option<Handle> {
        self.core.upgrade().map(Handle::new)
    }

    pub(crate) fn port(&self) -> &Port {
        &self.port
    }

    /// The port's address.
    pub fn id(&self) -> PortId {
        self.port.id()
    }

    pub fn segment(&self) -> &Segment {
        self.port.segment()
    }

    /// Begins a request, at once or not at all.
    pub fn try_draft(&self, op: OpCode) -> Result<Draft, RequestError> {
        self.port.draft(op)
    }

    /// Takes a buffer, at once or not at all.
    pub fn try_buffer(&self, bytes: u64) -> Result<Buffer, RequestError> {
        let buffer = self.port.buffer(bytes)?;
        self.learn_base(buffer.data());
        Ok(buffer)
    }

    /// Begins a request; waits while all records are taken. To wait no longer than so long, put it into
    /// [`crate::Handle::timeout`].
    pub async fn draft(&self, op: OpCode) -> Result<Draft, CallError> {
        self.wait_for(&self.draft_queue, || match self.try_draft(op) {
            Err(RequestError::NoRequests { .. } | RequestError::PortLimit { .. }) => None,
            other => Some(other),
        })
        .await
    }

    /// Takes a buffer of at least `bytes`; waits while all are taken. A segment that has none of that size at all is
    /// an error.
    pub async fn buffer(&self, bytes: u64) -> Result<Buffer, CallError> {
        let queue = &self.buffer_queues[class_of(bytes)];
        self.wait_for(queue, || match self.try_buffer(bytes) {
            Err(RequestError::NoBuffers { .. }) => self.existing_buffer(bytes).err().map(Err),
            other => Some(other),
        })
        .await
    }

    /// Takes a buffer of `wanted` bytes, or else whatever there is: a larger one, or a smaller one of at least `least` bytes.
    /// Waits while all of those are taken (CALL-4).
    pub async fn room(&self, wanted: u64, least: u64) -> Result<Buffer, CallError> {
        let sizes = self.sizes_for(wanted, least);
        let queue = &self.room_queues[class_of(least)];
        self.wait_for(queue, || {
            for size in &sizes {
                match self.try_buffer(*size) {
                    Err(RequestError::NoBuffers { .. }) => {}
                    other => return Some(other),
                }
            }
            let largest = self.sizes().last().unwrap_or(0);
            let too_large = RequestError::TooLarge {
                bytes: least,
                largest,
            };
            sizes.is_empty().then_some(Err(too_large))
        })
        .await
    }

    /// From now on we leave one in `part` buffers of each size to others: for peers that only ask, and are asked by nobody (P1).
    pub fn leave_buffers_to_others(&self, part: u32) {
        self.port.leave_buffers_to_others(part);
    }

    /// Sends a request and waits for its answer. The draft's cookie is used; its deadline, if it has one, ends the wait
    /// with [`CallError::Expired`]. Requests for a peer that is being restarted wait for it. Dropped, the call is given
    /// up: its answer is ignored when it comes.
    pub async fn call(&self, draft: Draft, to: PortId) -> Result<Reply, CallError> {
        self.begin_call(draft, to)?.await
    }

    /// The same in two steps: when this returns the request has been sent.
    pub fn begin_call(&self, draft: Draft, to: PortId) -> Result<Call<'_>, CallError> {
        if self.is_over() {
            return Err(CallError::Stopped);
        }
        Call::begin(self, draft, to)
    }

    /// Sends a notice whose answer nobody waits for.
    pub fn notify(&self, draft: Draft, to: PortId) -> Result<(), CallError> {
        let ticket = draft.send(to)?;
        self.port.abandon(ticket);
        Ok(())
    }

    /// Asks whoever has the request of a call to give it up; the call goes on waiting for the answer.
    pub fn cancel(&self, call: &Call<'_>) -> Result<(), CallError> {
        Ok(self.port.cancel(call.ticket())?)
    }

    /// Waits until all parts of `whole` (see [`Draft::view`]) are back, those that were given up included: only then can
    /// it be answered.
    pub async fn parts_home(&self, whole: &Incoming) {
        std::future::poll_fn(|context| {
            if whole.parts_away() == 0 {
                return Poll::Ready(());
            }
            self.part_waiters.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Puts this port in between all senders and `destination`: see [`Port::interpose`].
    pub fn interpose(&self, destination: PortId) -> Result<(), PortError> {
        self.port.interpose(destination)
    }

    /// Ends [`Station::interpose`].
    pub fn step_aside(&self, destination: PortId) -> Result<(), PortError> {
        self.port.step_aside(destination)
    }

    /// Requests of this port's earlier incarnations that others still work on (S7).
    pub fn orphans(&self) -> usize {
        self.port.orphans()
    }

    /// Bytes of the segment for a file or socket operation. Whoever they belong to (the incoming request, the answer) is
    /// kept by the caller until the operation has ended; for a buffer of one's own see [`Memory::from`].
    ///
    /// # Panics
    /// If they lie in another segment.
    pub fn memory(&self, data: Data<'_>) -> Memory {
        let base = self.base.get().copied();
        assert_eq!(base, Some(base_of(data)), "the data lie in another segment");
        Memory::of_segment(self.segment().clone(), data)
    }

    /// Known from the first buffer or request with data on: before that the port has no data that could be asked about.
    pub(crate) fn learn_base(&self, data: Data<'_>) {
        self.base.get_or_init(|| base_of(data));
    }

    fn is_over(&self) -> bool {
        self.core.upgrade().is_none_or(|core| core.is_over.get())
    }

    /// The sizes of buffers that the segment has, smallest first.
    fn sizes(&self) -> impl Iterator<Item = u64> {
        let counts = self.port.geometry().buffer_counts();
        let sizes = (0..).map(|class| BUFFER_BYTES_MIN << class).zip(counts);
        sizes.filter(|(_, count)| *count > 0).map(|(size, _)| size)
    }

    /// Those that would do, best first: what is wanted, larger ones, and the largest of the smaller ones.
    fn sizes_for(&self, wanted: u64, least: u64) -> Vec<u64> {
        let would_do = self.sizes().filter(|size| *size >= least);
        let (mut small, mut all): (Vec<u64>, Vec<u64>) = would_do.partition(|size| *size < wanted);
        small.reverse();
        all.append(&mut small);
        all
    }

    /// Is there such a buffer at all?
    fn existing_buffer(&self, bytes: u64) -> Result<(), RequestError> {
        // The port looks at the smallest size that fits, and at the next one.
        let fitting = bytes.max(BUFFER_BYTES_MIN).next_power_of_two();
        let mut largest = 0;
        for size in self.sizes() {
            if size == fitting || size == fitting * 2 {
                return Ok(());
            }
            largest = size;
        }
        Err(RequestError::TooLarge { bytes, largest })
    }

    async fn wait_for<T>(
        &self,
        queue: &local::Semaphore,
        mut attempt: impl FnMut() -> Option<Result<T, RequestError>>,
    ) -> Result<T, CallError> {
        let _turn = queue.acquire(1).await; // CALL-2
        let mut pause_ns = PAUSE_FIRST_NS;
        loop {
            if let Some(done) = attempt() {
                return Ok(done?);
            }
            let core = self.core.upgrade().filter(|core| !core.is_over.get());
            let core = core.ok_or(CallError::Stopped)?;
            let until_ns = xseg::monotonic_ns().saturating_add(pause_ns);
            // Others free what we wait for as well, and nobody tells us.
            let _ = crate::timer::within(core, until_ns, self.answered.notified()).await;
            pause_ns = (pause_ns * 2).min(PAUSE_LONGEST_NS);
        }
    }
}

/// Which size of buffers is the least that so many bytes fit into; the largest for what fits into none.
fn class_of(bytes: u64) -> usize {
    let fits = |class: &usize| BUFFER_BYTES_MIN << class >= bytes;
    (0..BUFFER_CLASSES).find(fits).unwrap_or(BUFFER_CLASSES - 1)
}

/// Where the segment of these data begins.
fn base_of(data: Data<'_>) -> usize {
    data.address().addr() - data.range().at() as usize
}
