//! The client's side of the handshake, as a machine without I/O: bytes in, bytes out, and an export at the end.
//!
//! # Invariants
//! * **CLIENTGREETING-1** A server that speaks nonsense, or does not come to an end, is left: no answer is longer than
//!   [`ANSWER_BYTES_MAX`], and there are no more than [`ANSWERS_MAX`].

use thiserror::Error;

use crate::wire::{
    Fields, InfoCode, OptionCode, OptionReply, TooShort, client_flags, handshake_flags, magic,
    transmission_flags,
};

pub const ANSWER_BYTES_MAX: u32 = 64 << 10;
pub const ANSWERS_MAX: usize = 64;

const GREETING_BYTES: usize = 18;
const ANSWER_HEAD_BYTES: usize = 20;

/// What the server says of the export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportFacts {
    pub size_bytes: u64,
    pub transmission_flags: u16,
    /// The least that can be asked for.
    pub block_bytes_min: u32,
}

/// Why there is no export at the end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GreetingError {
    #[error("that is no NBD server")]
    NotNbd,
    #[error("the server is too old: it cannot be asked for an export and its block sizes")]
    TooOld,
    #[error("the server's answer makes no sense: {0}")]
    Nonsense(&'static str),
    #[error("the server has no export {name}")]
    NoExport { name: String },
    #[error("the server wants TLS, which the kernel's client does not have")]
    Tls,
    #[error("the server refuses the export{}{said}", if said.is_empty() { "" } else { ": " })]
    Refused { said: String },
}

impl From<TooShort> for GreetingError {
    fn from(_: TooShort) -> Self {
        Self::Nonsense("it is cut off")
    }
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// These bytes go to the server, and so many are wanted from it.
    Exchange {
        send: Vec<u8>,
        receive: usize,
    },
    Done(ExportFacts),
}

#[derive(Clone, Copy, Debug)]
enum State {
    Greeting,
    Head,
    Answer { kind: OptionReply },
}

/// A handshake.
#[derive(Debug)]
pub struct Greeting {
    name: String,
    state: State,
    facts: ExportFacts,
    answers: usize,
}

impl Greeting {
    /// For an export, and what is to be done first.
    pub fn new(name: &str) -> (Self, Next) {
        let greeting = Self {
            name: name.to_owned(),
            state: State::Greeting,
            facts: ExportFacts {
                block_bytes_min: 1,
                ..ExportFacts::default()
            },
            answers: 0,
        };
        (greeting, receive(GREETING_BYTES))
    }

    /// Takes the bytes that were wanted, all of them.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Next, GreetingError> {
        let mut fields = Fields::of(bytes);
        match self.state {
            State::Greeting => {
                let (first, second): (u64, u64) = (fields.take()?, fields.take()?);
                if (first, second) != (magic::GREETING, magic::OPTION) {
                    return Err(GreetingError::NotNbd);
                }
                let flags: u16 = fields.take()?;
                if flags & handshake_flags::FIXED_NEWSTYLE == 0 {
                    return Err(GreetingError::TooOld);
                }
                self.state = State::Head;
                let no_zeroes = u32::from(flags & handshake_flags::NO_ZEROES);
                Ok(Next::Exchange {
                    send: self.request(client_flags::FIXED_NEWSTYLE | no_zeroes),
                    receive: ANSWER_HEAD_BYTES,
                })
            }
            State::Head => self.head(&mut fields),
            State::Answer { kind } => self.answer(kind, &mut fields),
        }
    }

    /// Our flags, and the wish to go: the export's name, and what we want to know of it.
    fn request(&self, flags: u32) -> Vec<u8> {
        let mut wish = (self.name.len() as u32).to_be_bytes().to_vec();
        wish.extend(self.name.bytes());
        wish.extend(1_u16.to_be_bytes());
        wish.extend(InfoCode::BLOCK_SIZE.0.to_be_bytes());
        let mut bytes = flags.to_be_bytes().to_vec();
        bytes.extend(magic::OPTION.to_be_bytes());
        bytes.extend(OptionCode::GO.0.to_be_bytes());
        bytes.extend((wish.len() as u32).to_be_bytes());
        bytes.extend(wish);
        bytes
    }

    fn head(&mut self, fields: &mut Fields<'_>) -> Result<Next, GreetingError> {
        let (magic, option): (u64, u32) = (fields.take()?, fields.take()?);
        let (kind, len): (u32, u32) = (fields.take()?, fields.take()?);
        if magic != magic::OPTION_REPLY || option != OptionCode::GO.0 {
            return Err(GreetingError::Nonsense("it is no answer to what was asked"));
        }
        self.answers += 1;
        if len > ANSWER_BYTES_MAX || self.answers > ANSWERS_MAX {
            return Err(GreetingError::Nonsense("it does not come to an end"));
        }
        let kind = OptionReply(kind);
        if len == 0 {
            return self.answer(kind, &mut Fields::of(&[]));
        }
        self.state = State::Answer { kind };
        Ok(receive(len as usize))
    }

    fn answer(
        &mut self,
        kind: OptionReply,
        fields: &mut Fields<'_>,
    ) -> Result<Next, GreetingError> {
        self.state = State::Head;
        match kind {
            OptionReply::INFO => {
                match InfoCode(fields.take()?) {
                    InfoCode::EXPORT => {
                        self.facts.size_bytes = fields.take()?;
                        self.facts.transmission_flags = fields.take()?;
                    }
                    InfoCode::BLOCK_SIZE => self.facts.block_bytes_min = fields.take()?,
                    _ => {} // we did not ask
                }
                Ok(receive(ANSWER_HEAD_BYTES))
            }
            OptionReply::ACK
                if self.facts.transmission_flags & transmission_flags::HAS_FLAGS == 0 =>
            {
                Err(GreetingError::Nonsense("it says nothing of the export"))
            }
            OptionReply::ACK => Ok(Next::Done(self.facts)),
            OptionReply::ERR_UNKNOWN => Err(GreetingError::NoExport {
                name: self.name.clone(),
            }),
            OptionReply::ERR_TLS_REQD => Err(GreetingError::Tls),
            OptionReply::ERR_UNSUP => Err(GreetingError::TooOld),
            _ => {
                let mut said = Vec::new();
                while let Ok(byte) = fields.bytes(1) {
                    said.extend(byte);
                }
                let said = String::from_utf8_lossy(&said).escape_debug().to_string();
                Err(GreetingError::Refused { said })
            }
        }
    }
}

fn receive(count: usize) -> Next {
    Next::Exchange {
        send: Vec::new(),
        receive: count,
    }
}

#[cfg(test)]
mod tests {
    use archipelago_front::{DiskFacts, Features, OpenRefusal};
    use proptest::prelude::*;

    use super::*;
    use crate::{Decision, Handshake, HandshakeOptions};

    /// What the server's own machine makes of it, and says, for an export of 1 MiB.
    fn greet(has_export: bool) -> Result<ExportFacts, GreetingError> {
        let (mut client, mut next) = Greeting::new("disk");
        let mut server = Handshake::new(HandshakeOptions::default());
        let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            while let Next::Exchange { send, receive } = &mut next {
                to_server.append(send);
                if to_client.len() < *receive {
                    break;
                }
                let taken: Vec<u8> = to_client.drain(..*receive).collect();
                next = client.take(&taken)?;
            }
            if let Next::Done(facts) = next {
                return Ok(facts);
            }
            serve(&mut server, &mut to_server, has_export);
            to_client.extend(server.output());
        }
        panic!("it does not come to an end");
    }

    fn serve(server: &mut Handshake, received: &mut Vec<u8>, has_export: bool) {
        match server.decide() {
            Decision::Receive { bytes_max } => {
                let count = bytes_max.min(received.len());
                let taken = server.feed(&received[..count]);
                received.drain(..taken);
            }
            Decision::Open { .. } if !has_export => server.opened(Err(OpenRefusal::Unknown)),
            Decision::Open { .. } => server.opened(Ok(DiskFacts {
                size_bytes: 1 << 20,
                features: Features::ALL,
                description: String::new(),
            })),
            _ => {}
        }
    }

    #[test]
    fn our_own_server_is_understood() {
        let facts = greet(true).unwrap();
        assert_eq!(facts.size_bytes, 1 << 20);
        let flags = transmission_flags::HAS_FLAGS | transmission_flags::SEND_TRIM;
        assert_eq!(facts.transmission_flags & flags, flags);
        let error = greet(false).unwrap_err().to_string();
        assert_eq!(error, "the server has no export disk");
    }

    fn answered(kind: u32, payload: &[u8]) -> Result<Next, GreetingError> {
        let (mut client, _) = Greeting::new("disk");
        let mut greeting = magic::GREETING.to_be_bytes().to_vec();
        greeting.extend(magic::OPTION.to_be_bytes());
        greeting.extend(3_u16.to_be_bytes());
        client.take(&greeting)?;
        let mut head = magic::OPTION_REPLY.to_be_bytes().to_vec();
        head.extend(OptionCode::GO.0.to_be_bytes());
        head.extend(kind.to_be_bytes());
        head.extend((payload.len() as u32).to_be_bytes());
        match client.take(&head)? {
            Next::Exchange { receive, .. } if receive == payload.len() => client.take(payload),
            other => Ok(other),
        }
    }

    #[test]
    fn what_a_server_refuses_is_told_as_it_says_it() {
        let refusal =
            |code: OptionReply, said: &[u8]| answered(code.0, said).unwrap_err().to_string();
        assert!(refusal(OptionReply::ERR_TLS_REQD, b"").contains("TLS"));
        assert!(refusal(OptionReply::ERR_UNSUP, b"").contains("too old"));
        let said = refusal(OptionReply::ERR_POLICY, b"not\x1byou");
        assert_eq!(said, "the server refuses the export: not\\u{1b}you");
        assert!(refusal(OptionReply::ACK, b"").contains("says nothing"));
    }

    #[test]
    fn answers_without_end_are_not_waited_for() {
        // CLIENTGREETING-1
        let huge = vec![0; ANSWER_BYTES_MAX as usize + 1];
        assert!(answered(OptionReply::INFO.0, &huge).is_err());
        let (mut client, _) = Greeting::new("disk");
        client.state = State::Head;
        let mut head = magic::OPTION_REPLY.to_be_bytes().to_vec();
        head.extend(OptionCode::GO.0.to_be_bytes());
        head.extend(OptionReply::INFO.0.to_be_bytes());
        head.extend(2_u32.to_be_bytes());
        let answers = (0..=ANSWERS_MAX)
            .take_while(|_| client.take(&head).is_ok() && client.take(&[0, 77]).is_ok());
        assert_eq!(answers.count(), ANSWERS_MAX);
    }

    proptest! {
        #[test]
        fn nonsense_is_an_error_and_nothing_else(
            kind in any::<u32>(), payload in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            // CLIENTGREETING-1
            match answered(kind, &payload) {
                Ok(Next::Exchange { receive, .. }) => prop_assert!(receive <= ANSWER_BYTES_MAX as usize),
                Ok(Next::Done(_)) => prop_assert!(false, "no export was told of"),
                Err(_) => {}
            }
        }
    }
}
