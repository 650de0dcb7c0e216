//! Operations that the kernel, or a thread, works on.
//!
//! ```text
//!              +--- forget: cancelled ---> given up --+
//! begin -> pending                                    +- complete -> gone
//!              +--- complete ---> done --- take ------+
//! ```
//! # Invariants
//! * **OPERATION-1** The descriptor and the memory of an operation stay where they are until its completion has come, even
//!   if nobody waits for it any more; its place is not used again before.
//! * **OPERATION-2** A connection that was accepted for somebody who has given up is closed.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use io_uring::{opcode, squeue};
use rustix::io::Errno;
use xseg::Waiter;

use super::action::{Action, Form, RawCall};
use super::memory::Memory;
use super::message::Message;
use crate::slab::{Key, Slab};

/// The completion of a cancellation says nothing that its operation's does not.
const CANCEL_TOKEN: u64 = 0;
/// The kernel does less than 2 GiB at a time.
pub(super) const LEN_MAX: usize = 1 << 30;

/// What an operation ended with.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub result: Result<usize, Errno>,
    /// What [`Action::Accept`] brought.
    pub accepted: Option<OwnedFd>,
    pub memory: [Option<Memory>; 2],
}

/// All operations of a reactor.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    places: Slab<Operation>,
    /// Messages that no operation uses.
    #[allow(clippy::vec_box, reason = "boxes are what is spared")]
    spare: Vec<Box<Message>>,
    /// What the submission queue had no room for.
    backlog: VecDeque<squeue::Entry>,
}

#[derive(Debug)]
struct Operation {
    call: RawCall,
    state: State,
    // Kept until the completion (OPERATION-1).
    fd: Rc<OwnedFd>,
    memory: [Option<Memory>; 2],
    message: Option<Box<Message>>,
}

#[derive(Debug)]
enum State {
    Pending(Option<Waker>),
    GivenUp,
    Done(Result<usize, Errno>, Option<OwnedFd>),
}

/// What nobody wants any more: the descriptor, the memory, a connection.
type Garbage = (Rc<OwnedFd>, [Option<Memory>; 2], Option<OwnedFd>);

/// What a completion leaves to be done while nothing is borrowed: dropping it wakes whoever waits.
#[derive(Debug, Default)]
pub(crate) struct Completed {
    waker: Option<Waker>,
    #[allow(dead_code, reason = "it is there to be dropped")]
    garbage: Option<Garbage>,
}

impl Drop for Completed {
    fn drop(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Operations {
    /// A new operation; whoever does it is given the call, and then its completion.
    pub fn begin(
        &mut self,
        action: Action,
        fd: Rc<OwnedFd>,
        memory: [Option<Memory>; 2],
    ) -> (Key, RawCall) {
        let mut memory = memory;
        let mut pieces = [(std::ptr::null_mut(), 0); 2];
        let mut form = Form::Bytes;
        for (piece, memory) in pieces.iter_mut().zip(&mut memory) {
            if let Some(told) = memory.as_mut().map(Memory::told) {
                *piece = (told.at, told.len as usize);
                if told.form != Form::Bytes {
                    form = told.form;
                }
            }
        }
        assert!(
            form == Form::Bytes || action.is_of_a_file(),
            "{action:?} takes nothing that is lent"
        );
        let mut message =
            (action == Action::SendBoth).then(|| self.spare.pop().unwrap_or_default());
        let call = RawCall {
            action,
            fd: fd.as_raw_fd(),
            at: pieces[0].0,
            len: pieces[0].1 as u32,
            form,
            message: message
                .as_mut()
                .map_or(std::ptr::null(), |message| message.point_at(pieces)),
        };
        let key = self.places.insert(Operation {
            call,
            state: State::Pending(None),
            fd,
            memory,
            message,
        });
        (key, call)
    }

    /// Hands the operation to the ring; the kernel hears of it with the next submission.
    pub fn push(&mut self, waiter: &mut Waiter, key: Key) {
        if let Some(operation) = self.places.get_mut(key) {
            let entry = operation.call.entry().user_data(key.to_bits());
            self.backlog.push_back(entry);
            self.push_backlog(waiter);
        }
    }

    /// Asks the kernel to give the operation up; its completion comes all the same.
    pub fn push_cancel(&mut self, waiter: &mut Waiter, key: Key) {
        let entry = opcode::AsyncCancel::new(key.to_bits()).build();
        self.backlog.push_back(entry.user_data(CANCEL_TOKEN));
        self.push_backlog(waiter);
    }

    /// Moves what waits to the submission queue, as far as there is room.
    pub fn push_backlog(&mut self, waiter: &mut Waiter) {
        let mut tried = false;
        while let Some(entry) = self.backlog.front() {
            let Some(ring) = waiter.ring() else {
                return;
            };
            // SAFETY: the entry is of an operation in `places`, which keeps its descriptor, its memory and its message
            // until its completion has come (OPERATION-1), or a cancellation, which refers to nothing.
            let pushed = unsafe { ring.submission().push(entry) };
            if pushed.is_ok() {
                self.backlog.pop_front();
                continue;
            }
            // A full queue is emptied by a submission; if that does not help, the next turn will.
            if std::mem::replace(&mut tried, true) || waiter.submit().is_err() {
                return;
            }
        }
    }

    /// A completion has come. Only the kernel's, or the thread's that did the call, may be told here.
    pub fn complete(&mut self, (token, result): (u64, i32)) -> Completed {
        let key = Key::from_bits(token);
        let Some(operation) = self.places.get_mut(key) else {
            return Completed::default(); // of a cancellation
        };
        let accepted = (operation.call.action == Action::Accept && result >= 0).then(|| {
            // SAFETY: the accept has just made this descriptor, and nobody else knows of it.
            unsafe { OwnedFd::from_raw_fd(result) }
        });
        let result = usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result));
        match std::mem::replace(&mut operation.state, State::GivenUp) {
            State::Pending(waker) => {
                operation.state = State::Done(result, accepted);
                Completed {
                    waker,
                    garbage: None,
                }
            }
            State::GivenUp | State::Done(..) => {
                let garbage = self.remove(key);
                let garbage = garbage.map(|gone| (gone.fd, gone.memory, accepted)); // OPERATION-2
                Completed {
                    waker: None,
                    garbage,
                }
            }
        }
    }

    fn remove(&mut self, key: Key) -> Option<Operation> {
        let mut operation = self.places.remove(key)?;
        self.spare.extend(operation.message.take());
        Some(operation)
    }

    /// The outcome, if it is there.
    pub fn poll(&mut self, key: Key, context: &Context<'_>) -> Poll<Outcome> {
        let operation = self
            .places
            .get_mut(key)
            .expect("an operation stays until its future has seen it end");
        match &mut operation.state {
            State::Pending(Some(waker)) => waker.clone_from(context.waker()),
            State::Pending(waker) => *waker = Some(context.waker().clone()),
            _ => {
                let gone = self.remove(key).expect("found just above");
                let State::Done(result, accepted) = gone.state else {
                    unreachable!("only a dropped future gives up");
                };
                return Poll::Ready(Outcome {
                    result,
                    accepted,
                    memory: gone.memory,
                });
            }
        }
        Poll::Pending
    }

    /// Nobody waits for it any more. Tells whether it is to be cancelled, and what can be dropped: nothing that is still
    /// worked on (OPERATION-1).
    pub fn forget(&mut self, key: Key) -> (bool, Completed) {
        let mut left = Completed::default();
        let Some(operation) = self.places.get_mut(key) else {
            return (false, left);
        };
        match std::mem::replace(&mut operation.state, State::GivenUp) {
            State::Pending(_) => (true, left),
            State::GivenUp => (false, left), // cancelled already; its completion is to come
            State::Done(_, accepted) => {
                let gone = self.remove(key).expect("found just above");
                left.garbage = Some((gone.fd, gone.memory, accepted));
                (false, left)
            }
        }
    }

    /// Takes all commands out: a driver may keep them for ever, and no cancellation reaches them, but the end of the ring does.
    /// They have no memory; what they have is to be kept until then (OPERATION-1).
    pub fn take_commands(&mut self) -> Vec<impl Sized + use<>> {
        let mut taken = Vec::new();
        for key in self.keys() {
            let place = self.places.get_mut(key);
            if place.is_some_and(|one| matches!(one.call.action, Action::Command(_))) {
                taken.extend(self.remove(key));
            }
        }
        taken
    }

    /// How many there are: pending, or done and not taken.
    pub fn count(&self) -> usize {
        self.places.count()
    }

    /// Those that are there now.
    pub fn keys(&self) -> Vec<Key> {
        self.places.keys().collect()
    }
}

impl Drop for Operations {
    /// Whoever drops it with operations under way could not reap them: their memory is lost rather than reused.
    fn drop(&mut self) {
        let keys = self.keys();
        for key in keys {
            std::mem::forget(self.places.remove(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::action::DriverCommand;
    use super::*;

    fn socket() -> Rc<OwnedFd> {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        Rc::new(ours.into())
    }

    fn begin(operations: &mut Operations, action: Action, fd: &Rc<OwnedFd>) -> Key {
        let memory = Memory::from(vec![0; 8]);
        operations.begin(action, fd.clone(), [Some(memory), None]).0
    }

    #[test]
    fn an_operation_that_is_given_up_however_often_stays_until_its_completion() {
        // OPERATION-1
        let (mut operations, fd) = (Operations::default(), socket());
        let key = begin(&mut operations, Action::Recv, &fd);
        assert!(operations.forget(key).0, "to be cancelled");
        assert!(!operations.forget(key).0, "and not again");
        assert_eq!((operations.count(), Rc::strong_count(&fd)), (1, 2));
        drop(operations.complete((CANCEL_TOKEN, 0)));
        assert_eq!(operations.count(), 1);
        let completed = operations.complete((key.to_bits(), -libc::ECANCELED));
        assert_eq!(operations.count(), 0);
        drop(completed);
        assert_eq!(Rc::strong_count(&fd), 1);
    }

    #[test]
    fn a_place_is_not_used_again_before_its_completion() {
        // OPERATION-1
        let (mut operations, fd) = (Operations::default(), socket());
        let key = begin(&mut operations, Action::Recv, &fd);
        drop(operations.forget(key));
        let other = begin(&mut operations, Action::Recv, &fd);
        assert_ne!(key.to_bits() as u32, other.to_bits() as u32);
        drop(operations.complete((other.to_bits(), 3)));
        let context = Context::from_waker(Waker::noop());
        let Poll::Ready(outcome) = operations.poll(other, &context) else {
            panic!("it is complete");
        };
        assert_eq!(outcome.result, Ok(3));
        assert_eq!(operations.count(), 1);
    }

    #[test]
    fn commands_are_taken_out_and_nothing_else_and_what_they_have_stays_until_they_are_dropped() {
        // OPERATION-1
        let (mut operations, fd) = (Operations::default(), socket());
        let command = Action::Command(DriverCommand::default());
        let kept = begin(&mut operations, Action::Recv, &fd);
        operations.begin(command, fd.clone(), [None, None]);
        let taken = operations.take_commands();
        assert_eq!((operations.count(), Rc::strong_count(&fd)), (1, 3));
        drop(taken);
        assert_eq!(Rc::strong_count(&fd), 2);
        drop(operations.forget(kept));
        drop(operations.complete((kept.to_bits(), 0)));
    }

    #[test]
    fn a_connection_for_somebody_who_has_given_up_is_closed() {
        // OPERATION-2
        let is_open = |fd: i32| std::path::Path::new(&format!("/proc/self/fd/{fd}")).exists();
        let (mut operations, fd) = (Operations::default(), socket());
        for gives_up_first in [true, false] {
            use std::os::fd::IntoRawFd;
            let (accepted, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
            let accepted = OwnedFd::from(accepted).into_raw_fd();
            assert!(is_open(accepted));
            let key = begin(&mut operations, Action::Accept, &fd);
            if gives_up_first {
                drop(operations.forget(key));
                drop(operations.complete((key.to_bits(), accepted)));
            } else {
                drop(operations.complete((key.to_bits(), accepted)));
                drop(operations.forget(key));
            }
            assert_eq!(std::io::Read::read(&mut other, &mut [0]).unwrap(), 0);
        }
        assert_eq!(operations.count(), 0);
    }
}
