//! The handshake as a machine: fixed newstyle, without I/O and without a clock.
//!
//! ```text
//! flags --> option --> payload --> (List, Open: asked of the outside) --> option ...
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
//! * **HANDSHAKE-4** An export is asked for only after the client named it in INFO, GO or EXPORT_NAME (F80).

use super::agreed::{Agreed, MetaContext};
use super::answers::{Answers, ExportWords};
use super::option::{InfoRequest, Malformed, MetaRequest, Purpose, expect_empty};
use super::options::{HandshakeError, HandshakeOptions, Listed, OpenRefusal};
use crate::export::ExportFacts;
use crate::limits::{
    BLOCK_BYTES_PREFERRED, OPTION_BYTES_MAX, OPTION_SKIPPED_BYTES_MAX, STRING_BYTES_MAX,
};
use crate::name::{ExportName, NotAName};
use crate::wire::{
    BASE_ALLOCATION, Fields, InfoCode, OptionCode, OptionReply, ReplyMode, client_flags, magic,
};

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
    Open { name: ExportName, purpose: Purpose },
    /// Send the output; the handshake is over.
    Transmit(Box<Agreed>),
    /// Send the output, then close.
    Close(HandshakeError),
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
    Over(Decision),
}

#[derive(Clone, Debug)]
struct Opening {
    option: OptionCode,
    purpose: Purpose,
    name: ExportName,
    wanted: Vec<InfoCode>,
}

/// A context, chosen for one export. It counts only if that is the one that is then opened.
#[derive(Debug)]
struct Selected {
    name: Vec<u8>,
    allocation: bool,
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
            Phase::Listing | Phase::Opening(_) | Phase::Over(_) => return 0,
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
            _ if !is_known(option) => skip(
                OptionReply::ERR_UNSUP,
                "this server does not know the option",
            ),
            _ if len > OPTION_BYTES_MAX => skip(OptionReply::ERR_TOO_BIG, "the option is too long"),
            _ => Phase::Payload { option, len },
        };
        Ok(())
    }

    fn take_option(&mut self, option: OptionCode, payload: &[u8]) -> Result<(), HandshakeError> {
        let answered = match option {
            OptionCode::EXPORT_NAME => return self.choose_the_old_way(payload),
            OptionCode::ABORT => {
                self.answers.answer(option, OptionReply::ACK, &[]);
                return Err(HandshakeError::Aborted);
            }
            OptionCode::INFO => self.ask_for_export(option, Purpose::Info, payload),
            OptionCode::GO => self.ask_for_export(option, Purpose::Go, payload),
            OptionCode::LIST => self.ask_for_list(payload),
            OptionCode::STRUCTURED_REPLY => self.raise_mode(option, payload, ReplyMode::Structured),
            OptionCode::EXTENDED_HEADERS => self.raise_mode(option, payload, ReplyMode::Extended),
            OptionCode::LIST_META_CONTEXT => self.list_contexts(payload),
            OptionCode::SET_META_CONTEXT => self.set_contexts(payload),
            _ => expect_empty(payload).map(|()| {
                let why = "this server has no TLS on this socket";
                self.refuse(option, OptionReply::ERR_UNSUP, why);
            }),
        };
        if let Err(malformed) = answered {
            self.refuse(option, OptionReply::ERR_INVALID, &malformed.to_string());
        }
        Ok(())
    }

    fn refuse(&mut self, option: OptionCode, reply: OptionReply, why: &str) {
        self.answers.answer(option, reply, why.as_bytes());
    }

    fn choose_the_old_way(&mut self, payload: &[u8]) -> Result<(), HandshakeError> {
        if self.mode == ReplyMode::Extended {
            return Err(HandshakeError::OldWay);
        }
        self.phase = Phase::Opening(Opening {
            option: OptionCode::EXPORT_NAME,
            purpose: Purpose::ExportName,
            name: ExportName::parse(payload)?,
            wanted: Vec::new(),
        });
        Ok(())
    }

    fn ask_for_export(
        &mut self,
        option: OptionCode,
        purpose: Purpose,
        payload: &[u8],
    ) -> Result<(), Malformed> {
        let request = InfoRequest::parse(payload)?;
        match ExportName::parse(&request.name) {
            Ok(name) => {
                self.phase = Phase::Opening(Opening {
                    option,
                    purpose,
                    name,
                    wanted: request.wanted,
                });
            }
            Err(error) => self.refuse_name(option, error),
        }
        Ok(())
    }

    /// A name that cannot be is unknown, like any other (EXPORT-1).
    fn refuse_name(&mut self, option: OptionCode, error: NotAName) {
        self.refuse(option, OptionReply::ERR_UNKNOWN, &error.to_string());
    }

    fn ask_for_list(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        expect_empty(payload)?;
        if self.options.list {
            self.phase = Phase::Listing;
        } else {
            let why = "this server does not tell which exports it has";
            self.refuse(OptionCode::LIST, OptionReply::ERR_POLICY, why);
        }
        Ok(())
    }

    fn raise_mode(
        &mut self,
        option: OptionCode,
        payload: &[u8],
        mode: ReplyMode,
    ) -> Result<(), Malformed> {
        expect_empty(payload)?;
        if self.options.mode_max < mode {
            self.refuse(option, OptionReply::ERR_UNSUP, "this is switched off here");
        } else if self.mode == mode {
            let why = "this was agreed on already";
            self.refuse(option, OptionReply::ERR_INVALID, why);
        } else if self.mode > mode {
            let why = "extended headers were agreed on already";
            self.refuse(option, OptionReply::ERR_EXT_HEADER_REQD, why);
        } else {
            self.mode = mode;
            self.answers.answer(option, OptionReply::ACK, &[]);
        }
        Ok(())
    }

    fn list_contexts(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        let option = OptionCode::LIST_META_CONTEXT;
        let request = MetaRequest::parse(payload)?;
        if self.refuses_contexts(option, &request) {
            return Ok(());
        }
        if request.lists_allocation() {
            // Numbers are given only to what was selected.
            self.answers.context(option, 0, BASE_ALLOCATION);
        }
        self.answers.answer(option, OptionReply::ACK, &[]);
        Ok(())
    }

    fn set_contexts(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        let option = OptionCode::SET_META_CONTEXT;
        // Whatever comes of it, what was selected before no longer is.
        self.selected = None;
        let request = MetaRequest::parse(payload)?;
        if self.refuses_contexts(option, &request) {
            return Ok(());
        }
        let allocation = request.selects_allocation();
        if allocation {
            let number = MetaContext::ALLOCATION.0;
            self.answers.context(option, number, BASE_ALLOCATION);
        }
        self.selected = Some(Selected {
            name: request.name,
            allocation,
        });
        self.answers.answer(option, OptionReply::ACK, &[]);
        Ok(())
    }

    /// Contexts need chunks to be told in, and an export that could be.
    fn refuses_contexts(&mut self, option: OptionCode, request: &MetaRequest) -> bool {
        if self.mode == ReplyMode::Simple {
            let why = "structured replies, or extended headers, must be agreed on first";
            self.refuse(option, OptionReply::ERR_INVALID, why);
            return true;
        }
        match ExportName::parse(&request.name) {
            Ok(_) => false,
            Err(error) => {
                self.refuse_name(option, error);
                true
            }
        }
    }

    /// The answer to [`Decision::List`]. Without a list the client is told why.
    pub fn listed(&mut self, exports: Result<&[Listed], &str>) {
        assert!(
            matches!(self.phase, Phase::Listing),
            "nobody asked for a list"
        );
        let option = OptionCode::LIST;
        self.phase = Phase::Header;
        match exports {
            Ok(exports) => {
                for Listed { name, description } in exports {
                    self.answers.server(option, name, description);
                }
                self.answers.answer(option, OptionReply::ACK, &[]);
            }
            Err(why) => self.refuse(option, OptionReply::ERR_PLATFORM, why),
        }
    }

    /// The answer to [`Decision::Open`].
    pub fn opened(&mut self, outcome: Result<ExportFacts, OpenRefusal>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Header);
        let Phase::Opening(opening) = phase else {
            panic!("nobody asked for an export to be opened");
        };
        match (outcome, opening.purpose) {
            (Ok(facts), Purpose::Info) => self.inform(&opening, &facts),
            (Ok(facts), Purpose::Go) => {
                self.inform(&opening, &facts);
                self.finish(opening, facts);
            }
            (Ok(facts), Purpose::ExportName) => {
                self.answers.old_answer(self.words(&facts), self.zeroes);
                self.finish(opening, facts);
            }
            (Err(refusal), Purpose::ExportName) => {
                self.phase = Phase::Over(Decision::Close(refusal.into()));
            }
            (Err(refusal), Purpose::Info | Purpose::Go) => {
                let reply = match refusal {
                    OpenRefusal::Unknown => OptionReply::ERR_UNKNOWN,
                    OpenRefusal::Denied { .. } => OptionReply::ERR_POLICY,
                    OpenRefusal::Shutdown => OptionReply::ERR_SHUTDOWN,
                };
                self.refuse(opening.option, reply, &refusal.to_string());
            }
        }
    }

    fn words(&self, facts: &ExportFacts) -> ExportWords {
        ExportWords {
            size_bytes: facts.size_bytes,
            transmission_flags: facts.features.transmission_flags(self.mode),
        }
    }

    fn inform(&mut self, opening: &Opening, facts: &ExportFacts) {
        let option = opening.option;
        self.answers.info_export(option, self.words(facts));
        let wants = |code| opening.wanted.contains(&code);
        if wants(InfoCode::NAME) {
            let name = opening.name.as_str().as_bytes();
            self.answers.info(option, InfoCode::NAME, name);
        }
        if wants(InfoCode::DESCRIPTION) && !facts.description.is_empty() {
            let description = facts.description.as_bytes();
            self.answers
                .info(option, InfoCode::DESCRIPTION, description);
        }
        if wants(InfoCode::BLOCK_SIZE) {
            let max = self.options.payload_bytes_max;
            let sizes = [1, BLOCK_BYTES_PREFERRED.min(max), max];
            self.answers.info_block_size(option, sizes);
        }
        self.answers.answer(option, OptionReply::ACK, &[]);
    }

    fn finish(&mut self, opening: Opening, facts: ExportFacts) {
        let selected = self.selected.as_ref().is_some_and(|selected| {
            selected.allocation && selected.name == opening.name.as_str().as_bytes()
        });
        self.phase = Phase::Over(Decision::Transmit(Box::new(Agreed {
            name: opening.name,
            facts,
            mode: self.mode,
            context: selected.then_some(MetaContext::ALLOCATION),
        })));
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

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
