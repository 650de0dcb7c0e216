//! What messages are made of.

use super::fields::Fields;

/// A part of the guest's memory, and where it lies in the file that comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub guest_at: u64,
    pub len_bytes: u64,
    /// Where the front end has it: rings are named by such addresses.
    pub user_at: u64,
    pub file_offset: u64,
}

/// A number for a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingState {
    pub index: u32,
    pub value: u32,
}

/// Where a ring is, in addresses of the front end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingAddresses {
    pub index: u32,
    pub flags: u32,
    pub descriptors: u64,
    pub used: u64,
    pub available: u64,
    pub log: u64,
}

/// Bytes of the device's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRange {
    pub offset: u32,
    pub flags: u32,
    pub bytes: Vec<u8>,
}

/// The in-flight region, and the rings that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InflightFacts {
    pub len_bytes: u64,
    pub file_offset: u64,
    pub queues: u16,
    pub queue_size: u16,
    /// Some front ends send the structure with the padding that their compiler gives it, and expect it so.
    pub is_padded: bool,
}

impl Region {
    pub const BYTES: usize = 32;

    pub(super) fn take(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            guest_at: fields.u64()?,
            len_bytes: fields.u64()?,
            user_at: fields.u64()?,
            file_offset: fields.u64()?,
        })
    }

    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        for field in [
            self.guest_at,
            self.len_bytes,
            self.user_at,
            self.file_offset,
        ] {
            bytes.extend(field.to_le_bytes());
        }
    }
}

impl RingState {
    pub(super) fn take(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            index: fields.u32()?,
            value: fields.u32()?,
        })
    }

    pub(super) fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.index.to_le_bytes());
        bytes.extend(self.value.to_le_bytes());
    }
}

impl RingAddresses {
    pub(super) fn take(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            index: fields.u32()?,
            flags: fields.u32()?,
            descriptors: fields.u64()?,
            used: fields.u64()?,
            available: fields.u64()?,
            log: fields.u64()?,
        })
    }

    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.index.to_le_bytes());
        bytes.extend(self.flags.to_le_bytes());
        for field in [self.descriptors, self.used, self.available, self.log] {
            bytes.extend(field.to_le_bytes());
        }
    }
}

impl ConfigRange {
    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        let len_bytes = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        for field in [self.offset, len_bytes, self.flags] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(&self.bytes);
    }
}

impl InflightFacts {
    const PADDING: [u8; 4] = [0; 4];

    pub(super) fn take(fields: &mut Fields<'_>) -> Option<Self> {
        let mut facts = Self {
            len_bytes: fields.u64()?,
            file_offset: fields.u64()?,
            queues: fields.u16()?,
            queue_size: fields.u16()?,
            is_padded: false,
        };
        facts.is_padded = fields.u32().is_some();
        Some(facts)
    }

    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.len_bytes.to_le_bytes());
        bytes.extend(self.file_offset.to_le_bytes());
        bytes.extend(self.queues.to_le_bytes());
        bytes.extend(self.queue_size.to_le_bytes());
        if self.is_padded {
            bytes.extend(Self::PADDING);
        }
    }
}
