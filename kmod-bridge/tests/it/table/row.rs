//! A row of the table: what a client says, and what the protocol text demands of the server.

use archipelago_nbd::wire::{CommandCode, ReplyMode, RequestHeader};

/// How far a client has got before it says what the row is about.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// It has read the greeting.
    Greeted,
    /// It has sent its flags.
    Flags(u32),
    /// It has agreed on a dialect.
    Options(ReplyMode),
    /// It has chosen an export, and contexts by so many queries of [`CONTEXTS`].
    Requests {
        mode: ReplyMode,
        export: &'static str,
        contexts: usize,
    },
}

/// What is selected before the requests of a row.
pub const CONTEXTS: [&str; 2] = ["base:allocation", "archipelago:changed-since:monday"];

/// What must come of it. Unless the connection is closed, the client goes on with an ordinary request, and is served.
#[derive(Clone, Debug)]
pub enum Demand {
    /// Answers to options, by their codes.
    Replies(Vec<u32>),
    /// The same, and then the end.
    Ends(Vec<u32>),
    /// The oldest answer, with so many zeroes behind; requests may follow.
    Old(usize),
    /// Answers to requests, by their cookies from 1 on, in any order.
    Answers(Vec<Answered>),
    /// The same, and then the end.
    AnswersEnd(Vec<Answered>),
    /// The client says no more: the server says nothing, and closes.
    Cut,
}

/// The error of an answer, and how many bytes were read if there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    pub error: u32,
    pub read: usize,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub stage: Stage,
    pub says: Vec<u8>,
    pub demand: Demand,
}

/// An answer without data.
pub fn code(error: u32) -> Answered {
    Answered { error, read: 0 }
}

pub fn option(code: u32, payload: &[u8]) -> Vec<u8> {
    announced(code, payload.len() as u32, payload)
}

/// An option whose header says something else than its payload.
pub fn announced(code: u32, len: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"IHAVEOPT".to_vec();
    bytes.extend(code.to_be_bytes());
    bytes.extend(len.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text].concat()
}

/// What INFO and GO say.
pub fn info(name: &[u8], wanted: &[u16]) -> Vec<u8> {
    let mut payload = string(name);
    payload.extend((wanted.len() as u16).to_be_bytes());
    payload.extend(wanted.iter().flat_map(|code| code.to_be_bytes()));
    payload
}

/// What LIST_META_CONTEXT and SET_META_CONTEXT say.
pub fn meta(name: &str, queries: &[&str]) -> Vec<u8> {
    let mut payload = string(name.as_bytes());
    payload.extend((queries.len() as u32).to_be_bytes());
    for query in queries {
        payload.extend(string(query.as_bytes()));
    }
    payload
}

/// The header of a request.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub flags: u16,
    pub command: CommandCode,
    pub offset: u64,
    pub length: u64,
}

impl Ask {
    pub fn bytes(&self, mode: ReplyMode, cookie: u64) -> Vec<u8> {
        let header = RequestHeader {
            flags: self.flags,
            command: self.command,
            cookie,
            offset: self.offset,
            length: self.length,
        };
        header.encode(mode)
    }
}
