//! Chains of descriptors of a request, each field wrong now and then.

use super::guest::descriptor;
use super::memory::{HIGH, Memory, REGION_BYTES};
use crate::rng::Rng;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
/// How often a field is wrong, of 1000.
const WRONG: u64 = 12;
const INDIRECT_AT: u64 = 0x3000;
const KINDS: [u32; 8] = [0, 1, 1, 4, 8, 11, 13, 99];
const SECTORS: [u64; 7] = [0, 1, 7, 2047, 2048, 1 << 55, u64::MAX];
const LENGTHS: [u32; 8] = [0, 1, 15, 511, 4096, 4097, 1 << 31, u32::MAX];
const ADDRESSES: [u64; 8] = [
    0,
    REGION_BYTES - 1,
    REGION_BYTES,
    HIGH - 1,
    HIGH + REGION_BYTES - 16,
    HIGH + REGION_BYTES,
    u64::MAX - 15,
    u64::MAX,
];

struct Step {
    at: u64,
    len_bytes: u32,
    flags: u16,
}

/// Writes a request whose descriptors begin at `head` of a table of `size`.
pub fn offer(rng: &mut Rng, memory: &Memory, table_at: u64, size: u16, head: u16) {
    let slot = HIGH + u64::from(head) * 1024 % (REGION_BYTES / 2);
    let steps = request(rng, memory, slot);
    if rng.chance(300) && size > 0 {
        let at = INDIRECT_AT + u64::from(head % 4) * 256;
        let count = steps.len() as u32;
        write(rng, memory, at, &steps, 0, count as u16);
        let len_bytes = wrong_or(rng, 16 * count, &LENGTHS);
        let at = wrong_or(rng, at, &ADDRESSES);
        let flags = if rng.chance(WRONG) {
            INDIRECT | NEXT
        } else {
            INDIRECT
        };
        let bytes = descriptor(at, len_bytes, flags, head);
        memory.put(table_at + 16 * u64::from(head), &bytes);
    } else {
        write(rng, memory, table_at, &steps, head, size.max(1));
    }
}

fn request(rng: &mut Rng, memory: &Memory, slot: u64) -> Vec<Step> {
    let kind = *rng.pick(&KINDS);
    let mut header = kind.to_le_bytes().to_vec();
    header.extend([0; 4]);
    let sector = rng.below(64);
    header.extend(wrong_or(rng, sector, &SECTORS).to_le_bytes());
    memory.put(slot, &header);
    // Of a discard: one segment.
    let mut segment = rng.below(128).to_le_bytes().to_vec();
    segment.extend((rng.below(16) as u32).to_le_bytes());
    segment.extend([rng.below(3) as u8, 0, 0, 0]);
    memory.put(slot + 32, &segment);
    let is_read = if matches!(kind, 0 | 8) { WRITE } else { 0 };
    let mut steps = vec![Step {
        at: slot,
        len_bytes: 16,
        flags: 0,
    }];
    // Long enough for a loan, and wherever it comes to lie.
    let is_long = matches!(kind, 0 | 1) && rng.chance(250);
    for part in 0..rng.below(4) {
        if is_long {
            steps.push(Step {
                at: HIGH + 512 * rng.below(80),
                len_bytes: 512 * rng.between(1, 48) as u32,
                flags: is_read,
            });
            continue;
        }
        let len_bytes = match kind {
            11 | 13 => 16,
            8 => 20,
            _ => 512 * rng.between(1, 3) as u32,
        };
        steps.push(Step {
            at: slot + 32 + 512 * part,
            len_bytes,
            flags: is_read,
        });
    }
    steps.push(Step {
        at: slot + 31,
        len_bytes: 1,
        flags: WRITE,
    });
    if rng.chance(WRONG) {
        steps.pop();
    }
    if rng.chance(WRONG) {
        let last = steps.len() as u64;
        let (one, other) = (rng.below(last) as usize, rng.below(last) as usize);
        steps.swap(one, other);
    }
    steps
}

fn write(rng: &mut Rng, memory: &Memory, table_at: u64, steps: &[Step], first: u16, size: u16) {
    for (number, step) in steps.iter().enumerate() {
        let index = (first + number as u16) % size;
        let is_last = number + 1 == steps.len();
        let mut flags = step.flags | if is_last { 0 } else { NEXT };
        if rng.chance(WRONG) {
            flags ^= 1 << rng.below(4);
        }
        let next = wrong_or(rng, (index + 1) % size, &[0, 1, size, u16::MAX]);
        let at = wrong_or(rng, step.at, &ADDRESSES);
        let len_bytes = wrong_or(rng, step.len_bytes, &LENGTHS);
        memory.put(
            table_at + 16 * u64::from(index),
            &descriptor(at, len_bytes, flags, next),
        );
    }
}

pub fn wrong_or<T: Copy>(rng: &mut Rng, right: T, wrong: &[T]) -> T {
    if rng.chance(WRONG) {
        *rng.pick(wrong)
    } else {
        right
    }
}
