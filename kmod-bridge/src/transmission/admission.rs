//! Judging a request by its header alone.
//!
//! # Invariants
//! * **ADMISSION-1** What is admitted lies within the export: offset and length neither overflow nor end beyond it as it is
//!   when the request comes (F72).
//! * **ADMISSION-2** Nothing that could change data is admitted on a read-only export, whatever its flags say (F82).
//! * **ADMISSION-3** Only what was offered is admitted: no unknown command, no unknown flag, nothing longer than agreed (F73, F74).

use std::cell::Cell;
use std::rc::Rc;

use super::command::Command;
use super::contexts::ContextSet;
use crate::handshake::Agreed;
use crate::wire::{CommandCode, Fields, NbdError, ReplyMode, RequestHeader, command_flags};

/// The beginning of a block status' payload: the length of its range.
const LENGTH_BYTES: u64 = 8;
/// The rest of it: numbers of contexts.
const NUMBER_BYTES: usize = 4;

/// Why a request is not done; the text goes to the client where the dialect has room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    #[error("this server does not know the command")]
    UnknownCommand,
    #[error("the export does not offer this")]
    NotOffered,
    #[error("a flag does not go with this command")]
    Flags,
    #[error("the export is read-only")]
    ReadOnly,
    #[error("the range lies outside the export")]
    Outside,
    #[error("the range lies outside the export")]
    NoSpace,
    #[error("this is more than one request may carry")]
    Oversize,
    #[error("this is more than one answer may carry")]
    Overflow,
    #[error("a flush has neither offset nor length")]
    FlushRange,
    #[error("no metadata context was selected")]
    NoContext,
    #[error("a range of no bytes has no status")]
    Empty,
    #[error("this command has no payload")]
    Payload,
    #[error("a payload of this length says nothing about contexts")]
    StatusPayload,
    #[error("the payload names a context that was not selected, or one twice")]
    StatusContext,
    #[error("the server is shutting down")]
    Shutdown,
}

impl Refusal {
    pub fn error(self) -> NbdError {
        match self {
            Self::ReadOnly => NbdError::NotPermitted,
            Self::NoSpace => NbdError::NoSpace,
            Self::Overflow => NbdError::Overflow,
            Self::Shutdown => NbdError::Shutdown,
            _ => NbdError::Invalid,
        }
    }
}

/// What requests on a connection are judged by.
#[derive(Clone, Debug)]
pub struct Admission {
    agreed: Agreed,
    /// The export's now: it may have been resized since the handshake.
    size_bytes: Rc<Cell<u64>>,
    payload_bytes_max: u32,
}

impl Admission {
    pub fn new(agreed: Agreed, payload_bytes_max: u32) -> Self {
        Self {
            size_bytes: Rc::new(Cell::new(agreed.facts.size_bytes)),
            agreed,
            payload_bytes_max,
        }
    }

    /// The same for an export whose size is kept elsewhere, by whoever is told when it changes.
    #[must_use]
    pub fn with_size(self, size_bytes: Rc<Cell<u64>>) -> Self {
        Self { size_bytes, ..self }
    }

    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// How many bytes of payload come after this header.
    pub fn payload_len(&self, header: &RequestHeader) -> u64 {
        let announces = header.flags & command_flags::PAYLOAD_LEN != 0;
        let extended = self.agreed.mode == ReplyMode::Extended;
        // A write always has one, even if an extended client forgot to say so.
        if header.command == CommandCode::WRITE || (extended && announces) {
            header.length
        } else {
            0
        }
    }

    /// How many bytes of payload say what a block status is about, if that is what the header announces. They are to be
    /// judged with the header: [`Admission::judge_status`].
    pub fn status_payload_len(&self, header: &RequestHeader) -> Option<usize> {
        let announced = header.flags & command_flags::PAYLOAD_LEN != 0;
        if header.command != CommandCode::BLOCK_STATUS || !announced {
            return None;
        }
        let contexts = self.agreed.contexts.len();
        let numbers = usize::try_from(header.length.checked_sub(LENGTH_BYTES)?).ok()?;
        let is_good = numbers.is_multiple_of(NUMBER_BYTES)
            && (1..=contexts).contains(&(numbers / NUMBER_BYTES));
        (self.agreed.has_status_payload() && is_good).then_some(header.length as usize)
    }

    /// Judges a block status that says what it is about: its length, and the numbers of contexts.
    pub fn judge_status(&self, header: &RequestHeader, payload: &[u8]) -> Result<Command, Refusal> {
        let mut fields = Fields::of(payload);
        let length = fields.take().map_err(|_| Refusal::StatusPayload)?;
        let mut contexts = ContextSet::default();
        while !fields.is_empty() {
            let number: u32 = fields.take().map_err(|_| Refusal::StatusPayload)?;
            let mut agreed = self.agreed.contexts.iter();
            let place = agreed.position(|context| context.number == number);
            if !place.is_some_and(|place| contexts.insert(place)) {
                return Err(Refusal::StatusContext);
            }
        }
        let command = self.judge(&RequestHeader {
            length,
            flags: header.flags & !command_flags::PAYLOAD_LEN,
            ..*header
        })?;
        Ok(match command {
            Command::BlockStatus { length, one, .. } => Command::BlockStatus {
                length,
                one,
                contexts,
            },
            other => other,
        })
    }

    /// Judges the header of anything but a disconnect.
    pub fn judge(&self, header: &RequestHeader) -> Result<Command, Refusal> {
        let allowed = self.allowed_flags(header.command)?;
        if header.command != CommandCode::WRITE && self.payload_len(header) > 0 {
            return Err(match header.command {
                CommandCode::BLOCK_STATUS => Refusal::StatusPayload,
                _ => Refusal::Payload,
            });
        }
        if header.flags & !allowed != 0 {
            return Err(Refusal::Flags);
        }
        self.check_range(header)?;
        let has = |flag| header.flags & flag != 0;
        let (length, fua) = (header.length, has(command_flags::FUA));
        Ok(match header.command {
            CommandCode::READ => Command::Read {
                length: self.payload_within(header)?,
                whole: has(command_flags::DF),
            },
            CommandCode::WRITE => Command::Write {
                length: self.payload_within(header)?,
                fua,
            },
            CommandCode::FLUSH => Command::Flush,
            CommandCode::TRIM => Command::Trim { length, fua },
            CommandCode::CACHE => Command::Cache { length },
            CommandCode::WRITE_ZEROES => Command::WriteZeroes {
                length,
                fua,
                no_hole: has(command_flags::NO_HOLE),
                fast: has(command_flags::FAST_ZERO),
            },
            _ => Command::BlockStatus {
                length,
                one: has(command_flags::REQ_ONE),
                contexts: ContextSet::all(self.agreed.contexts.len()),
            },
        })
    }

    /// Which flags the command may have, if it may be used at all.
    fn allowed_flags(&self, command: CommandCode) -> Result<u16, Refusal> {
        let features = self.agreed.facts.features;
        let offered = match command {
            CommandCode::READ => true,
            CommandCode::WRITE | CommandCode::TRIM | CommandCode::WRITE_ZEROES
                if features.read_only =>
            {
                return Err(Refusal::ReadOnly);
            }
            CommandCode::WRITE => true,
            CommandCode::FLUSH => features.flush,
            CommandCode::TRIM => features.trim,
            CommandCode::CACHE => features.cache,
            CommandCode::WRITE_ZEROES => features.write_zeroes,
            CommandCode::BLOCK_STATUS if self.agreed.contexts.is_empty() => {
                return Err(Refusal::NoContext);
            }
            CommandCode::BLOCK_STATUS => true,
            _ => return Err(Refusal::UnknownCommand),
        };
        if !offered {
            return Err(Refusal::NotOffered);
        }
        let when = |condition, flag| if condition { flag } else { 0 };
        let chunks = self.agreed.mode != ReplyMode::Simple;
        let extended = self.agreed.mode == ReplyMode::Extended;
        // Where FUA is offered it goes with every command, and means nothing to those that do not write.
        let fua = when(features.fua && !features.read_only, command_flags::FUA);
        let fast = when(features.fast_zero, command_flags::FAST_ZERO);
        Ok(fua
            | match command {
                CommandCode::READ => when(chunks, command_flags::DF),
                CommandCode::WRITE => when(extended, command_flags::PAYLOAD_LEN),
                CommandCode::WRITE_ZEROES => command_flags::NO_HOLE | fast,
                CommandCode::BLOCK_STATUS => command_flags::REQ_ONE,
                _ => 0,
            })
    }

    fn check_range(&self, header: &RequestHeader) -> Result<(), Refusal> {
        if header.command == CommandCode::FLUSH {
            return match (header.offset, header.length) {
                (0, 0) => Ok(()),
                _ => Err(Refusal::FlushRange),
            };
        }
        if header.command == CommandCode::BLOCK_STATUS && header.length == 0 {
            return Err(Refusal::Empty);
        }
        let size_bytes = self.size_bytes.get();
        match header.offset.checked_add(header.length) {
            Some(end) if end <= size_bytes => Ok(()),
            _ => Err(match header.command {
                CommandCode::WRITE | CommandCode::WRITE_ZEROES => Refusal::NoSpace,
                _ => Refusal::Outside,
            }),
        }
    }

    fn payload_within(&self, header: &RequestHeader) -> Result<u32, Refusal> {
        let whole = header.flags & command_flags::DF != 0;
        match u32::try_from(header.length) {
            Ok(length) if length <= self.payload_bytes_max => Ok(length),
            _ if whole => Err(Refusal::Overflow),
            _ => Err(Refusal::Oversize),
        }
    }
}

#[cfg(test)]
mod tests;
