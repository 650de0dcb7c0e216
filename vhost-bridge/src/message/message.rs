//! What a front end asks for.

use super::code::Code;
use super::header::{HEADER_BYTES, Header};
use super::parts::{ConfigRange, InflightFacts, Region, RingAddresses, RingState};

/// A message to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    GetFeatures,
    SetFeatures(u64),
    SetOwner,
    ResetOwner,
    SetMemory(Vec<Region>),
    SetNum(RingState),
    SetAddresses(RingAddresses),
    SetBase(RingState),
    GetBase(RingState),
    SetKick {
        index: u32,
        has_fd: bool,
    },
    SetCall {
        index: u32,
        has_fd: bool,
    },
    SetErr {
        index: u32,
        has_fd: bool,
    },
    GetProtocolFeatures,
    SetProtocolFeatures(u64),
    GetQueueNum,
    SetEnable(RingState),
    /// A socket for what we have to say unasked.
    SetBackendFd,
    GetConfig(ConfigRange),
    SetConfig(ConfigRange),
    GetInflight(InflightFacts),
    SetInflight(InflightFacts),
    ResetDevice,
    GetMaxMemSlots,
    AddMemory(Region),
    RemoveMemory(Region),
}

impl Message {
    pub fn code(&self) -> Code {
        match self {
            Self::GetFeatures => Code::GetFeatures,
            Self::SetFeatures(_) => Code::SetFeatures,
            Self::SetOwner => Code::SetOwner,
            Self::ResetOwner => Code::ResetOwner,
            Self::SetMemory(_) => Code::SetMemTable,
            Self::SetNum(_) => Code::SetVringNum,
            Self::SetAddresses(_) => Code::SetVringAddr,
            Self::SetBase(_) => Code::SetVringBase,
            Self::GetBase(_) => Code::GetVringBase,
            Self::SetKick { .. } => Code::SetVringKick,
            Self::SetCall { .. } => Code::SetVringCall,
            Self::SetErr { .. } => Code::SetVringErr,
            Self::GetProtocolFeatures => Code::GetProtocolFeatures,
            Self::SetProtocolFeatures(_) => Code::SetProtocolFeatures,
            Self::GetQueueNum => Code::GetQueueNum,
            Self::SetEnable(_) => Code::SetVringEnable,
            Self::SetBackendFd => Code::SetBackendFd,
            Self::ResetDevice => Code::ResetDevice,
            Self::GetConfig(_) => Code::GetConfig,
            Self::SetConfig(_) => Code::SetConfig,
            Self::GetInflight(_) => Code::GetInflightFd,
            Self::SetInflight(_) => Code::SetInflightFd,
            Self::GetMaxMemSlots => Code::GetMaxMemSlots,
            Self::AddMemory(_) => Code::AddMemReg,
            Self::RemoveMemory(_) => Code::RemMemReg,
        }
    }

    /// As a front end sends it: header and payload.
    pub fn to_bytes(&self, needs_reply: bool) -> Vec<u8> {
        let mut payload = Vec::new();
        match self {
            Self::SetFeatures(bits) | Self::SetProtocolFeatures(bits) => {
                payload.extend(bits.to_le_bytes());
            }
            Self::SetMemory(regions) => {
                payload.extend((regions.len() as u64).to_le_bytes());
                regions.iter().for_each(|region| region.put(&mut payload));
            }
            Self::SetNum(state)
            | Self::SetBase(state)
            | Self::GetBase(state)
            | Self::SetEnable(state) => state.put(&mut payload),
            Self::SetAddresses(addresses) => addresses.put(&mut payload),
            Self::SetKick { index, has_fd }
            | Self::SetCall { index, has_fd }
            | Self::SetErr { index, has_fd } => {
                let word = u64::from(*index & 0xff) | u64::from(!has_fd) << 8;
                payload.extend(word.to_le_bytes());
            }
            Self::GetConfig(range) | Self::SetConfig(range) => range.put(&mut payload),
            Self::GetInflight(facts) | Self::SetInflight(facts) => facts.put(&mut payload),
            Self::AddMemory(region) | Self::RemoveMemory(region) => {
                payload.extend([0; 8]);
                region.put(&mut payload);
            }
            Self::GetFeatures
            | Self::SetOwner
            | Self::ResetOwner
            | Self::GetProtocolFeatures
            | Self::GetQueueNum
            | Self::SetBackendFd
            | Self::ResetDevice
            | Self::GetMaxMemSlots => {}
        }
        let header = Header {
            number: self.code().number(),
            needs_reply,
            len_bytes: payload.len() as u32,
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
        bytes.extend(header.to_bytes());
        bytes.extend(payload);
        bytes
    }
}
