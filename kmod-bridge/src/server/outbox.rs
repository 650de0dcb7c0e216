//! Answers on their way out: one writer at a time, and as many answers in a system call as are ready (W4).
//!
//! Whoever has an answer puts it into the queue; if nobody is sending, it becomes the one who sends until the queue is
//! empty.
//!
//! # Invariants
//! * **OUTBOX-1** An answer leaves whole, head and payload together, with nothing of another between.
//! * **OUTBOX-2** After the socket failed nothing more is sent, and nobody waits for it: payloads are freed at once (F78).
//! * **OUTBOX-3** A client that does not take its answers keeps one buffer of the segment, that of the answer being sent; the
//!   others are copied into memory of our own after a while, so that nobody else lacks them (F75).
//!   And all clients together keep `sending_max` of these: beyond them answers are copied before they are sent.
//! * **OUTBOX-5** Whoever has more to do than its answer is not kept by the sending of others' answers.
//! * **OUTBOX-4** A client that takes nothing of its answers for too long is cut off; what the kernel was sending is kept until the
//!   kernel is done with it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::Payload;
use archipelago_runtime::local::Semaphore;
use archipelago_runtime::{Handle, Memory, Task};
use xseg::Errno;

use super::held::Held;
use crate::limits::{BATCH_BYTES, COPIED_BYTES_MAX};

/// How long a client may be busy with one answer before the buffers of the next ones are taken from it.
const PATIENCE: Duration = Duration::from_millis(50);

/// What is sent in one piece.
#[derive(Debug)]
pub(super) struct Answer {
    pub head: Vec<u8>,
    pub payload: Option<Payload>,
    /// The request is in flight until this was sent.
    pub held: Option<Held>,
}

impl Answer {
    fn holds_buffer(&self) -> bool {
        self.payload.as_ref().is_some_and(Payload::holds_buffer)
    }

    /// Of its buffer: the bytes are copied.
    fn let_go(&mut self) {
        self.payload = self.payload.take().map(copied);
    }
}

/// The same in memory of our own.
fn copied(payload: Payload) -> Payload {
    if !payload.holds_buffer() {
        return payload;
    }
    let mut bytes = Vec::with_capacity(payload.len_bytes());
    match payload.append_to(&mut bytes) {
        Ok(()) => Payload::Bytes(bytes),
        Err(_) => payload,
    }
}

/// The sending side of a connection.
#[derive(Debug)]
pub(super) struct Outbox {
    handle: Handle,
    socket: Rc<OwnedFd>,
    queue: RefCell<VecDeque<Answer>>,
    sending: Cell<bool>,
    closed: Cell<bool>,
    stall_timeout: Duration,
    /// Buffers that may be kept by the sending, of all connections.
    keeping: Rc<Semaphore>,
    /// Batches that were sent.
    sent: Cell<u64>,
    /// Somebody looks whether anything is sent at all.
    guarded: Cell<bool>,
    guardian: RefCell<Option<Task<()>>>,
    /// Somebody looks whether the client takes its answers.
    watched: Cell<bool>,
    /// It does not.
    stuck: Cell<bool>,
}

/// What one system call sends.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    payload: Option<Payload>,
    /// In flight until this was sent.
    held: Vec<Held>,
}

impl Outbox {
    pub fn new(
        handle: Handle,
        socket: Rc<OwnedFd>,
        stall_timeout: Duration,
        keeping: Rc<Semaphore>,
    ) -> Self {
        Self {
            handle,
            socket,
            queue: RefCell::default(),
            sending: Cell::new(false),
            closed: Cell::new(false),
            stall_timeout,
            keeping,
            sent: Cell::new(0),
            guarded: Cell::new(false),
            guardian: RefCell::default(),
            watched: Cell::new(false),
            stuck: Cell::new(false),
        }
    }

    /// Nothing more leaves, and the other side learns of it.
    pub fn close(&self) {
        self.closed.set(true);
        // If the other side was quicker there is nothing left to shut.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        if let Some(guardian) = self.guardian.take() {
            guardian.abort();
        }
        let dropped = std::mem::take(&mut *self.queue.borrow_mut());
        drop(dropped); // OUTBOX-2, and not while the queue is borrowed
    }

    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Sends it, or has it sent.
    pub async fn send(self: &Rc<Self>, answer: Answer) {
        if self.enqueue(answer) {
            self.send_all().await;
        }
    }

    /// Has it sent (OUTBOX-5).
    pub fn post(self: &Rc<Self>, answer: Answer) {
        if self.enqueue(answer) {
            let own = self.clone();
            self.handle.spawn(async move { own.send_all().await });
        }
    }

    /// Tells whether nobody is sending: then whoever asks has to.
    fn enqueue(self: &Rc<Self>, mut answer: Answer) -> bool {
        if self.closed.get() {
            return false; // OUTBOX-2
        }
        if self.stuck.get() {
            answer.let_go();
        }
        let waits = self.sending.get();
        if waits && !self.watched.get() && answer.holds_buffer() {
            self.watched.set(true);
            self.handle.spawn(self.clone().watch());
        }
        self.queue.borrow_mut().push_back(answer);
        !self.sending.replace(true) // OUTBOX-1
    }

    async fn send_all(self: &Rc<Self>) {
        self.guard();
        while let Some(batch) = self.next_batch() {
            if let Err(errno) = self.send_batch(batch).await {
                tracing::debug!(%errno, "an answer could not be sent");
                self.close();
            }
            self.sent.set(self.sent.get() + 1);
            self.stuck.set(false);
        }
        self.sending.set(false);
    }

    /// Looks after the buffers of answers that wait, as long as any do (OUTBOX-3).
    async fn watch(self: Rc<Self>) {
        while !self.queue.borrow().is_empty() {
            let sent = self.sent.get();
            self.handle.sleep(PATIENCE).await;
            if self.sending.get() && self.sent.get() == sent {
                self.stuck.set(true);
                for answer in self.queue.borrow_mut().iter_mut() {
                    answer.let_go();
                }
            }
        }
        self.watched.set(false);
    }

    /// Has somebody look after the sending from now on, as long as there is any: one timer for a connection that is busy, not
    /// one for each of its answers (OUTBOX-4).
    fn guard(self: &Rc<Self>) {
        if self.guarded.replace(true) {
            return;
        }
        // It keeps no socket open.
        let (own, handle) = (Rc::downgrade(self), self.handle.clone());
        let stall_timeout = self.stall_timeout;
        let task = self.handle.spawn(async move {
            let mut before = None;
            loop {
                let Some(outbox) = own.upgrade() else {
                    return;
                };
                let sent = outbox.sent.get();
                if !outbox.sending.get() {
                    outbox.guarded.set(false);
                    return;
                }
                if before.replace(sent) == Some(sent) {
                    tracing::info!("a client took nothing of its answers for too long");
                    drop(outbox.guardian.take()); // not to be ended by what it does now
                    return outbox.close();
                }
                drop(outbox);
                handle.sleep(stall_timeout).await;
            }
        });
        self.guardian.replace(Some(task));
    }

    async fn send_batch(&self, batch: Batch) -> Result<(), Errno> {
        let (handle, socket) = (&self.handle, &self.socket);
        let head = Memory::from(batch.bytes);
        let sent = match batch.payload {
            None => handle.send_all(socket, head).await.0,
            Some(payload) => {
                let keeps = self.keeping.try_acquire(1); // OUTBOX-3
                let payload = match keeps {
                    Some(_) => payload,
                    None => copied(payload),
                };
                let (memory, keeper) = payload.into_memory();
                let (sent, _, memory) = handle.send_vectored_all(socket, head, memory).await;
                drop((memory, keeper, keeps)); // not before the kernel is done with it
                sent
            }
        };
        drop(batch.held);
        sent
    }

    /// Heads and short payloads are copied together; the first long payload ends the batch.
    fn next_batch(&self) -> Option<Batch> {
        let mut queue = self.queue.borrow_mut();
        let mut batch = Batch::default();
        while batch.bytes.len() < BATCH_BYTES {
            let Some(answer) = queue.pop_front() else {
                break;
            };
            let is_alone = batch.bytes.is_empty() && queue.is_empty();
            if batch.bytes.is_empty() {
                batch.bytes = answer.head;
            } else {
                batch.bytes.extend(answer.head);
            }
            batch.held.extend(answer.held);
            let Some(payload) = answer.payload else {
                continue;
            };
            let is_long = payload.len_bytes() > COPIED_BYTES_MAX;
            if is_alone || is_long || payload.append_to(&mut batch.bytes).is_err() {
                batch.payload = Some(payload);
                break;
            }
        }
        (!batch.bytes.is_empty()).then_some(batch)
    }
}
