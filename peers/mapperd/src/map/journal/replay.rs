//! The reading end of a journal: which records count. The rule stands in the module above.

use zerocopy::FromBytes;

use super::record::{MAGIC, Record, kind};
use super::{Position, body};
use crate::map::disk::{RawNumber, RawRecordHeader};
use crate::map::error::{BadField, FormatError};
use crate::map::{BootId, check};

/// What a segment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Those that count, in order.
    pub records: Vec<Record>,
    /// Where they end: the next record goes here.
    pub end: Position,
    /// Whole records behind the end that do not count: of another boot, and behind its last barrier.
    pub dropped: usize,
    /// Why there is no whole record behind those, counted or dropped.
    pub reason: End,
}

/// Why the walk over a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum End {
    #[error("the segment is full")]
    Full,
    #[error("nothing is written there")]
    NotWritten,
    #[error("no record begins there")]
    NoRecord,
    #[error("the record's length of {0} bytes is not one, or it is cut")]
    Length(u32),
    #[error("the record has sequence number {0}: it is of an older use of the space")]
    Sequence(u64),
    #[error("the record's checksum is wrong: it is torn, or was written behind another record")]
    Checksum,
    #[error("the record is of another boot, and not an opening behind a barrier")]
    Boot,
}

/// A journal that cannot be replayed without losing something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("journal record {sequence} at offset {offset}: {problem}")]
pub struct JournalError {
    pub offset: u64,
    pub sequence: u64,
    #[source]
    pub problem: JournalProblem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalProblem {
    /// Its checksum is right.
    #[error("it is whole, but this build does not understand it: {0}")]
    Unknown(#[source] FormatError),
    /// A later record says that it was durable (LOG-5).
    #[error("it is damaged, and it was durable: {0}; restore the segment")]
    Damaged(#[source] End),
    /// In a part of a segment that its head says is complete.
    #[error("it is missing from a part that was complete and durable: {0}; restore the segment")]
    Missing(#[source] End),
}

/// A whole record and where it ends.
struct Whole {
    record: Record,
    boot: BootId,
    end: Position,
}

impl Replayed {
    /// What counts of an open segment. `bytes` begin at `from.offset` and go to the end of the segment, or at least
    /// beyond its last record.
    pub fn over(bytes: &[u8], from: Position, boot_now: BootId) -> Result<Self, JournalError> {
        let (whole, reason) = walk(bytes, from)?;
        let end = whole.last().map_or(from, |last| last.end);
        let boot = whole.last().map(|last| last.boot);
        let is_ours = |of| of == boot_now || boot.is_none_or(|boot| of == boot);
        if was_durable(&bytes[(end.offset - from.offset) as usize..], end, is_ours) {
            return Err(error(end, JournalProblem::Damaged(reason)));
        }
        let counted = match whole.last() {
            Some(last) if last.boot != boot_now => whole
                .iter()
                .rposition(|whole| whole.record == Record::Barrier)
                .map_or(0, |last_barrier| last_barrier + 1),
            _ => whole.len(),
        };
        Ok(Self::of(whole, counted, from, reason))
    }

    /// What a closed part of a segment says: exactly `bytes`, which begin at `from.offset`. All of it counts, and all
    /// of it must be there.
    pub fn over_closed(bytes: &[u8], from: Position) -> Result<Self, JournalError> {
        let (whole, reason) = walk(bytes, from)?;
        let end = whole.last().map_or(from, |last| last.end);
        if end.offset - from.offset != bytes.len() as u64 {
            return Err(error(end, JournalProblem::Missing(reason)));
        }
        let counted = whole.len();
        Ok(Self::of(whole, counted, from, reason))
    }

    /// Does a whole record begin these bytes of a segment, whatever its number? `start_with` says where a segment begins with
    /// a record of this number.
    pub fn is_begun(bytes: &[u8], start_with: impl FnOnce(u64) -> Position) -> bool {
        let Ok((header, _)) = RawRecordHeader::read_from_prefix(bytes) else {
            return false;
        };
        whole_at(bytes, start_with(header.sequence.get())).is_ok()
    }

    fn of(mut whole: Vec<Whole>, counted: usize, from: Position, reason: End) -> Self {
        let dropped = whole.len() - counted;
        whole.truncate(counted);
        Self {
            end: whole.last().map_or(from, |last| last.end),
            records: whole.into_iter().map(|whole| whole.record).collect(),
            dropped,
            reason,
        }
    }
}

/// All whole records, and why there are no more.
fn walk(bytes: &[u8], from: Position) -> Result<(Vec<Whole>, End), JournalError> {
    let mut found: Vec<Whole> = Vec::new();
    let mut at = from;
    let mut rest = bytes;
    loop {
        let (header, body) = match whole_at(rest, at) {
            Ok(parts) => parts,
            Err(end) => return Ok((found, end)),
        };
        let boot = BootId(header.boot);
        let record =
            decode(&header, body).map_err(|problem| error(at, JournalProblem::Unknown(problem)))?;
        let is_opening = header.kind.get() == kind::OPENING;
        let joins = found.last().is_none_or(|before| {
            before.boot == boot || (is_opening && before.record == Record::Barrier)
        });
        if !joins {
            return Ok((found, End::Boot));
        }
        let length = header.length.get();
        at = Position {
            offset: at.offset + u64::from(length),
            sequence: at.sequence.wrapping_add(1),
            link: header.crc.get(),
        };
        found.push(Whole {
            record,
            boot,
            end: at,
        });
        rest = &rest[length as usize..];
    }
}

/// Does anything behind the end say that the record there was durable (LOG-5)?
fn was_durable(bytes: &[u8], end: Position, is_ours: impl Fn(BootId) -> bool) -> bool {
    const ALIGN: usize = 8;
    let record_bytes = size_of::<RawRecordHeader>() + size_of::<RawNumber>();
    let ends = bytes.windows(record_bytes).step_by(ALIGN);
    ends.filter_map(|bytes| RawRecordHeader::read_from_prefix(bytes).ok())
        .any(|(header, body)| {
            header.magic.get() == MAGIC
                && header.kind.get() == kind::SYNCED
                && header.length.get() as usize == record_bytes
                && header.sequence.get() > end.sequence
                && is_ours(BootId(header.boot))
                && RawNumber::read_from_bytes(body)
                    .is_ok_and(|number| number.value.get() > end.sequence)
        })
}

/// Header and body of the record that begins these bytes, if all of it is there as it was written.
fn whole_at(bytes: &[u8], at: Position) -> Result<(RawRecordHeader, &[u8]), End> {
    let Ok((header, behind)) = RawRecordHeader::read_from_prefix(bytes) else {
        return Err(End::Full);
    };
    if header.magic.get() != MAGIC {
        let unwritten = header.magic.get() == 0;
        return Err(if unwritten {
            End::NotWritten
        } else {
            End::NoRecord
        });
    }
    let length = header.length.get();
    let body_bytes = (length as usize).checked_sub(size_of::<RawRecordHeader>());
    let body = match body_bytes.and_then(|bytes| behind.get(..bytes)) {
        Some(body) if length % 8 == 0 => body,
        _ => return Err(End::Length(length)),
    };
    if header.sequence.get() != at.sequence {
        return Err(End::Sequence(header.sequence.get()));
    }
    let crc_at = std::mem::offset_of!(RawRecordHeader, crc);
    if check::crc(at.link, &bytes[..length as usize], crc_at) != header.crc.get() {
        return Err(End::Checksum);
    }
    Ok((header, body))
}

fn decode(header: &RawRecordHeader, body: &[u8]) -> Result<Record, FormatError> {
    let flags = header.flags.get();
    if flags != 0 {
        let (record, field, value) = ("journal record", "flags", flags.into());
        let want = "0: a newer build knows what they mean";
        return Err(BadField {
            record,
            field,
            value,
            want,
        }
        .into());
    }
    body::decode(header.kind.get(), body)
}

fn error(at: Position, problem: JournalProblem) -> JournalError {
    let Position {
        offset, sequence, ..
    } = at;
    JournalError {
        offset,
        sequence,
        problem,
    }
}
