//! The writing end of a journal.

use zerocopy::IntoBytes;

use super::record::{MAGIC, Record, kind};
use super::{Position, body};
use crate::map::disk::RawRecordHeader;
use crate::map::error::FormatError;
use crate::map::{BootId, check};

/// Makes the bytes of records, each linked to the one before it. Whoever owns it writes them at their offsets.
#[derive(Clone, Debug)]
pub struct Appender {
    end: Position,
    boot: BootId,
}

impl Appender {
    /// Goes on behind what replay took, or at the beginning of a new segment, with an opening: a barrier. To be called
    /// when the objects that the records so far name are synced. Before anything else is appended, the bytes that are
    /// in `out` then are to be written at `end.offset` and synced: no later record may lie on disk without them (LOG-1).
    pub fn begin(end: Position, boot: BootId, out: &mut Vec<u8>) -> Self {
        let mut appender = Self { end, boot };
        appender.push(kind::OPENING, vec![0; size_of::<RawRecordHeader>()], out);
        appender
    }

    /// Appends the record's bytes to `out`: they belong where `end().offset` was before. Nothing is appended if a reader
    /// would refuse it.
    pub fn append(&mut self, record: &Record, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let mut bytes = vec![0; size_of::<RawRecordHeader>()];
        let kind = body::encode(record, &mut bytes)?;
        self.push(kind, bytes, out);
        Ok(())
    }

    /// Finishes a record of which the body stands behind room for the header.
    fn push(&mut self, kind: u16, mut bytes: Vec<u8>, out: &mut Vec<u8>) {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let length = u32::try_from(bytes.len()).expect("bodies are below 2 KiB");
        let header = RawRecordHeader {
            magic: MAGIC.into(),
            length: length.into(),
            crc: 0.into(),
            kind: kind.into(),
            flags: 0.into(),
            sequence: self.end.sequence.into(),
            boot: self.boot.0,
        };
        bytes[..size_of::<RawRecordHeader>()].copy_from_slice(header.as_bytes());
        let crc_at = std::mem::offset_of!(RawRecordHeader, crc);
        self.end = Position {
            offset: self.end.offset + u64::from(length),
            sequence: self.end.sequence + 1,
            link: check::seal_after(self.end.link, &mut bytes, crc_at),
        };
        out.extend_from_slice(&bytes);
    }

    /// Where the next record goes.
    pub fn end(&self) -> Position {
        self.end
    }

    /// Goes on in another segment: `start` is its beginning, with the sequence number that is next here.
    pub fn continue_at(&mut self, start: Position) {
        assert_eq!(
            start.sequence, self.end.sequence,
            "sequence numbers go on over segments"
        );
        self.end = start;
    }
}
