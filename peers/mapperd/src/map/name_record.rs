//! Directory entries: a name, and the id of the volume or snapshot that it stands for (M1).
//!
//! The entry's object is named after the hash of the name, so the name itself stands in the record: a collision of
//! hashes and a misdirected write are both found by comparing it.
//!
//! # Invariants
//! * **DIRECTORY-1** What `encode` accepts, `decode` reads back the same; a cut, lengthened or changed record is refused.

use zerocopy::{FromBytes, IntoBytes};

use super::access::{Access, Decoded};
use super::check::{self, Envelope};
use super::disk::RawName;
use super::error::{BadField, FormatError};
use super::head::NAME_BYTES_MAX;
use super::{FORMAT, VolumeId};

/// "ARCHNAME", as it stands on disk.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"ARCHNAME");
const RECORD: &str = "directory entry";

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRecord {
    /// 1 to 255 bytes.
    pub name: String,
    pub id: VolumeId,
    pub kind: NameKind,
}

/// What kind of thing has the name: listings need not read its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    Volume = 1,
    Snapshot = 2,
    /// Its name is its hash.
    Content = 3,
}

impl NameRecord {
    /// Refuses a name that is empty or longer than 255 bytes. Which names are good ones is the protocol's to say.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let name = self.name.as_bytes();
        let raw = RawName {
            magic: MAGIC.into(),
            format: FORMAT.into(),
            kind: self.kind as u8,
            name_length: name_length(name.len())?,
            crc: 0.into(),
            compat: 0.into(),
            ro_compat: 0.into(),
            incompat: 0.into(),
            reserved: 0.into(),
            id: *self.id.as_bytes(),
        };
        let mut bytes = raw.as_bytes().to_vec();
        bytes.extend_from_slice(name);
        check::seal(&mut bytes, std::mem::offset_of!(RawName, crc));
        Ok(bytes)
    }

    pub fn decode(bytes: &[u8]) -> Result<Decoded<Self>, FormatError> {
        let (raw, rest) = RawName::read_from_prefix(bytes)
            .map_err(|_| check::length(RECORD, bytes, size_of::<RawName>()))?;
        check::magic(RECORD, raw.magic.get(), MAGIC)?;
        check::format(RECORD, raw.format.get())?;
        Envelope {
            record: RECORD,
            crc_at: std::mem::offset_of!(RawName, crc),
        }
        .check(bytes)?;
        let access = Access::from_features(RECORD, raw.ro_compat.get(), raw.incompat.get())?;
        let name_bytes = usize::from(raw.name_length);
        if rest.len() != name_bytes {
            let expected = size_of::<RawName>() + name_bytes;
            return Err(check::length(RECORD, bytes, expected));
        }
        name_length(name_bytes)?;
        check::zero(RECORD, "reserved", raw.reserved.get().into())?;
        let kind = match raw.kind {
            1 => NameKind::Volume,
            2 => NameKind::Snapshot,
            3 => NameKind::Content,
            other => {
                let want = "1 is a volume, 2 a snapshot, 3 content";
                return Err(bad("kind", other.into(), want));
            }
        };
        let value = Self {
            name: check::text(RECORD, "name", rest)?,
            id: VolumeId::decode(raw.id, RECORD, "id")?,
            kind,
        };
        Ok(Decoded { value, access })
    }
}

fn name_length(bytes: usize) -> Result<u8, FormatError> {
    match u8::try_from(bytes) {
        Ok(length) if length > 0 => Ok(length),
        _ => Err(bad(
            "name_length",
            bytes as u128,
            "a name has 1 to 255 bytes",
        )),
    }
}

fn bad(field: &'static str, value: u128, want: &'static str) -> FormatError {
    BadField {
        record: RECORD,
        field,
        value,
        want,
    }
    .into()
}

const _: () = assert!(NAME_BYTES_MAX == u8::MAX as usize);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::any;
    use super::*;

    fn record(name: &str) -> NameRecord {
        let id = VolumeId::new([7; 16]).unwrap();
        NameRecord {
            name: name.to_owned(),
            id,
            kind: NameKind::Snapshot,
        }
    }

    #[test]
    fn a_name_has_1_to_255_bytes() {
        assert!(record("").encode().is_err());
        assert!(record(&"x".repeat(256)).encode().is_err());
        assert!(record(&"x".repeat(255)).encode().is_ok());
    }

    /// DIRECTORY-1
    #[test]
    fn every_flipped_bit_cut_and_added_byte_of_a_name_is_found() {
        any::assert_every_damage_is_found(&record("disk-1").encode().unwrap(), |bytes| {
            NameRecord::decode(bytes).is_err()
        });
    }

    /// FEATURE-1
    #[test]
    fn features_of_a_later_build_refuse_a_name_or_make_it_read_only() {
        let crc_at = std::mem::offset_of!(RawName, crc);
        let with = |at: usize| {
            let mut bytes = record("a").encode().unwrap();
            bytes[at] = 4;
            check::seal(&mut bytes, crc_at);
            NameRecord::decode(&bytes).map(|decoded| decoded.access)
        };
        assert_eq!(
            with(std::mem::offset_of!(RawName, compat)),
            Ok(Access::ReadWrite)
        );
        assert_eq!(
            with(std::mem::offset_of!(RawName, ro_compat)),
            Ok(Access::ReadOnly)
        );
        let refused = with(std::mem::offset_of!(RawName, incompat));
        assert_eq!(
            refused,
            Err(FormatError::Incompatible {
                record: RECORD,
                bits: 4
            })
        );
        assert!(matches!(with(8), Err(FormatError::Format { found: 4, .. })));
        assert!(matches!(with(0), Err(FormatError::Magic { .. })));
    }

    proptest! {
        /// DIRECTORY-1
        #[test]
        fn every_name_record_is_read_back(name in any::name(), id in any::volume_id(), kind in 0..3_usize) {
            prop_assume!(!name.is_empty());
            let kind = [NameKind::Volume, NameKind::Snapshot, NameKind::Content][kind];
            let record = NameRecord { name, id, kind };
            let decoded = NameRecord::decode(&record.encode().unwrap()).unwrap();
            prop_assert_eq!(decoded, Decoded { value: record, access: Access::ReadWrite });
        }

        #[test]
        fn any_bytes_are_a_name_record_or_an_error(bytes: Vec<u8>, kind: u8, name: Vec<u8>) {
            prop_assert!(NameRecord::decode(&bytes).is_err());
            let mut sealed = record("x").encode().unwrap();
            sealed.truncate(size_of::<RawName>());
            sealed.extend_from_slice(&name);
            (sealed[10], sealed[11]) = (kind, u8::try_from(name.len()).unwrap_or(255));
            check::seal(&mut sealed, std::mem::offset_of!(RawName, crc));
            if let Ok(decoded) = NameRecord::decode(&sealed) {
                prop_assert_eq!(decoded.value.encode().unwrap(), sealed);
            }
        }
    }
}
