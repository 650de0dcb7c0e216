//! The handshake as a machine: fixed newstyle, without I/O and without a clock.
//!
//! ```text
//! flags --> option --> payload --> (List, Open, FindSnapshots: asked of the outside) --> option ...
//!              |          |                                     +--> Transmit
//!              +--> skip -+                    anything fatal ------> Close
//! ```
//! The driver loops: ask [`Handshake::decide`], send [`Handshake::output`], and do what was decided.
//!
//! # Invariants
//! * **HANDSHAKE-1** No bytes, in whatever pieces, make it panic or loop: each is taken once, and what makes no sense gets an
//!   error that the client can read, or ends the connection (F70).
//! * **HANDSHAKE-2** It keeps what was received of one option and no more than [`OPTION_BYTES_MAX`] bytes of it; nothing is
//!   reserved because a length was announced (F71).
//! * **HANDSHAKE-3** No byte beyond the handshake is taken: what follows the choice of an export is left for whoever comes next.
//! * **HANDSHAKE-5** When the connection is encrypted everything that was agreed on before is forgotten (F81); where it must be,
//!   nothing is listed, told or opened before.
//! * **HANDSHAKE-4** An export is asked for only after the client named it: in INFO, GO or EXPORT_NAME, or with a snapshot of it
//!   in LIST_META_CONTEXT or SET_META_CONTEXT (F80).

use archipelago_front::DiskName;

use super::agreed::Agreed;
use super::answers::Answers;
use super::context::{ContextKind, MetaContext};
use super::option::Purpose;
use super::options::{HandshakeError, HandshakeOptions, Security};
use crate::limits::{OPTION_BYTES_MAX, OPTION_SKIPPED_BYTES_MAX, STRING_BYTES_MAX};
use crate::wire::{Fields, InfoCode, OptionCode, OptionReply, ReplyMode, client_flags, magic};

const CLIENT_FLAGS_BYTES: usize = 4;
const OPTION_HEADER_BYTES: usize = 16;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Send the output, then bring bytes, no more than so many.
    Receive { bytes_max: usize },
    /// Bring the list of exports: [`Handshake::listed`].
    List,
    /// Open this export, and say what it is: [`Handshake::opened`]. Opened for [`Purpose::Info`], it is closed again.
    Open { name: DiskName, purpose: Purpose },
    /// Look which of these the export can tell changes since, and say so: [`Handshake::found`].
    FindSnapshots {
        name: DiskName,
        snapshots: Vec<DiskName>,
    },
    /// Send the output, have the client shake hands for TLS, and go on through it: [`Handshake::secured`].
    StartTls,
    /// Send the output; the handshake is over.
    Transmit(Box<Agreed>),
    /// Send the output, then close.
    Close(HandshakeError),
}

impl Decision {
    /// Whether the client has said which export it means: what takes time from here on is ours.
    pub fn names_an_export(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::FindSnapshots { .. })
    }
}

#[derive(Debug)]
enum Phase {
    ClientFlags,
    Header,
    Payload {
        option: OptionCode,
        len: usize,
    },
    /// Of a refused option; then the refusal is answered.
    Skip {
        option: OptionCode,
        left: usize,
        reply: OptionReply,
        why: &'static str,
    },
    Listing,
    Opening(Opening),
    Finding(Finding),
    Securing,
    Over(Decision),
}

#[derive(Clone, Debug)]
struct Opening {
    option: OptionCode,
    purpose: Purpose,
    name: DiskName,
    wanted: Vec<InfoCode>,
}

/// Contexts that are to be listed or selected, if the snapshots among them are there.
#[derive(Clone, Debug)]
struct Finding {
    option: OptionCode,
    name: DiskName,
    wanted: Vec<ContextKind>,
}

impl Finding {
    fn snapshots(&self) -> Vec<DiskName> {
        let snapshot = |kind: &ContextKind| match kind {
            ContextKind::Allocation => None,
            ContextKind::ChangedSince(snapshot) => Some(snapshot.clone()),
        };
        self.wanted.iter().filter_map(snapshot).collect()
    }
}

/// Contexts, chosen for one export. They count only if that is the one that is then opened.
#[derive(Debug)]
struct Selected {
    name: DiskName,
    contexts: Vec<MetaContext>,
}

/// The server's side of one handshake.
#[derive(Debug)]
pub struct Handshake {
    options: HandshakeOptions,
    phase: Phase,
    /// Of the message that the phase waits for.
    received: Vec<u8>,
    answers: Answers,
    zeroes: bool,
    mode: ReplyMode,
    selected: Option<Selected>,
    is_secure: bool,
}

impl Handshake {
    pub fn new(options: HandshakeOptions) -> Self {
        let mut answers = Answers::default();
        answers.greet();
        Self {
            options,
            phase: Phase::ClientFlags,
            received: Vec::new(),
            answers,
            zeroes: true,
            mode: ReplyMode::Simple,
            selected: None,
            is_secure: false,
        }
    }

    /// What is to be sent before anything else happens.
    pub fn output(&mut self) -> Vec<u8> {
        self.answers.take()
    }

    /// Bytes that are kept at this moment.
    pub fn kept_bytes(&self) -> usize {
        self.received.len()
    }

    /// Takes bytes from the front, as many as it has a use for, and says how many that were.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.wanted());
        match &mut self.phase {
            Phase::Skip { left, .. } => *left -= taken,
            _ => self.received.extend_from_slice(&bytes[..taken]),
        }
        taken
    }

    /// How many bytes the present message lacks.
    fn wanted(&self) -> usize {
        let len = match &self.phase {
            Phase::ClientFlags => CLIENT_FLAGS_BYTES,
            Phase::Header => OPTION_HEADER_BYTES,
            Phase::Payload { len, .. } => *len,
            Phase::Skip { left, .. } => return *left,
            Phase::Listing
            | Phase::Opening(_)
            | Phase::Finding(_)
            | Phase::Securing
            | Phase::Over(_) => return 0,
        };
        len - self.received.len()
    }

    /// What is to be done next. Asked again without an answer, it says the same again.
    pub fn decide(&mut self) -> Decision {
        loop {
            let bytes_max = self.wanted();
            if bytes_max > 0 {
                return Decision::Receive { bytes_max };
            }
            match &self.phase {
                Phase::Listing => return Decision::List,
                Phase::Opening(Opening { name, purpose, .. }) => {
                    let (name, purpose) = (name.clone(), *purpose);
                    return Decision::Open { name, purpose };
                }
                Phase::Finding(finding) => {
                    let (name, snapshots) = (finding.name.clone(), finding.snapshots());
                    return Decision::FindSnapshots { name, snapshots };
                }
                Phase::Securing => return Decision::StartTls,
                Phase::Over(decision) => return decision.clone(),
                Phase::ClientFlags | Phase::Header | Phase::Payload { .. } | Phase::Skip { .. } => {
                    self.step();
                }
            }
        }
    }

    /// The message is complete: on to the next phase.
    fn step(&mut self) {
        let message = std::mem::take(&mut self.received);
        let phase = std::mem::replace(&mut self.phase, Phase::Header);
        let outcome = match phase {
            Phase::ClientFlags => self.take_client_flags(&message),
            Phase::Header => self.take_header(&message),
            Phase::Payload { option, .. } => self.take_option(option, &message),
            Phase::Skip {
                option, reply, why, ..
            } => {
                self.refuse(option, reply, why);
                Ok(())
            }
            other => {
                self.phase = other;
                Ok(())
            }
        };
        if let Err(error) = outcome {
            self.phase = Phase::Over(Decision::Close(error));
        }
    }

    /// Is there nothing for this client before it encrypts (HANDSHAKE-5)?
    fn is_closed(&self) -> bool {
        self.options.security == Security::Required && !self.is_secure
    }

    fn take_client_flags(&mut self, message: &[u8]) -> Result<(), HandshakeError> {
        let flags: u32 = Fields::of(message)
            .take()
            .expect("the phase waited for all of it");
        if flags & !client_flags::KNOWN != 0 {
            return Err(HandshakeError::ClientFlags { flags });
        }
        self.zeroes = flags & client_flags::NO_ZEROES == 0;
        Ok(())
    }

    fn take_header(&mut self, message: &[u8]) -> Result<(), HandshakeError> {
        let whole = "the phase waited for all of it";
        let mut fields = Fields::of(message);
        let found: u64 = fields.take().expect(whole);
        let option = OptionCode(fields.take().expect(whole));
        let len_bytes: u32 = fields.take().expect(whole);
        if found != magic::OPTION {
            return Err(HandshakeError::Magic { found });
        }
        let oversize = HandshakeError::Oversize {
            option: option.0,
            len_bytes,
        };
        let len = len_bytes as usize;
        let skip = |reply, why| Phase::Skip {
            option,
            left: len,
            reply,
            why,
        };
        self.phase = match option {
            _ if len_bytes > OPTION_SKIPPED_BYTES_MAX => return Err(oversize),
            OptionCode::EXPORT_NAME if len > STRING_BYTES_MAX => return Err(oversize),
            OptionCode::EXPORT_NAME if self.is_closed() => {
                return Err(HandshakeError::InTheClear);
            }
            OptionCode::ABORT | OptionCode::STARTTLS if len <= OPTION_BYTES_MAX => {
                Phase::Payload { option, len }
            }
            _ if self.is_closed() => skip(OptionReply::ERR_TLS_REQD, "encrypt first: STARTTLS"),
            _ if !is_known(option) => skip(
                OptionReply::ERR_UNSUP,
                "this server does not know the option",
            ),
            _ if len > OPTION_BYTES_MAX => skip(OptionReply::ERR_TOO_BIG, "the option is too long"),
            _ => Phase::Payload { option, len },
        };
        Ok(())
    }
}

/// Others are skipped whatever they are.
fn is_known(option: OptionCode) -> bool {
    matches!(
        option,
        OptionCode::EXPORT_NAME
            | OptionCode::ABORT
            | OptionCode::LIST
            | OptionCode::STARTTLS
            | OptionCode::INFO
            | OptionCode::GO
            | OptionCode::STRUCTURED_REPLY
            | OptionCode::LIST_META_CONTEXT
            | OptionCode::SET_META_CONTEXT
            | OptionCode::EXTENDED_HEADERS
    )
}

mod options;
mod outcomes;
#[cfg(test)]
mod tests;
