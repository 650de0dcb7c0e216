//! How messages of each kind are read.

use super::code::Code;
use super::error::MessageError;
use super::fields::Fields;
use super::message::Message;
use super::parts::{ConfigRange, InflightFacts, Region, RingAddresses, RingState};

/// The protocol's own limit.
pub const REGIONS_MAX: usize = 8;
/// A table of memory brings the most.
pub const FDS_MAX: usize = REGIONS_MAX;
pub const CONFIG_BYTES_MAX: u32 = 256;

const RING_MASK: u64 = 0xff;
const NO_FD: u64 = 1 << 8;

impl Message {
    /// MESSAGE-1
    pub fn parse(number: u32, payload: &[u8], fds: usize) -> Result<Self, MessageError> {
        let code = Code::of_number(number).ok_or(MessageError::Unknown { number })?;
        let len_bytes = payload.len();
        let mut fields = Fields::of(payload);
        let message = Self::take(code, &mut fields)?;
        let message = message.filter(|_| fields.is_empty());
        let message = message.ok_or(MessageError::Length { code, len_bytes })?;
        let expected = message.fds();
        // A region that is taken away may come with its descriptor, or without.
        let is_spare = matches!(message, Self::RemoveMemory(_)) && fds == 1;
        if fds != expected && !is_spare {
            return Err(MessageError::Fds {
                code,
                fds,
                expected,
            });
        }
        Ok(message)
    }

    /// How many descriptors come with it.
    pub fn fds(&self) -> usize {
        match self {
            Self::SetMemory(regions) => regions.len(),
            Self::AddMemory(_) | Self::SetInflight(_) | Self::SetBackendFd => 1,
            Self::SetKick { has_fd, .. }
            | Self::SetCall { has_fd, .. }
            | Self::SetErr { has_fd, .. } => usize::from(*has_fd),
            _ => 0,
        }
    }

    fn take(code: Code, fields: &mut Fields<'_>) -> Result<Option<Self>, MessageError> {
        let ring_fd = |fields: &mut Fields<'_>| {
            let word = fields.u64()?;
            let index = (word & RING_MASK) as u32;
            (word & !(RING_MASK | NO_FD) == 0).then_some((index, word & NO_FD == 0))
        };
        Ok(match code {
            Code::GetFeatures => Some(Self::GetFeatures),
            Code::SetFeatures => fields.u64().map(Self::SetFeatures),
            Code::SetOwner => Some(Self::SetOwner),
            Code::ResetOwner => Some(Self::ResetOwner),
            Code::SetMemTable => return memory_table(fields),
            Code::SetVringNum => RingState::take(fields).map(Self::SetNum),
            Code::SetVringAddr => RingAddresses::take(fields).map(Self::SetAddresses),
            Code::SetVringBase => RingState::take(fields).map(Self::SetBase),
            Code::GetVringBase => RingState::take(fields).map(Self::GetBase),
            Code::SetVringKick => {
                ring_fd(fields).map(|(index, has_fd)| Self::SetKick { index, has_fd })
            }
            Code::SetVringCall => {
                ring_fd(fields).map(|(index, has_fd)| Self::SetCall { index, has_fd })
            }
            Code::SetVringErr => {
                ring_fd(fields).map(|(index, has_fd)| Self::SetErr { index, has_fd })
            }
            Code::GetProtocolFeatures => Some(Self::GetProtocolFeatures),
            Code::SetProtocolFeatures => fields.u64().map(Self::SetProtocolFeatures),
            Code::GetQueueNum => Some(Self::GetQueueNum),
            Code::SetVringEnable => RingState::take(fields).map(Self::SetEnable),
            Code::SetBackendFd => Some(Self::SetBackendFd),
            Code::GetConfig => config(code, fields)?.map(Self::GetConfig),
            Code::SetConfig => config(code, fields)?.map(Self::SetConfig),
            Code::GetInflightFd => InflightFacts::take(fields).map(Self::GetInflight),
            Code::SetInflightFd => InflightFacts::take(fields).map(Self::SetInflight),
            Code::ResetDevice => Some(Self::ResetDevice),
            Code::GetMaxMemSlots => Some(Self::GetMaxMemSlots),
            Code::AddMemReg => one_region(fields).map(Self::AddMemory),
            Code::RemMemReg => one_region(fields).map(Self::RemoveMemory),
        })
    }
}

fn memory_table(fields: &mut Fields<'_>) -> Result<Option<Message>, MessageError> {
    let (Some(count), Some(_padding)) = (fields.u32(), fields.u32()) else {
        return Ok(None);
    };
    if count == 0 || count as usize > REGIONS_MAX {
        return Err(MessageError::Regions {
            count,
            count_max: REGIONS_MAX,
        });
    }
    let regions: Option<Vec<Region>> = (0..count).map(|_| Region::take(fields)).collect();
    Ok(regions.map(Message::SetMemory))
}

fn one_region(fields: &mut Fields<'_>) -> Option<Region> {
    let _padding = fields.u64()?;
    Region::take(fields)
}

fn config(code: Code, fields: &mut Fields<'_>) -> Result<Option<ConfigRange>, MessageError> {
    let (Some(offset), Some(len_bytes), Some(flags)) = (fields.u32(), fields.u32(), fields.u32())
    else {
        return Ok(None);
    };
    let end = offset.checked_add(len_bytes);
    if end.is_none_or(|end| end > CONFIG_BYTES_MAX) {
        return Err(MessageError::Config {
            code,
            offset,
            len_bytes,
        });
    }
    let bytes = fields.rest();
    Ok((bytes.len() == len_bytes as usize).then(|| ConfigRange {
        offset,
        flags,
        bytes: bytes.to_vec(),
    }))
}
