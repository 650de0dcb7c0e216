//! A front end's messages, each wrong now and then.

use std::os::fd::{AsFd, BorrowedFd};

use archipelago_vhost::message::{
    ConfigRange, InflightFacts, Message, Region, RingAddresses, RingState,
};

use super::chains::wrong_or;
use super::guest::{AVAILABLE, USED};
use super::memory::{Memory, REGION_BYTES, USER};
use super::socket::Socket;
use crate::rng::Rng;

pub const RINGS: u32 = 2;
pub const RING_BYTES: u64 = 0x4000;
const SIZES: [u32; 7] = [0, 1, 3, 64, 1024, 2048, u32::MAX];
/// Which protocol features, accepted or not, there may be.
const PROTOCOL: u64 = 1 | 1 << 3 | 1 << 5 | 1 << 9 | 1 << 12 | 1 << 13 | 1 << 15;

/// Who sends, and what there is to send.
pub struct Control<'a> {
    pub socket: &'a Socket,
    pub memory: &'a Memory,
}

impl Control<'_> {
    /// All that it takes to have rings that run, as a rule; the sizes of the rings.
    pub fn set_up(&self, rng: &mut Rng, features: u64) -> Vec<u16> {
        let features = if rng.chance(100) {
            features & rng.next_u64()
        } else {
            features
        };
        let features = features | if rng.chance(950) { 1 << 30 } else { 0 };
        self.send(rng, &Message::SetFeatures(features), &[]);
        let protocol = if rng.chance(100) {
            rng.next_u64()
        } else {
            PROTOCOL
        };
        self.send(rng, &Message::SetProtocolFeatures(protocol & PROTOCOL), &[]);
        if rng.chance(950) {
            self.share_memory(rng);
        }
        if rng.chance(400) {
            self.share_region(rng);
        }
        (0..RINGS).map(|index| self.start(rng, index)).collect()
    }

    fn send(&self, rng: &mut Rng, message: &Message, fds: &[BorrowedFd<'_>]) {
        let mut bytes = message.to_bytes(rng.chance(300));
        if rng.chance(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            let bit = 1 << rng.below(8);
            if !says_what_is_shared(message, at) {
                bytes[at] ^= bit;
            }
        }
        if rng.chance(2) {
            bytes.truncate(rng.below(bytes.len() as u64) as usize + 1);
        }
        let mut fds = fds.to_vec();
        if rng.chance(4) {
            fds.resize(rng.below(11) as usize, self.socket.call.as_fd());
        }
        self.socket.send_bytes(&bytes, &fds);
    }

    fn share_memory(&self, rng: &mut Rng) {
        let mut regions = Memory::regions();
        regions[1] = self.region(rng, regions[1]);
        let fds = [self.memory.fd(), self.memory.fd()];
        let count = wrong_or(rng, 2, &[0, 1]);
        self.send(
            rng,
            &Message::SetMemory(regions[..count].to_vec()),
            &fds[..count],
        );
    }

    /// Never one that reaches what is nobody's.
    fn region(&self, rng: &mut Rng, mut region: Region) -> Region {
        region.guest_at = wrong_or(
            rng,
            region.guest_at,
            &[0, 5, REGION_BYTES - 1, u64::MAX - 9],
        );
        region.user_at = wrong_or(rng, region.user_at, &[USER, 0, u64::MAX]);
        region.len_bytes = wrong_or(rng, region.len_bytes, &[0, 1, 4097, u64::MAX, 1 << 44]);
        region.file_offset = wrong_or(
            rng,
            region.file_offset,
            &[1 << 40, u64::MAX, u64::MAX - 8192],
        );
        region
    }

    /// An in-flight region, of the front end's own making: with whatever stands in the guest's memory.
    fn share_region(&self, rng: &mut Rng) {
        let size = *rng.pick(&[8u16, 8, 8, 16, 3]);
        let facts = InflightFacts {
            len_bytes: 2 * (16 + 16 * u64::from(size)).next_multiple_of(64),
            file_offset: Memory::regions()[1].file_offset + REGION_BYTES / 2,
            queues: wrong_or(rng, 2, &[0, 1, 9]),
            queue_size: size,
            is_padded: rng.chance(500),
        };
        for ring in 0..u64::from(facts.queues.min(2)) {
            let at = super::memory::HIGH + REGION_BYTES / 2 + ring * 192;
            let mut bytes = vec![0; 16];
            bytes[8] = wrong_or(rng, 1, &[0, 2]);
            bytes[10] = wrong_or(rng, 8, &[0, 4, 255]);
            bytes[12] = rng.below(9) as u8;
            for head in 0..8u8 {
                let mut entry = [0; 16];
                entry[0] = u8::from(rng.chance(200));
                entry[6] = wrong_or(rng, head.wrapping_add(1) % 8, &[9, 255]);
                entry[8] = rng.below(20) as u8;
                bytes.extend(entry);
            }
            self.memory.put(at, &bytes);
        }
        let fd = self.memory.fd();
        self.send(rng, &Message::SetInflight(facts), &[fd]);
    }

    fn start(&self, rng: &mut Rng, index: u32) -> u16 {
        let at = USER + RING_BYTES * u64::from(index);
        let size = *rng.pick(&[8u32, 8, 16, 32]);
        let size = wrong_or(rng, size, &SIZES);
        let state = |value| RingState { index, value };
        self.send(rng, &Message::SetNum(state(size)), &[]);
        let base = wrong_or(rng, 0, &[1, 65535, 65536]);
        self.send(rng, &Message::SetBase(state(base)), &[]);
        let wrong = [0, at + 1, at + 2, USER + REGION_BYTES - 8, u64::MAX - 3];
        let addresses = RingAddresses {
            index: wrong_or(rng, index, &[2, u32::MAX]),
            flags: 0,
            descriptors: wrong_or(rng, at, &wrong),
            used: wrong_or(rng, at + USED, &wrong),
            available: wrong_or(rng, at + AVAILABLE, &wrong),
            log: 0,
        };
        self.send(rng, &Message::SetAddresses(addresses), &[]);
        let has_fd = !rng.chance(20);
        let kick = if rng.chance(10) {
            self.memory.fd()
        } else {
            self.socket.kick.as_fd()
        };
        let fds = [kick];
        let fds = if has_fd { &fds[..] } else { &[] };
        self.send(rng, &Message::SetKick { index, has_fd }, fds);
        let call = [self.socket.call.as_fd()];
        self.send(
            rng,
            &Message::SetCall { index, has_fd },
            if has_fd { &call } else { &[] },
        );
        let enable = wrong_or(rng, 1, &[0, 2]);
        self.send(rng, &Message::SetEnable(state(enable)), &[]);
        size.min(1024) as u16
    }

    /// Something in the middle of everything.
    pub fn disturb(&self, rng: &mut Rng) {
        let index = rng.below(3) as u32;
        let value = rng.below(3) as u32;
        let state = RingState { index, value };
        let has_fd = false;
        let config = ConfigRange {
            offset: rng.below(70) as u32,
            flags: 0,
            bytes: vec![0; rng.below(70) as usize],
        };
        match rng.below(12) {
            0 => self.share_memory(rng),
            1 => self.send(rng, &Message::GetBase(state), &[]),
            2 => self.send(rng, &Message::SetEnable(state), &[]),
            3 => self.send(rng, &Message::ResetDevice, &[]),
            4 => {
                self.start(rng, index % RINGS);
            }
            5 => self.send(rng, &Message::SetCall { index, has_fd }, &[]),
            6 => self.send(rng, &Message::GetConfig(config), &[]),
            7 => self.send(rng, &Message::ResetOwner, &[]),
            8 => self.share_region(rng),
            9 => {
                let region = self.region(rng, Memory::regions()[1]);
                self.send(rng, &Message::AddMemory(region), &[self.memory.fd()]);
            }
            10 => {
                let region = Memory::regions()[rng.below(2) as usize];
                self.send(rng, &Message::RemoveMemory(region), &[]);
            }
            _ => self.send(rng, &Message::SetBackendFd, &[self.socket.call.as_fd()]),
        }
    }
}

/// Whether this byte of a message has to do with how much of the file a region has, and from where: another bit there may share what
/// is nobody's, and then it is the front end that gave it away (VFUZZ-3).
fn says_what_is_shared(message: &Message, at: usize) -> bool {
    const HEADER_BYTES: usize = 12;
    const REGIONS_AT: usize = HEADER_BYTES + 8;
    const REGION_BYTES: usize = 32;
    let has_regions = matches!(message, Message::SetMemory(_) | Message::AddMemory(_));
    let (len, offset) = (8..16, 24..32);
    has_regions
        && at.checked_sub(REGIONS_AT).is_some_and(|at| {
            let within = at % REGION_BYTES;
            len.contains(&within) || offset.contains(&within)
        })
}
