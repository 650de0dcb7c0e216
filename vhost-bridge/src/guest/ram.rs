//! A table of memory regions.

use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use xseg::Data;

use super::error::MapError;
use super::mapping::{Gone, Mapping};
use crate::message::Region;
use crate::queue::{GuestMemory, MemoryFault};

/// Regions of one guest: machines whose memory grows by modules have some.
pub const SLOTS_MAX: usize = 64;
/// Of one guest: a sixteenth of what a process may map on most machines, so that a few that lie do not take it all.
pub const GUEST_BYTES_MAX: u64 = 8 << 40;

/// A guest's memory. It stays mapped for as long as somebody has it.
#[derive(Clone, Debug, Default)]
pub struct Ram {
    /// In the order of the guest's addresses.
    regions: Vec<(Region, Rc<Mapping>)>,
}

impl Ram {
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one region more.
    pub fn with(&self, region: Region, fd: BorrowedFd<'_>) -> Result<Self, MapError> {
        let range = MapError::Range {
            len_bytes: region.len_bytes,
            file_offset: region.file_offset,
        };
        let guest_end = region.guest_at.checked_add(region.len_bytes);
        let user_end = region.user_at.checked_add(region.len_bytes);
        let (Some(guest_end), Some(user_end)) = (guest_end, user_end) else {
            return Err(range);
        };
        self.check_room(&region)?;
        for (other, _) in &self.regions {
            // No overflow: it was checked when the other one came.
            let other_end = other.guest_at + other.len_bytes;
            let is_overlap = region.guest_at < other_end && other.guest_at < guest_end;
            let other_end = other.user_at + other.len_bytes;
            if is_overlap || (region.user_at < other_end && other.user_at < user_end) {
                return Err(MapError::Overlap {
                    first: other.guest_at,
                    second: region.guest_at,
                });
            }
        }
        let mapping = Mapping::new(fd, region.file_offset, region.len_bytes)?;
        let mut regions = self.regions.clone();
        regions.push((region, Rc::new(mapping)));
        regions.sort_by_key(|(region, _)| region.guest_at);
        Ok(Self { regions })
    }

    /// GUEST-5
    fn check_room(&self, region: &Region) -> Result<(), MapError> {
        let others = self.regions.iter().map(|(other, _)| other.len_bytes);
        // No overflow: each came under the same limit.
        let bytes = region.len_bytes.saturating_add(others.sum());
        if self.regions.len() < SLOTS_MAX && bytes <= GUEST_BYTES_MAX {
            return Ok(());
        }
        Err(MapError::TooMuch {
            regions_max: SLOTS_MAX,
            bytes_max: GUEST_BYTES_MAX,
        })
    }

    /// The same without one region.
    pub fn without(&self, gone: &Region) -> Result<Self, MapError> {
        let is_gone = |region: &Region| {
            (region.guest_at, region.len_bytes, region.user_at)
                == (gone.guest_at, gone.len_bytes, gone.user_at)
        };
        let mut regions = self.regions.clone();
        regions.retain(|(region, _)| !is_gone(region));
        if regions.len() == self.regions.len() {
            return Err(MapError::NoSuchRegion {
                at: gone.guest_at,
                len_bytes: gone.len_bytes,
            });
        }
        Ok(Self { regions })
    }

    pub fn regions(&self) -> usize {
        self.regions.len()
    }

    /// The guest's address of what the front end has at an address of its own.
    pub fn guest_address(&self, user_at: u64) -> Result<u64, MemoryFault> {
        let inside = self.regions.iter().find_map(|(region, _)| {
            let from = user_at.checked_sub(region.user_at)?;
            (from < region.len_bytes).then(|| region.guest_at + from)
        });
        inside.ok_or(MemoryFault::Outside {
            at: user_at,
            len_bytes: 1,
        })
    }

    /// The region of an address, the offset in it, and how many bytes there are from there on.
    fn find(&self, at: u64) -> Option<(&Mapping, usize, usize)> {
        let after = self
            .regions
            .partition_point(|(region, _)| region.guest_at <= at);
        let (region, mapping) = self.regions.get(after.checked_sub(1)?)?;
        let from = at - region.guest_at;
        let left = region.len_bytes.checked_sub(from)?;
        (left > 0).then_some((&**mapping, from as usize, left as usize))
    }

    /// The pieces of a range, each in one region (GUEST-2). Nothing is done unless all of it is inside.
    fn pieces(
        &self,
        at: u64,
        len_bytes: u64,
        mut work: impl FnMut(&Mapping, usize, Range<usize>) -> Result<(), Gone>,
    ) -> Result<(), MemoryFault> {
        self.check(at, len_bytes)?;
        let len_bytes = len_bytes as usize;
        let mut done = 0;
        while done < len_bytes {
            let place = self.find(at + done as u64);
            let (mapping, offset, left) = place.expect("it was checked to be inside");
            let end = len_bytes.min(done + left);
            let lost = MemoryFault::Lost {
                at: at + done as u64,
            };
            work(mapping, offset, done..end).map_err(|Gone| lost)?; // GUEST-4
            done = end;
        }
        Ok(())
    }
}

impl Ram {
    /// To a buffer of a segment, without a stop (W1).
    pub fn read_to(&self, at: u64, data: Data<'_>) -> Result<(), MemoryFault> {
        self.pieces(at, data.len(), |mapping, offset, range| {
            mapping.read_to(offset, part(data, &range))
        })
    }

    /// From a buffer of a segment, without a stop (W1).
    pub fn write_from(&self, at: u64, data: Data<'_>) -> Result<(), MemoryFault> {
        self.pieces(at, data.len(), |mapping, offset, range| {
            mapping.write_from(offset, part(data, &range))
        })
    }

    /// Where these bytes are in our address space (GUEST-2).
    pub(super) fn places(
        &self,
        at: u64,
        len_bytes: u64,
        places: &mut Vec<(*mut u8, usize)>,
    ) -> Result<(), MemoryFault> {
        self.pieces(at, len_bytes, |mapping, offset, range| {
            places.push((mapping.place(offset, range.len())?, range.len()));
            Ok(())
        })
    }

    /// Are all of these bytes the guest's?
    pub(super) fn is_there(&self, at: u64, len_bytes: u64) -> bool {
        let looked = self.pieces(at, len_bytes, |mapping, offset, range| {
            mapping.place(offset, range.len()).map(drop)
        });
        looked.is_ok()
    }

    pub fn zero(&self, at: u64, len_bytes: u64) -> Result<(), MemoryFault> {
        self.pieces(at, len_bytes, |mapping, offset, range| {
            mapping.zero(offset, range.len())
        })
    }
}

fn part<'a>(data: Data<'a>, range: &Range<usize>) -> Data<'a> {
    let part = data.part(range.start as u64, range.len() as u64);
    part.expect("pieces are of what was asked for")
}

impl GuestMemory for Ram {
    fn check(&self, at: u64, len_bytes: u64) -> Result<(), MemoryFault> {
        let outside = MemoryFault::Outside { at, len_bytes };
        let end = at.checked_add(len_bytes).ok_or(outside)?;
        let mut next = at;
        while next < end {
            let (_, _, left) = self.find(next).ok_or(outside)?;
            next = next.saturating_add(left as u64);
        }
        Ok(())
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), MemoryFault> {
        let len_bytes = bytes.len() as u64;
        self.pieces(at, len_bytes, |mapping, offset, range| {
            mapping.read(offset, &mut bytes[range])
        })
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), MemoryFault> {
        self.pieces(at, bytes.len() as u64, |mapping, offset, range| {
            mapping.write(offset, &bytes[range])
        })
    }

    fn load_u16(&self, at: u64) -> Result<u16, MemoryFault> {
        let outside = MemoryFault::Outside { at, len_bytes: 2 };
        let (mapping, offset, left) = self.find(at).ok_or(outside)?;
        let word = (left >= 2).then(|| mapping.load_u16(offset));
        let word = word.flatten().ok_or(outside)?;
        word.map_err(|Gone| MemoryFault::Lost { at }) // GUEST-4
    }

    fn store_u16(&self, at: u64, value: u16) -> Result<(), MemoryFault> {
        let outside = MemoryFault::Outside { at, len_bytes: 2 };
        let (mapping, offset, left) = self.find(at).ok_or(outside)?;
        let stored = (left >= 2).then(|| mapping.store_u16(offset, value));
        let stored = stored.flatten().ok_or(outside)?;
        stored.map_err(|Gone| MemoryFault::Lost { at }) // GUEST-4
    }
}
