//! The stream of requests as a machine.
//!
//! # Invariants
//! * **READER-1** After a refused request the reader stands at the next one: a payload is skipped whole before the refusal is told, so
//!   that no client is answered while it still sends (F73, F74).
//! * **READER-2** No bytes, in whatever pieces, make it panic; it keeps none of them (F70, F71).
//! * **READER-3** What is no request ends the connection, and nothing after it is looked at.

use super::admission::{Admission, Refusal};
use super::command::{Command, Request};
use crate::limits::{PAYLOAD_SKIPPED_BYTES_MAX, STATUS_PAYLOAD_BYTES_MAX};
use crate::wire::{CommandCode, HEADER_BYTES_MAX, RequestHeader, WrongMagic};

/// What the bytes amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Too few bytes for anything: bring more, behind those that were not taken.
    Receive,
    /// To be done. The payload of a write comes next, and the caller takes it: it never passes through here.
    Request(Request),
    /// To be answered with an error.
    Refuse {
        cookie: u64,
        offset: u64,
        refusal: Refusal,
    },
    /// The client takes its leave; what it asked before is still to be done.
    Disconnect,
    /// Close at once.
    Close(TransmissionError),
}

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransmissionError {
    #[error("the client is out of step: {0}")]
    Magic(#[from] WrongMagic),
    #[error("a refused request announces a payload of {len_bytes} bytes")]
    Oversize { len_bytes: u64 },
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header,
    Skip { left: u64, then: Step },
    Over(Step),
}

/// Reads the requests of one connection.
#[derive(Debug)]
pub struct RequestReader {
    admission: Admission,
    state: State,
    draining: bool,
}

impl RequestReader {
    pub fn new(admission: Admission) -> Self {
        Self {
            admission,
            state: State::Header,
            draining: false,
        }
    }

    /// From now on every request is refused, but for the client's leave.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// What a receive buffer must at least have room for.
    pub const fn bytes_min() -> usize {
        HEADER_BYTES_MAX + STATUS_PAYLOAD_BYTES_MAX
    }

    /// Is it skipping the payload of a request that was refused?
    pub fn is_within_request(&self) -> bool {
        matches!(self.state, State::Skip { .. })
    }

    /// Looks at the front of `bytes` and says how many it took.
    pub fn step(&mut self, bytes: &[u8]) -> (usize, Step) {
        match &mut self.state {
            State::Over(step) => (0, *step),
            State::Skip { left, then } => {
                let taken = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                if *left > 0 {
                    return (taken, Step::Receive);
                }
                let step = *then;
                self.state = State::Header;
                (taken, step)
            }
            State::Header => self.header(bytes),
        }
    }

    fn header(&mut self, bytes: &[u8]) -> (usize, Step) {
        let mode = self.admission.agreed().mode;
        let header = match RequestHeader::decode(mode, bytes) {
            Ok(Some(header)) => header,
            Ok(None) => return (0, Step::Receive),
            Err(error) => return (0, self.close(error.into())),
        };
        let taken = RequestHeader::len_bytes(mode);
        let status_payload_len = self.admission.status_payload_len(&header);
        if let Some(len) = status_payload_len.filter(|_| !self.draining) {
            return self.status(&header, bytes, taken..taken + len);
        }
        if header.command == CommandCode::DISC {
            self.state = State::Over(Step::Disconnect);
            return (taken, Step::Disconnect);
        }
        match self.judge(&header) {
            Ok(command) => (taken, Step::Request(request(&header, command))),
            Err(refusal) => match self.refuse(&header, refusal) {
                Step::Receive => {
                    let (skipped, step) = self.step(&bytes[taken..]);
                    (taken + skipped, step)
                }
                step => (taken, step),
            },
        }
    }

    /// A block status with a payload: short, and judged when it is all there.
    fn status(
        &self,
        header: &RequestHeader,
        bytes: &[u8],
        payload: std::ops::Range<usize>,
    ) -> (usize, Step) {
        let taken = payload.end;
        let Some(payload) = bytes.get(payload) else {
            return (0, Step::Receive);
        };
        let step = match self.admission.judge_status(header, payload) {
            Ok(command) => Step::Request(request(header, command)),
            Err(refusal) => Step::Refuse {
                cookie: header.cookie,
                offset: header.offset,
                refusal,
            },
        };
        (taken, step)
    }

    fn judge(&self, header: &RequestHeader) -> Result<Command, Refusal> {
        if self.draining {
            return Err(Refusal::Shutdown);
        }
        self.admission.judge(header)
    }

    fn refuse(&mut self, header: &RequestHeader, refusal: Refusal) -> Step {
        let then = Step::Refuse {
            cookie: header.cookie,
            offset: header.offset,
            refusal,
        };
        match self.admission.payload_len(header) {
            0 => then,
            len_bytes if len_bytes > PAYLOAD_SKIPPED_BYTES_MAX => {
                self.close(TransmissionError::Oversize { len_bytes })
            }
            left => {
                self.state = State::Skip { left, then };
                Step::Receive
            }
        }
    }

    fn close(&mut self, error: TransmissionError) -> Step {
        self.state = State::Over(Step::Close(error));
        Step::Close(error)
    }
}

fn request(header: &RequestHeader, command: Command) -> Request {
    Request {
        cookie: header.cookie,
        offset: header.offset,
        command,
    }
}

#[cfg(test)]
mod tests;
