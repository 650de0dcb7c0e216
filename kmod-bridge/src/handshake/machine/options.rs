//! What each option does.

use archipelago_front::{DiskName, NotAName};

use super::{Finding, Handshake, Opening, Phase};
use crate::handshake::context::ContextKind;
use crate::handshake::option::{InfoRequest, Malformed, MetaRequest, Purpose, expect_empty};
use crate::handshake::options::{HandshakeError, Security};
use crate::wire::{OptionCode, OptionReply, ReplyMode};

impl Handshake {
    pub(super) fn take_option(
        &mut self,
        option: OptionCode,
        payload: &[u8],
    ) -> Result<(), HandshakeError> {
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
            OptionCode::LIST_META_CONTEXT => self.ask_for_contexts(option, payload),
            OptionCode::SET_META_CONTEXT => {
                // Whatever comes of it, what was selected before no longer is.
                self.selected = None;
                self.ask_for_contexts(option, payload)
            }
            _ => self.start_tls(option, payload),
        };
        if let Err(malformed) = answered {
            self.refuse(option, OptionReply::ERR_INVALID, &malformed.to_string());
        }
        Ok(())
    }

    pub(super) fn refuse(&mut self, option: OptionCode, reply: OptionReply, why: &str) {
        self.answers.answer(option, reply, why.as_bytes());
    }

    fn start_tls(&mut self, option: OptionCode, payload: &[u8]) -> Result<(), Malformed> {
        expect_empty(payload)?;
        if self.is_secure {
            let why = "the connection is encrypted already";
            self.refuse(option, OptionReply::ERR_INVALID, why);
        } else if self.options.security == Security::None {
            let why = "this server has no TLS on this socket";
            self.refuse(option, OptionReply::ERR_UNSUP, why);
        } else {
            self.answers.answer(option, OptionReply::ACK, &[]);
            self.phase = Phase::Securing;
        }
        Ok(())
    }

    fn choose_the_old_way(&mut self, payload: &[u8]) -> Result<(), HandshakeError> {
        if self.mode == ReplyMode::Extended {
            return Err(HandshakeError::OldWay);
        }
        self.phase = Phase::Opening(Opening {
            option: OptionCode::EXPORT_NAME,
            purpose: Purpose::DiskName,
            name: DiskName::parse(payload)?,
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
        match DiskName::parse(&request.name) {
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

    /// Contexts need chunks to be told in, and an export that could be.
    fn ask_for_contexts(&mut self, option: OptionCode, payload: &[u8]) -> Result<(), Malformed> {
        let request = MetaRequest::parse(payload)?;
        if self.mode == ReplyMode::Simple {
            let why = "structured replies, or extended headers, must be agreed on first";
            self.refuse(option, OptionReply::ERR_INVALID, why);
            return Ok(());
        }
        let name = match DiskName::parse(&request.name) {
            Ok(name) => name,
            Err(error) => {
                self.refuse_name(option, error);
                return Ok(());
            }
        };
        let wanted = match option {
            OptionCode::LIST_META_CONTEXT => request.listed(),
            _ => request.named(),
        };
        let needs_export = wanted.iter().any(|kind| *kind != ContextKind::Allocation);
        let finding = Finding {
            option,
            name,
            wanted,
        };
        if needs_export {
            self.phase = Phase::Finding(finding);
        } else {
            self.tell_contexts(finding);
        }
        Ok(())
    }
}
