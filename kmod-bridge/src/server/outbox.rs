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

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::{Admitted, Payload};
use archipelago_runtime::{Handle, Memory};
use xseg::Errno;

use crate::limits::{BATCH_BYTES, COPIED_BYTES_MAX};

/// How long a client may be busy with one answer before the buffers of the next ones are taken from it.
const PATIENCE: Duration = Duration::from_millis(50);

/// What is sent in one piece.
#[derive(Debug)]
pub(super) struct Answer {
    pub head: Vec<u8>,
    pub payload: Option<Payload>,
    /// The request is in flight until this was sent.
    pub admitted: Option<Rc<Admitted>>,
}

impl Answer {
    fn holds_buffer(&self) -> bool {
        self.payload.as_ref().is_some_and(Payload::holds_buffer)
    }

    /// Of its buffer: the bytes are copied.
    fn let_go(&mut self) {
        let Some(payload) = self
            .payload
            .as_ref()
            .filter(|payload| payload.holds_buffer())
        else {
            return;
        };
        let mut bytes = Vec::with_capacity(payload.len_bytes());
        if payload.append_to(&mut bytes).is_ok() {
            self.payload = Some(Payload::Bytes(bytes));
        }
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
    /// Batches that were sent.
    sent: Cell<u64>,
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
    admitted: Vec<Rc<Admitted>>,
}

impl Outbox {
    pub fn new(handle: Handle, socket: Rc<OwnedFd>) -> Self {
        Self {
            handle,
            socket,
            queue: RefCell::default(),
            sending: Cell::new(false),
            closed: Cell::new(false),
            sent: Cell::new(0),
            watched: Cell::new(false),
            stuck: Cell::new(false),
        }
    }

    /// Nothing more leaves, and the other side learns of it.
    pub fn close(&self) {
        self.closed.set(true);
        // If the other side was quicker there is nothing left to shut.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let dropped = std::mem::take(&mut *self.queue.borrow_mut());
        drop(dropped); // OUTBOX-2, and not while the queue is borrowed
    }

    /// Sends it, or has it sent.
    pub async fn send(self: &Rc<Self>, mut answer: Answer) {
        if self.closed.get() {
            return; // OUTBOX-2
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
        if self.sending.replace(true) {
            return; // OUTBOX-1
        }
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

    async fn send_batch(&self, batch: Batch) -> Result<(), Errno> {
        let (handle, socket) = (&self.handle, &self.socket);
        let head = Memory::from(batch.bytes);
        let sent = match batch.payload {
            None => handle.send_all(socket, head).await.0,
            Some(payload) => {
                let (memory, keeper) = payload.into_memory();
                let (sent, _, memory) = handle.send_vectored_all(socket, head, memory).await;
                drop((memory, keeper)); // not before the kernel is done with it
                sent
            }
        };
        drop(batch.admitted);
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
            batch.admitted.extend(answer.admitted);
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
