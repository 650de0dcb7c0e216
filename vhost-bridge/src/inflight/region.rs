//! One ring's part of the in-flight region.
//!
//! ```text
//! 0 features u64 | 8 version u16 | 10 descriptors u16 | 12 last_batch_head u16 | 14 used_index u16
//! 16 + 16 * head:  inflight u8 | padding | 6 next u16 | 8 counter u64
//! ```

use std::sync::atomic::{Ordering, compiler_fence};

use super::error::InflightError;
use crate::queue::{GuestMemory, Layout};

const VERSION: u16 = 1;
const VERSION_AT: u64 = 8;
const SIZE_AT: u64 = 10;
const LAST_AT: u64 = 12;
const USED_AT: u64 = 14;
const ENTRIES_AT: u64 = 16;
const ENTRY_BYTES: u64 = 16;
const NEXT_AT: u64 = 6;
const COUNTER_AT: u64 = 8;
const ALIGNMENT: u64 = 64;

/// A ring's part. Its memory is given with each call, by offsets in the region.
#[derive(Clone, Copy, Debug)]
pub struct Inflight {
    at: u64,
    size: u16,
    counter: u64,
}

/// What a predecessor left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// To be done again, in this order.
    pub heads: Vec<u16>,
    /// Where to go on taking.
    pub next_available: u16,
}

impl Inflight {
    pub fn len_bytes(queues: u16, size: u16) -> u64 {
        u64::from(queues) * Self::part_bytes(size)
    }

    fn part_bytes(size: u16) -> u64 {
        (ENTRIES_AT + ENTRY_BYTES * u64::from(size)).next_multiple_of(ALIGNMENT)
    }

    /// The part of ring `index` in a region for rings of `region_size`. What a predecessor left is found in it; a new region
    /// is made one.
    pub fn open(
        memory: &impl GuestMemory,
        (index, region_size): (u16, u16),
        layout: &Layout,
        used_index: u16,
    ) -> Result<(Self, Recovered), InflightError> {
        let at = u64::from(index) * Self::part_bytes(region_size);
        let size = layout.size();
        memory.check(at, Self::part_bytes(region_size))?;
        if size > region_size {
            return Err(InflightError::Size {
                found: region_size,
                expected: size,
            });
        }
        let mut inflight = Self {
            at,
            size,
            counter: 0,
        };
        let recovered = match memory.load_u16(at + VERSION_AT)? {
            0 => inflight.format(memory, used_index)?,
            VERSION => inflight.recover(memory, used_index)?,
            version => return Err(InflightError::Version { version }),
        };
        Ok((inflight, recovered))
    }

    fn format(
        &self,
        memory: &impl GuestMemory,
        used_index: u16,
    ) -> Result<Recovered, InflightError> {
        memory.store_u16(self.at + SIZE_AT, self.size)?;
        memory.store_u16(self.at + USED_AT, used_index)?;
        compiler_fence(Ordering::SeqCst); // complete before it has a version
        memory.store_u16(self.at + VERSION_AT, VERSION)?;
        Ok(Recovered {
            heads: Vec::new(),
            next_available: used_index,
        })
    }

    fn recover(
        &mut self,
        memory: &impl GuestMemory,
        used_index: u16,
    ) -> Result<Recovered, InflightError> {
        let found = memory.load_u16(self.at + SIZE_AT)?;
        let mut flying = self.flying(memory)?;
        // The driver may have begun anew, with another size: only while nothing is in flight.
        if found != self.size {
            if !flying.is_empty() {
                let expected = self.size;
                return Err(InflightError::Size { found, expected });
            }
            memory.store_u16(self.at + SIZE_AT, self.size)?;
        }
        if !flying.is_empty() {
            self.forget_batch(memory, used_index)?;
            flying = self.flying(memory)?;
        }
        memory.store_u16(self.at + USED_AT, used_index)?;
        flying.sort_unstable();
        self.counter = flying
            .last()
            .map_or(0, |(counter, _)| counter.wrapping_add(1));
        let taken = flying.len() as u16;
        Ok(Recovered {
            heads: flying.into_iter().map(|(_, head)| head).collect(), // INFLIGHT-2
            next_available: used_index.wrapping_add(taken),
        })
    }

    /// What stands as in flight: counter and head.
    fn flying(&self, memory: &impl GuestMemory) -> Result<Vec<(u64, u16)>, InflightError> {
        let mut flying = Vec::new();
        for head in 0..self.size {
            let mut entry = [0; ENTRY_BYTES as usize];
            memory.read(self.entry_at(head), &mut entry)?;
            let [is_flying, _, _, _, _, _, _, _, counter @ ..] = entry;
            if is_flying == 1 {
                flying.push((u64::from_le_bytes(counter), head));
            }
        }
        Ok(flying)
    }

    /// What the predecessor had put into the used ring when it died, but not yet crossed out: the last batch.
    fn forget_batch(
        &self,
        memory: &impl GuestMemory,
        used_index: u16,
    ) -> Result<(), InflightError> {
        let size = self.size;
        let behind = used_index.wrapping_sub(memory.load_u16(self.at + USED_AT)?);
        if behind > size {
            return Err(InflightError::Behind { behind, size }); // INFLIGHT-3
        }
        let mut head = memory.load_u16(self.at + LAST_AT)?;
        for _ in 0..behind {
            if head >= size {
                return Err(InflightError::Head { head, size });
            }
            memory.write(self.entry_at(head), &[0])?;
            head = memory.load_u16(self.entry_at(head) + NEXT_AT)?;
        }
        Ok(())
    }

    fn entry_at(&self, head: u16) -> u64 {
        self.at + ENTRIES_AT + ENTRY_BYTES * u64::from(head)
    }

    /// Nothing is in flight any more: the front end has stopped the ring, and what could not be answered never will be. Done
    /// again behind a driver that has begun anew, it would be stale (INFLIGHT-4).
    pub fn forget(&self, memory: &impl GuestMemory) -> Result<(), InflightError> {
        for (_, head) in self.flying(memory)? {
            memory.write(self.entry_at(head), &[0])?;
        }
        Ok(())
    }

    /// A request was taken (INFLIGHT-1). `head` is of the ring, which has checked it.
    pub fn begin(&mut self, memory: &impl GuestMemory, head: u16) -> Result<(), InflightError> {
        let at = self.entry_at(head);
        memory.write(at + COUNTER_AT, &self.counter.to_le_bytes())?;
        self.counter = self.counter.wrapping_add(1);
        // The kernel writes nothing of ours in another order than we did, the compiler might.
        compiler_fence(Ordering::SeqCst);
        memory.write(at, &[1])?;
        compiler_fence(Ordering::SeqCst);
        Ok(())
    }

    /// Before the used ring gets it: a batch of one.
    pub fn ending(&self, memory: &impl GuestMemory, head: u16) -> Result<(), InflightError> {
        let last = memory.load_u16(self.at + LAST_AT)?;
        memory.store_u16(self.entry_at(head) + NEXT_AT, last)?;
        compiler_fence(Ordering::SeqCst);
        memory.store_u16(self.at + LAST_AT, head)?;
        compiler_fence(Ordering::SeqCst);
        Ok(())
    }

    /// After the used ring has it.
    pub fn ended(
        &self,
        memory: &impl GuestMemory,
        head: u16,
        used_index: u16,
    ) -> Result<(), InflightError> {
        compiler_fence(Ordering::SeqCst);
        memory.write(self.entry_at(head), &[0])?;
        compiler_fence(Ordering::SeqCst);
        memory.store_u16(self.at + USED_AT, used_index)?;
        Ok(())
    }
}
