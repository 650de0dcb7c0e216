//! The bytes of the server's side of a handshake.
//!
//! ```text
//! greeting     magic u64 | magic u64 | handshake flags u16
//! answer       magic u64 | option u32 | answer u32 | length u32 | payload
//! old answer   size u64 | transmission flags u16 | 124 zeroes, unless the client did without
//! ```

use crate::wire::{InfoCode, OptionCode, OptionReply, handshake_flags, magic};

/// What the client left unsaid: the rest of the oldest answer.
const OLD_ANSWER_ZEROES: usize = 124;

/// Bytes to be sent, in order.
#[derive(Debug, Default)]
pub(super) struct Answers {
    bytes: Vec<u8>,
}

/// Size and flags of an export, as INFO says them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExportWords {
    pub size_bytes: u64,
    pub transmission_flags: u16,
}

impl Answers {
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    pub fn greet(&mut self) {
        let flags = handshake_flags::FIXED_NEWSTYLE | handshake_flags::NO_ZEROES;
        self.bytes.extend(magic::GREETING.to_be_bytes());
        self.bytes.extend(magic::OPTION.to_be_bytes());
        self.bytes.extend(flags.to_be_bytes());
    }

    pub fn answer(&mut self, option: OptionCode, reply: OptionReply, payload: &[u8]) {
        self.bytes.extend(magic::OPTION_REPLY.to_be_bytes());
        self.bytes.extend(option.0.to_be_bytes());
        self.bytes.extend(reply.0.to_be_bytes());
        self.bytes.extend((payload.len() as u32).to_be_bytes());
        self.bytes.extend(payload);
    }

    pub fn server(&mut self, option: OptionCode, name: &str, description: &str) {
        let mut payload = (name.len() as u32).to_be_bytes().to_vec();
        payload.extend(name.as_bytes());
        payload.extend(description.as_bytes());
        self.answer(option, OptionReply::SERVER, &payload);
    }

    pub fn context(&mut self, option: OptionCode, number: u32, name: &str) {
        let mut payload = number.to_be_bytes().to_vec();
        payload.extend(name.as_bytes());
        self.answer(option, OptionReply::META_CONTEXT, &payload);
    }

    pub fn info(&mut self, option: OptionCode, code: InfoCode, said: &[u8]) {
        let mut payload = code.0.to_be_bytes().to_vec();
        payload.extend(said);
        self.answer(option, OptionReply::INFO, &payload);
    }

    pub fn info_export(&mut self, option: OptionCode, export: ExportWords) {
        let mut said = export.size_bytes.to_be_bytes().to_vec();
        said.extend(export.transmission_flags.to_be_bytes());
        self.info(option, InfoCode::EXPORT, &said);
    }

    pub fn info_block_size(&mut self, option: OptionCode, sizes: [u32; 3]) {
        let said: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
        self.info(option, InfoCode::BLOCK_SIZE, &said);
    }

    pub fn old_answer(&mut self, export: ExportWords, zeroes: bool) {
        self.bytes.extend(export.size_bytes.to_be_bytes());
        self.bytes.extend(export.transmission_flags.to_be_bytes());
        if zeroes {
            self.bytes.extend([0; OLD_ANSWER_ZEROES]);
        }
    }
}
