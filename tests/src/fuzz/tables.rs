//! Where the words of the tables lie, and what stands in them (docs/segment.md). Only the choice of what to damage
//! depends on it: a field that has moved is still damaged, by a less likely value.

use xseg::Geometry;

pub(super) const HEADER_BYTES: u64 = 4096;
pub(super) const PORT_BYTES: u64 = 512;
pub(super) const STATS_BYTES: u64 = 2304;
pub(super) const REQUEST_BYTES: u64 = 896;

/// What a word means, for plausible nonsense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A lane's head, its `taken` word, a record's link.
    Link,
    Life,
    Owner,
    /// A packed name on a path.
    Name,
    /// A port's number plus one.
    PortPlusOne,
    /// A buffer's number plus one.
    BufferPlusOne,
    /// An offset of data.
    DataAt,
    /// Lengths, counts, codes: whatever.
    Number,
    /// A process id.
    Pid,
}

/// A field of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub at: u64,
    pub bytes: u64,
    pub meaning: Meaning,
}

const fn field(at: u64, bytes: u64, meaning: Meaning) -> Field {
    Field { at, bytes, meaning }
}

pub(super) const PORT_FIELDS: [Field; 13] = [
    field(0, 8, Meaning::Link),
    field(64, 8, Meaning::Link),
    field(128, 8, Meaning::Link),
    field(192, 8, Meaning::Life),
    field(200, 4, Meaning::Number),
    field(204, 4, Meaning::PortPlusOne),
    field(208, 4, Meaning::PortPlusOne),
    field(256, 8, Meaning::Link),
    field(264, 8, Meaning::Link),
    field(272, 8, Meaning::Link),
    field(320, 4, Meaning::Pid),
    field(328, 8, Meaning::Number),
    field(344, 4, Meaning::Number),
];

pub(super) const REQUEST_FIELDS: [Field; 25] = [
    field(0, 8, Meaning::Owner),
    field(0, 8, Meaning::Owner),
    field(8, 8, Meaning::Link),
    field(8, 8, Meaning::Link),
    field(16, 8, Meaning::Number),
    field(24, 4, Meaning::Number),
    field(28, 4, Meaning::Number),
    field(32, 8, Meaning::Number),
    field(40, 8, Meaning::Number),
    field(56, 8, Meaning::DataAt),
    field(64, 8, Meaning::Number),
    field(72, 4, Meaning::BufferPlusOne),
    field(76, 4, Meaning::Number),
    field(80, 8, Meaning::Number),
    field(88, 4, Meaning::Number),
    field(92, 4, Meaning::Number),
    field(96, 8, Meaning::Number),
    field(104, 4, Meaning::PortPlusOne),
    field(108, 4, Meaning::Number),
    field(112, 8, Meaning::Name),
    field(120, 8, Meaning::Name),
    field(128, 8, Meaning::Name),
    field(192, 8, Meaning::Number),
    field(256, 8, Meaning::Number),
    field(280, 8, Meaning::Number),
];

/// Words of the header, from `magic` to `deaths`.
pub(super) const HEADER_USED_BYTES: u64 = 192;
pub(super) const HEADER_DEATHS_AT: u64 = 128;

/// Where the tables of a segment begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables {
    pub geometry: Geometry,
    pub ports_at: u64,
    pub stats_at: u64,
    pub requests_at: u64,
    pub owners_at: u64,
}

impl Tables {
    pub fn of(geometry: Geometry) -> Self {
        let ports = u64::from(geometry.ports());
        let stats_at = HEADER_BYTES + ports * PORT_BYTES;
        let requests_at = (stats_at + ports * STATS_BYTES).next_multiple_of(4096);
        Self {
            geometry,
            ports_at: HEADER_BYTES,
            stats_at,
            requests_at,
            owners_at: requests_at + u64::from(geometry.requests()) * REQUEST_BYTES,
        }
    }

    pub fn life_at(&self, port: u64) -> u64 {
        self.ports_at + port * PORT_BYTES + 192
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_end_where_the_buffers_begin() {
        let geometry = Geometry::new(16, 5, 48)
            .and_then(|geometry| geometry.with_buffers(4096, 20))
            .unwrap();
        let tables = Tables::of(geometry);
        let end = tables.owners_at + u64::from(geometry.buffers()) * 8;
        assert_eq!(end.next_multiple_of(4096), geometry.buffers_at());
    }
}
