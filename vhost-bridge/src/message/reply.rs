use super::code::Code;
use super::header::Header;
use super::parts::{ConfigRange, InflightFacts, RingState};

/// What is answered. A descriptor may go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Number(u64),
    Ring(RingState),
    Config(ConfigRange),
    Inflight(InflightFacts),
}

impl Reply {
    /// That it was done.
    pub const ACK: Self = Self::Number(0);
    /// That it was not.
    pub const REFUSAL: Self = Self::Number(1);

    /// Header and payload.
    pub fn to_bytes(&self, code: Code) -> Vec<u8> {
        let mut payload = Vec::new();
        match self {
            Self::Number(number) => payload.extend(number.to_le_bytes()),
            Self::Ring(state) => state.put(&mut payload),
            Self::Config(range) => range.put(&mut payload),
            Self::Inflight(facts) => facts.put(&mut payload),
        }
        let header = Header::reply_bytes(code.number(), payload.len() as u32);
        let mut bytes = header.to_vec();
        bytes.extend(payload);
        bytes
    }
}
