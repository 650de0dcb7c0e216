//! Feature bits, offered and accepted.

use archipelago_front::DiskFacts;

use crate::queue::QueueFeatures;

const SIZE_MAX: u64 = 1 << 1;
const SEG_MAX: u64 = 1 << 2;
const RO: u64 = 1 << 5;
const BLK_SIZE: u64 = 1 << 6;
const FLUSH: u64 = 1 << 9;
const TOPOLOGY: u64 = 1 << 10;
const MQ: u64 = 1 << 12;
const DISCARD: u64 = 1 << 13;
const WRITE_ZEROES: u64 = 1 << 14;
const RING_INDIRECT_DESC: u64 = 1 << 28;
const RING_EVENT_IDX: u64 = 1 << 29;
const VERSION_1: u64 = 1 << 32;

/// What a disk's device offers. The protocol adds a bit of its own.
pub fn offered(facts: &DiskFacts) -> u64 {
    let features = facts.features;
    let writable = !features.read_only;
    let always = SIZE_MAX
        | SEG_MAX
        | BLK_SIZE
        | TOPOLOGY
        | MQ
        | RING_INDIRECT_DESC
        | RING_EVENT_IDX
        | VERSION_1;
    let sometimes = [
        (features.read_only, RO),
        (features.flush, FLUSH),
        (features.trim && writable, DISCARD),
        (features.write_zeroes && writable, WRITE_ZEROES),
    ];
    let bits = sometimes.into_iter().filter(|(is_offered, _)| *is_offered);
    bits.fold(always, |all, (_, bit)| all | bit)
}

/// What the driver accepted, as far as it changes what we do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceFeatures {
    pub queue: QueueFeatures,
    pub flush: bool,
    pub discard: bool,
    pub write_zeroes: bool,
}

impl DeviceFeatures {
    pub fn of_bits(bits: u64) -> Self {
        Self {
            queue: QueueFeatures {
                indirect: bits & RING_INDIRECT_DESC != 0,
                event_index: bits & RING_EVENT_IDX != 0,
            },
            flush: bits & FLUSH != 0,
            discard: bits & DISCARD != 0,
            write_zeroes: bits & WRITE_ZEROES != 0,
        }
    }
}
