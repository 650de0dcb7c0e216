//! How a segment is divided: a few numbers from its creator, and every offset that follows from them.
//!
//! ```text
//! | header | ports | statistics | requests | buffer owners | pad | buffers, largest class first |
//! ```
//! Only the numbers are stored in the segment. Each process derives the offsets by itself, from numbers that it
//! has checked against the size of its own mapping, so that a bad header cannot lead it outside.
//!
//! # Invariants
//! * **GEOM-1** Every offset that a geometry yields lies inside `size_bytes`, and areas do not overlap.
//! * **GEOM-2** No stored number leads to overflow or to a segment larger than the file.

use crate::layout::{Header, PortRecord, RequestRecord, StatsRecord};
use crate::name::{PORTS_MAX, PortId};

/// Sizes of buffers go from 4 KiB, doubling, to 8 MiB.
pub const BUFFER_CLASSES: usize = 12;
/// The size of the smallest buffers.
pub const BUFFER_BYTES_MIN: u64 = 4 << 10;
/// The size of the largest buffers.
pub const BUFFER_BYTES_MAX: u64 = BUFFER_BYTES_MIN << (BUFFER_CLASSES - 1);
/// How many requests a segment can have at the most.
pub const REQUESTS_MAX: u32 = 1 << 20;
/// How many buffers of all sizes together.
pub const BUFFERS_MAX: u32 = 1 << 22;
/// How large a segment can be: 1 TiB, far from every overflow.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 40;

const PAGE: u64 = 4096;
const HUGE_PAGE: u64 = 2 << 20;
/// Buffers begin at a huge page's boundary when there are at least this many bytes of them.
const HUGE_WORTH_BYTES: u64 = 64 << 20;

/// The index of a request record that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

impl Slot {
    pub fn get(self) -> u32 {
        self.0
    }
}

/// The index of a buffer that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(u32);

impl BufferId {
    pub fn get(self) -> u32 {
        self.0
    }
}

/// Bytes of the buffer area: inside the mapping, by construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRange {
    at: u64,
    len: u64,
}

impl DataRange {
    /// Where it begins, from the start of the segment.
    pub fn at(self) -> u64 {
        self.at
    }

    pub fn len(self) -> u64 {
        self.len
    }

    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// From words of this process's own memory, which were a range before.
    pub(crate) fn remembered(at: u64, len: u64) -> Self {
        Self { at, len }
    }

    /// A part of it: `len` bytes from `from`, if it has them.
    pub fn part(self, from: u64, len: u64) -> Option<Self> {
        let end = from.checked_add(len)?;
        (end <= self.len).then_some(Self {
            at: self.at + from,
            len,
        })
    }
}

/// Why a geometry cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    #[error("{given} ports: a segment has from 1 to {PORTS_MAX}")]
    Ports { given: u32 },
    #[error("{given} static ports of {ports}: there cannot be more static ports than ports")]
    StaticPorts { given: u32, ports: u32 },
    #[error("{given} requests: a segment has from 1 to {REQUESTS_MAX}")]
    Requests { given: u32 },
    #[error("{given} buffers in all: a segment has at most {BUFFERS_MAX}")]
    Buffers { given: u64 },
    #[error("buffers of {given} bytes: sizes are powers of two from 4 KiB to 8 MiB")]
    BufferBytes { given: u64 },
    #[error("a segment of {bytes} bytes: the most is {SEGMENT_BYTES_MAX}")]
    TooLarge { bytes: u64 },
    #[error(
        "{bytes} bytes do not hold the tables ({tables}) and any buffers: ask for more, or fewer ports and requests"
    )]
    TooSmall { bytes: u64, tables: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Class {
    count: u32,
    first: u32,
    at: u64,
}

/// The division of a segment. Build one with [`Geometry::new`] and [`Geometry::with_buffers`], or let
/// [`Geometry::fitting`] spread a number of bytes over the buffer sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    ports: u32,
    static_ports: u32,
    requests: u32,
    classes: [Class; BUFFER_CLASSES],
    buffers: u32,
    stats_at: u64,
    requests_at: u64,
    owners_at: u64,
    buffers_at: u64,
    size_bytes: u64,
}

impl Geometry {
    /// Ports (the first `static_ports` of them with fixed users) and requests; no buffers yet.
    pub fn new(ports: u32, static_ports: u32, requests: u32) -> Result<Self, GeometryError> {
        Self::from_numbers(ports, static_ports, requests, [0; BUFFER_CLASSES])
    }

    /// The same with `count` buffers of `bytes` each.
    pub fn with_buffers(self, bytes: u64, count: u32) -> Result<Self, GeometryError> {
        let class = class_for_exactly(bytes).ok_or(GeometryError::BufferBytes { given: bytes })?;
        let mut counts = self.buffer_counts();
        counts[class] = count;
        Self::from_numbers(self.ports, self.static_ports, self.requests, counts)
    }

    /// Spreads what `size_bytes` leaves after the tables over the buffer sizes that block I/O uses.
    pub fn fitting(
        size_bytes: u64,
        ports: u32,
        static_ports: u32,
        requests: u32,
    ) -> Result<Self, GeometryError> {
        /// Thousandths of the buffer area for 4 KiB, 8 KiB ... 8 MiB.
        const SHARES: [u64; BUFFER_CLASSES] = [120, 40, 80, 40, 120, 80, 120, 80, 160, 40, 60, 60];
        if size_bytes > SEGMENT_BYTES_MAX {
            return Err(GeometryError::TooLarge { bytes: size_bytes });
        }
        let bare = Self::new(ports, static_ports, requests)?;
        // Room for the owner words of the buffers, and for the alignment of their area.
        let reserve = size_bytes / 256
            + if size_bytes > HUGE_WORTH_BYTES {
                HUGE_PAGE
            } else {
                PAGE
            };
        let data = size_bytes
            .saturating_sub(bare.size_bytes)
            .saturating_sub(reserve);
        let mut counts = [0; BUFFER_CLASSES];
        for (class, share) in SHARES.iter().enumerate() {
            counts[class] =
                (data / 1000 * share / class_bytes(class)).min(u64::from(BUFFERS_MAX)) as u32;
        }
        // A very large segment would have more small buffers than can be counted: it has fewer of them.
        while counts.iter().map(|count| u64::from(*count)).sum::<u64>() > u64::from(BUFFERS_MAX) {
            if let Some(most) = counts.iter_mut().max() {
                *most /= 2;
            }
        }
        let geometry = Self::from_numbers(ports, static_ports, requests, counts)?;
        if counts[0] == 0 || geometry.size_bytes > size_bytes {
            return Err(GeometryError::TooSmall {
                bytes: size_bytes,
                tables: bare.size_bytes,
            });
        }
        Ok(geometry)
    }

    /// From numbers that anybody may have written: all checks are here.
    pub(crate) fn from_numbers(
        ports: u32,
        static_ports: u32,
        requests: u32,
        counts: [u32; BUFFER_CLASSES],
    ) -> Result<Self, GeometryError> {
        if ports == 0 || ports > PORTS_MAX {
            return Err(GeometryError::Ports { given: ports });
        }
        if static_ports > ports {
            return Err(GeometryError::StaticPorts {
                given: static_ports,
                ports,
            });
        }
        if requests == 0 || requests > REQUESTS_MAX {
            return Err(GeometryError::Requests { given: requests });
        }
        let buffers: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        if buffers > u64::from(BUFFERS_MAX) {
            return Err(GeometryError::Buffers { given: buffers });
        }
        let mut geometry = Self {
            ports,
            static_ports,
            requests,
            classes: [Class::default(); BUFFER_CLASSES],
            buffers: buffers as u32,
            stats_at: 0,
            requests_at: 0,
            owners_at: 0,
            buffers_at: 0,
            size_bytes: 0,
        };
        geometry.place(counts);
        if geometry.size_bytes > SEGMENT_BYTES_MAX {
            return Err(GeometryError::TooLarge {
                bytes: geometry.size_bytes,
            });
        }
        Ok(geometry)
    }

    /// No overflow here: the largest counts and sizes multiply to less than 2^47.
    fn place(&mut self, counts: [u32; BUFFER_CLASSES]) {
        let bytes = |class: usize| u64::from(counts[class]) * class_bytes(class);
        let table = |count: u32, record: usize| u64::from(count) * record as u64;
        self.stats_at = self.ports_at() + table(self.ports, size_of::<PortRecord>());
        let stats_end = self.stats_at + table(self.ports, size_of::<StatsRecord>());
        self.requests_at = stats_end.next_multiple_of(PAGE);
        self.owners_at = self.requests_at + table(self.requests, size_of::<RequestRecord>());
        let data: u64 = (0..BUFFER_CLASSES).map(bytes).sum();
        let align = if data >= HUGE_WORTH_BYTES {
            HUGE_PAGE
        } else {
            PAGE
        };
        let tables_end = self.owners_at + table(self.buffers, size_of::<u64>());
        self.buffers_at = tables_end.next_multiple_of(align);
        let (mut at, mut first) = (self.buffers_at, 0);
        for class in (0..BUFFER_CLASSES).rev() {
            self.classes[class] = Class {
                count: counts[class],
                first,
                at,
            };
            at += bytes(class);
            first += counts[class];
        }
        self.size_bytes = at.next_multiple_of(align);
    }

    pub fn ports(&self) -> u32 {
        self.ports
    }

    pub fn static_ports(&self) -> u32 {
        self.static_ports
    }

    pub fn requests(&self) -> u32 {
        self.requests
    }

    /// Buffers of all sizes.
    pub fn buffers(&self) -> u32 {
        self.buffers
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// How many buffers there are of each size, smallest first.
    pub fn buffer_counts(&self) -> [u32; BUFFER_CLASSES] {
        self.classes.map(|class| class.count)
    }

    pub(crate) fn ports_at(&self) -> u64 {
        size_of::<Header>() as u64
    }

    pub(crate) fn stats_at(&self) -> u64 {
        self.stats_at
    }

    pub(crate) fn requests_at(&self) -> u64 {
        self.requests_at
    }

    pub(crate) fn owners_at(&self) -> u64 {
        self.owners_at
    }

    /// Where the buffers begin. All before it are tables.
    pub fn buffers_at(&self) -> u64 {
        self.buffers_at
    }

    pub fn is_static(&self, port: PortId) -> bool {
        port.get() < self.static_ports
    }

    /// The port with this number, if this segment has it.
    #[inline]
    pub fn port(&self, number: u32) -> Option<PortId> {
        (number < self.ports).then(|| PortId::new(number)).flatten()
    }

    /// The record with this index, if this segment has it.
    #[inline]
    pub fn slot(&self, index: u32) -> Option<Slot> {
        (index < self.requests).then_some(Slot(index))
    }

    /// The buffer with this index, if this segment has it.
    #[inline]
    pub fn buffer(&self, index: u32) -> Option<BufferId> {
        (index < self.buffers).then_some(BufferId(index))
    }

    /// The indices of all buffers of a class.
    pub(crate) fn class_buffers(&self, class: usize) -> std::ops::Range<u32> {
        let Class { first, count, .. } = self.classes[class];
        first..first + count
    }

    pub(crate) fn class_of(&self, buffer: BufferId) -> usize {
        self.classes
            .iter()
            .position(|class| (class.first..class.first + class.count).contains(&buffer.0))
            .expect("BufferId is made for existing buffers only")
    }

    /// The bytes of a buffer.
    pub fn buffer_range(&self, buffer: BufferId) -> DataRange {
        let index = self.class_of(buffer);
        let class = self.classes[index];
        DataRange {
            at: class.at + u64::from(buffer.0 - class.first) * class_bytes(index),
            len: class_bytes(index),
        }
    }

    /// Bytes that a record claims to have in a buffer: the only way from segment words to a range.
    pub(crate) fn data_range(&self, buffer: BufferId, at: u64, len: u64) -> Option<DataRange> {
        let whole = self.buffer_range(buffer);
        whole.part(at.checked_sub(whole.at)?, len)
    }
}

/// The size of a class's buffers.
pub(crate) fn class_bytes(class: usize) -> u64 {
    BUFFER_BYTES_MIN << class
}

/// The smallest class whose buffers hold `bytes`.
pub(crate) fn class_for(bytes: u64) -> Option<usize> {
    (0..BUFFER_CLASSES).find(|class| class_bytes(*class) >= bytes)
}

fn class_for_exactly(bytes: u64) -> Option<usize> {
    class_for(bytes).filter(|class| class_bytes(*class) == bytes)
}

#[cfg(test)]
#[path = "geometry/tests.rs"]
mod tests;
