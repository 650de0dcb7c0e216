//! A client that says what it is told, right or wrong.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use archipelago_nbd::wire::{CommandCode, ReplyMode, RequestHeader};

use super::server::Served;

pub struct RawClient {
    pub stream: UnixStream,
    pub mode: ReplyMode,
}

/// An answer, taken apart; data of chunks are without their offset.
#[derive(Debug, PartialEq, Eq)]
pub struct RawReply {
    pub cookie: u64,
    pub error: u32,
    pub data: Vec<u8>,
}

/// Connects and reads the greeting.
pub fn greet(served: &Served) -> RawClient {
    let stream = UnixStream::connect(served.socket()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut client = RawClient {
        stream,
        mode: ReplyMode::Simple,
    };
    let greeting = client.read(18);
    assert_eq!(&greeting[..16], b"NBDMAGICIHAVEOPT");
    client
}

/// Connects and goes as far as the flags.
pub fn connect(served: &Served) -> RawClient {
    let mut client = greet(served);
    client.write(&3u32.to_be_bytes());
    client
}

impl RawClient {
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Whether the server has closed the connection; waits for it.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(count) => count == 0,
            // What it had not read yet is lost with the connection; anything else is the test's own patience that ends.
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    pub fn option(&mut self, code: u32, payload: &[u8]) {
        let mut bytes = b"IHAVEOPT".to_vec();
        bytes.extend(code.to_be_bytes());
        bytes.extend((payload.len() as u32).to_be_bytes());
        bytes.extend(payload);
        self.write(&bytes);
    }

    /// The code of the next answer to an option.
    pub fn option_reply(&mut self) -> u32 {
        let head = self.read(20);
        let word = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
        let _payload = self.read(word(16) as usize);
        word(12)
    }

    /// Agrees on a dialect.
    pub fn agree(&mut self, mode: ReplyMode) {
        let option = match mode {
            ReplyMode::Simple => None,
            ReplyMode::Structured => Some(8),
            ReplyMode::Extended => Some(11),
        };
        if let Some(option) = option {
            self.option(option, &[]);
            assert_eq!(self.option_reply(), 1);
        }
        self.mode = mode;
    }

    /// Chooses an export in the given dialect.
    pub fn go(mut self, export: &str, mode: ReplyMode) -> Self {
        self.agree(mode);
        self.option(7, &Self::go_payload(export));
        while self.option_reply() != 1 {}
        self
    }

    pub fn go_payload(export: &str) -> Vec<u8> {
        let mut payload = (export.len() as u32).to_be_bytes().to_vec();
        payload.extend(export.as_bytes());
        payload.extend([0, 0]);
        payload
    }

    pub fn request(&mut self, command: CommandCode, cookie: u64, offset: u64, length: u64) {
        self.flagged(0, command, cookie, offset, length);
    }

    pub fn flagged(
        &mut self,
        flags: u16,
        command: CommandCode,
        cookie: u64,
        offset: u64,
        length: u64,
    ) {
        let header = RequestHeader {
            flags,
            command,
            cookie,
            offset,
            length,
        };
        let bytes = header.encode(self.mode);
        self.write(&bytes);
    }

    /// A simple answer, with so many bytes of data if it is no error.
    pub fn reply(&mut self, len_bytes: usize) -> RawReply {
        assert_eq!(self.mode, ReplyMode::Simple);
        let head = self.read(16);
        assert_eq!(head[..4], 0x6744_6698_u32.to_be_bytes());
        let error = u32::from_be_bytes(head[4..8].try_into().unwrap());
        let data = if error == 0 {
            self.read(len_bytes)
        } else {
            Vec::new()
        };
        RawReply {
            cookie: u64::from_be_bytes(head[8..].try_into().unwrap()),
            error,
            data,
        }
    }

    /// The next chunk of a structured or extended answer: cookie, kind, whether it is the last, payload.
    pub fn chunk(&mut self) -> Chunk {
        let (magic, len) = match self.mode {
            ReplyMode::Simple => panic!("simple answers have no chunks"),
            ReplyMode::Structured => (0x668e_33ef_u32, 20),
            ReplyMode::Extended => (0x6e8a_278c, 32),
        };
        let head = self.read(len);
        assert_eq!(head[..4], magic.to_be_bytes());
        // The low half of an extended length: no chunk is that long.
        let length = u32::from_be_bytes(head[len - 4..].try_into().unwrap());
        Chunk {
            is_last: head[5] == 1,
            kind: u16::from_be_bytes([head[6], head[7]]),
            cookie: u64::from_be_bytes(head[8..16].try_into().unwrap()),
            payload: self.read(length as usize),
        }
    }
}

/// A part of a structured answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk {
    pub cookie: u64,
    pub kind: u16,
    pub is_last: bool,
    pub payload: Vec<u8>,
}
