//! What every record with a header is checked for, in one place and with the same errors.

use super::FORMAT;
use super::error::{BadField, FormatError};

/// Where the checksum of a record lies: it covers all bytes, with its own four as zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    pub record: &'static str,
    pub crc_at: usize,
}

impl Envelope {
    /// The checksum, if it is that of the bytes, which are at least as many as the checksum's own end.
    pub fn check(self, bytes: &[u8]) -> Result<u32, FormatError> {
        let (found, made) = (stored_crc(bytes, self.crc_at), crc(0, bytes, self.crc_at));
        let record = self.record;
        if found == made {
            Ok(found)
        } else {
            Err(FormatError::Crc {
                record,
                found,
                made,
            })
        }
    }
}

/// CRC32C of the bytes, continued from `seed`, with the four at `crc_at` as zero.
pub(super) fn crc(seed: u32, bytes: &[u8], crc_at: usize) -> u32 {
    let crc = crc32c::crc32c_append(seed, &bytes[..crc_at]);
    let crc = crc32c::crc32c_append(crc, &[0; 4]);
    crc32c::crc32c_append(crc, &bytes[crc_at + 4..])
}

pub(super) fn stored_crc(bytes: &[u8], crc_at: usize) -> u32 {
    let crc = &bytes[crc_at..crc_at + 4];
    u32::from_le_bytes(crc.try_into().expect("four bytes"))
}

/// Puts the checksum into the record.
pub(super) fn seal(bytes: &mut [u8], crc_at: usize) -> u32 {
    seal_after(0, bytes, crc_at)
}

/// Puts the checksum, continued from `seed`, into the record.
pub(super) fn seal_after(seed: u32, bytes: &mut [u8], crc_at: usize) -> u32 {
    let crc = crc(seed, bytes, crc_at);
    bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
    crc
}

pub(super) fn length(record: &'static str, bytes: &[u8], expected: usize) -> FormatError {
    let found = bytes.len();
    FormatError::Length {
        record,
        found,
        expected,
    }
}

pub(super) fn magic(record: &'static str, found: u64, expected: u64) -> Result<(), FormatError> {
    if found == expected {
        Ok(())
    } else {
        Err(FormatError::Magic {
            record,
            found,
            expected,
        })
    }
}

pub(super) fn format(record: &'static str, found: u16) -> Result<(), FormatError> {
    if found == FORMAT {
        Ok(())
    } else {
        Err(FormatError::Format {
            record,
            found,
            known: FORMAT,
        })
    }
}

pub(super) fn zero(
    record: &'static str,
    field: &'static str,
    value: u128,
) -> Result<(), FormatError> {
    let want = "0: a newer build may know what it means";
    if value == 0 {
        Ok(())
    } else {
        Err(BadField {
            record,
            field,
            value,
            want,
        }
        .into())
    }
}

pub(super) fn text(
    record: &'static str,
    field: &'static str,
    bytes: &[u8],
) -> Result<String, FormatError> {
    let not_text = |error: std::str::Utf8Error| {
        let valid_bytes = error.valid_up_to();
        FormatError::NotText {
            record,
            field,
            valid_bytes,
        }
    };
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(not_text)
}
