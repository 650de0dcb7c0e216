//! What each option does.

use archipelago_front::{DiskName, NotAName};

use super::{Handshake, Opening, Phase, Selected};
use crate::handshake::agreed::MetaContext;
use crate::handshake::option::{InfoRequest, Malformed, MetaRequest, Purpose, expect_empty};
use crate::handshake::options::HandshakeError;
use crate::wire::{BASE_ALLOCATION, OptionCode, OptionReply, ReplyMode};

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

    pub(super) fn refuse(&mut self, option: OptionCode, reply: OptionReply, why: &str) {
        self.answers.answer(option, reply, why.as_bytes());
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
        match DiskName::parse(&request.name) {
            Ok(_) => false,
            Err(error) => {
                self.refuse_name(option, error);
                true
            }
        }
    }
}
