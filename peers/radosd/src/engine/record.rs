//! The form of our own small records: what kind it is, its format, a checksum (D4).
//!
//! ```text
//! 0        4        8              12
//! | kind   | format | CRC32C       | content ...
//! ```
//! Numbers have their least significant byte first. The checksum is of kind, format and content.

const HEAD_BYTES: usize = 12;

/// The format that this program writes, and the only one that it knows.
pub(super) const FORMAT: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadRecord {
    Damaged,
    Format(u32),
}

fn checksum(head: &[u8], content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(head), content)
}

pub(super) fn seal(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let mut record = [kind, FORMAT.to_le_bytes()].concat();
    record.extend(checksum(&record, content).to_le_bytes());
    record.extend_from_slice(content);
    record
}

/// The content, if it is such a record and whole.
pub(super) fn open(kind: [u8; 4], record: &[u8]) -> Result<&[u8], BadRecord> {
    let (head, content) = record
        .split_at_checked(HEAD_BYTES)
        .ok_or(BadRecord::Damaged)?;
    let word = |at: usize| {
        let bytes = head[at..at + 4].try_into().expect("4 bytes of 12");
        u32::from_le_bytes(bytes)
    };
    if head[..4] != kind || word(8) != checksum(&head[..8], content) {
        return Err(BadRecord::Damaged);
    }
    match word(4) {
        FORMAT => Ok(content),
        other => Err(BadRecord::Format(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_damaged_one_is_not() {
        let sealed = seal(*b"test", b"content");
        assert_eq!(open(*b"test", &sealed), Ok(&b"content"[..]));
        assert_eq!(open(*b"else", &sealed), Err(BadRecord::Damaged));
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(open(*b"test", &damaged), Err(BadRecord::Damaged));
            assert_eq!(open(*b"test", &sealed[..at]), Err(BadRecord::Damaged));
        }
        let mut newer = [*b"test", 2_u32.to_le_bytes()].concat();
        newer.extend(checksum(&newer, b"").to_le_bytes());
        assert_eq!(open(*b"test", &newer), Err(BadRecord::Format(2)));
    }
}
