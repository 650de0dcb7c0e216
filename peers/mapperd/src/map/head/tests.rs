//! Heads: read back, and nothing else taken for them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::map::disk::RawHead;
use crate::map::error::FormatError;
use crate::map::tests::any;
use crate::map::{Access, Decoded, Entry, check};

const CRC_AT: usize = std::mem::offset_of!(RawHead, crc);

fn head() -> Head {
    let from = Position::start_of(any::volume(1), 2, 3, 4);
    let segment = |number, to_offset| SegmentRef {
        birth: any::volume(1),
        token: 2,
        number,
        from,
        to_offset,
    };
    Head {
        id: any::volume(1),
        version: Version {
            token: 2,
            number: 5,
        },
        shape: Shape::new(22, 12).unwrap(),
        size_bytes: 1 << 30,
        floor: Stamp::from_bits(9),
        ceiling: Stamp::from_bits(99),
        parent: Some(any::volume(2)),
        root: None,
        flags: HeadFlags::default(),
        has_content: false,
        name: "disk-1".to_owned(),
        segments: vec![segment(3, Some(4096)), segment(4, None)],
        next_page_number: 6,
        created_seconds: 1_700_000_000,
    }
}

/// What is said of the head with some bytes changed and its checksum made right again.
fn forged(at: usize, new: &[u8]) -> Result<Decoded<Head>, FormatError> {
    let mut bytes = head().encode().unwrap();
    bytes[at..at + new.len()].copy_from_slice(new);
    check::seal(&mut bytes, CRC_AT);
    Head::decode(&bytes)
}

#[track_caller]
fn assert_refused(at: usize, new: &[u8], field: &str) {
    let error = forged(at, new).unwrap_err().to_string();
    assert!(error.contains(&format!("`{field}`")), "{error}");
}

/// HEAD-2
#[test]
fn every_flipped_bit_cut_and_added_byte_of_a_head_is_found() {
    any::assert_every_damage_is_found(&head().encode().unwrap(), |bytes| {
        Head::decode(bytes).is_err()
    });
}

/// FEATURE-1, F93
#[test]
fn features_of_a_later_build_refuse_a_head_or_make_the_volume_read_only() {
    let access = |at| forged(at, &[8]).map(|decoded| (decoded.value, decoded.access));
    let read_write = Ok((head(), Access::ReadWrite));
    assert_eq!(access(std::mem::offset_of!(RawHead, compat)), read_write);
    let read_only = Ok((head(), Access::ReadOnly));
    assert_eq!(access(std::mem::offset_of!(RawHead, ro_compat)), read_only);
    let error = access(std::mem::offset_of!(RawHead, incompat)).unwrap_err();
    assert_eq!(
        error,
        FormatError::Incompatible {
            record: "head",
            bits: 8
        }
    );
    let error = access(std::mem::offset_of!(RawHead, format))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("format 8") && error.contains("newer build"),
        "{error}"
    );
}

#[test]
fn a_head_with_a_field_that_cannot_be_is_refused_by_its_name() {
    assert_refused(std::mem::offset_of!(RawHead, flags), &[8], "flags");
    assert_refused(
        std::mem::offset_of!(RawHead, object_bits),
        &[30],
        "object_bits",
    );
    assert_refused(
        std::mem::offset_of!(RawHead, grain_bits),
        &[4],
        "grain_bits",
    );
    assert_refused(
        std::mem::offset_of!(RawHead, root_level),
        &[1],
        "root_level",
    );
    assert_refused(std::mem::offset_of!(RawHead, id), &[0; 16], "id");
    assert_refused(
        std::mem::offset_of!(RawHead, size_bytes),
        &[1, 0, 0, 0, 0, 0, 0, 128],
        "size_bytes",
    );
    assert_refused(std::mem::offset_of!(RawHead, parent), &[1; 16], "parent");
    let object = Entry::Object(any::source_of(1, 1)).encode();
    assert_refused(std::mem::offset_of!(RawHead, root), &object, "root");
    assert_refused(
        std::mem::offset_of!(RawHead, segment_count),
        &[1, 16],
        "segment_count",
    );
    let segment = |at: usize| size_of::<RawHead>() + at;
    assert_refused(segment(0), &[0; 16], "segment birth");
    assert_refused(segment(32), &[4], "from_offset");
    assert_refused(segment(40), &[255; 8], "to_offset");
    assert_refused(segment(40), &[4], "to_offset");
    assert_refused(segment(48), &[255; 8], "first_sequence");
    assert_refused(segment(60), &[1], "reserved");
    let name_at = head().encode().unwrap().len() - 1;
    let error = forged(name_at, &[0xff]).unwrap_err();
    assert!(matches!(
        error,
        FormatError::NotText {
            field: "name",
            valid_bytes: 5,
            ..
        }
    ));
    // One segment less, or another length of the name, than there are bytes for.
    let shorter = forged(std::mem::offset_of!(RawHead, segment_count), &[1]);
    assert!(matches!(shorter, Err(FormatError::Length { .. })));
    let longer = forged(std::mem::offset_of!(RawHead, name_length), &[7]);
    assert!(matches!(longer, Err(FormatError::Length { .. })));
}

/// HEAD-1, F44, F45
#[test]
fn what_a_reader_would_refuse_is_not_written() {
    let refused = |field: &str, change: &dyn Fn(&mut Head)| {
        let mut head = head();
        change(&mut head);
        let error = head.encode().unwrap_err().to_string();
        assert!(error.contains(&format!("`{field}`")), "{error}");
    };
    let page = crate::map::PageRef {
        birth: any::volume(1),
        number: 1,
        index: 0,
        crc: 0,
    };
    refused("size_bytes", &|head| head.size_bytes = (1 << 63) + 1);
    refused("name_length", &|head| head.name = "x".repeat(256));
    refused("parent", &|head| head.parent = Some(head.id));
    refused("root_level", &|head| {
        head.root = Some(Root { page, level: 7 });
    });
    refused("segment_count", &|head| {
        head.segments = vec![head.segments[0]; 4097];
    });
    refused("to_offset", &|head| head.segments.swap(0, 1));
    refused("from_offset", &|head| head.segments[1].from.offset = 1);
    refused("to_offset", &|head| {
        head.segments[0].to_offset = Some(u64::MAX);
    });
    let mut largest = head();
    largest.size_bytes = 1 << 63;
    largest.segments = vec![largest.segments[0]; SEGMENTS_MAX];
    assert_eq!(
        Head::decode(&largest.encode().unwrap()).unwrap().value,
        largest
    );
}

proptest! {
    /// HEAD-1
    #[test]
    fn every_head_is_read_back(head in any::head()) {
        let decoded = Head::decode(&head.encode().unwrap());
        let access = Access::ReadWrite;
        prop_assert_eq!(decoded, Ok(Decoded { value: head, access }));
    }

    /// HEAD-1: whatever is accepted would be written with the same bytes.
    #[test]
    fn any_bytes_are_a_head_or_an_error(
        good in any::head(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        raw: Vec<u8>,
    ) {
        let mut bytes = good.encode().unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check::seal(&mut bytes, CRC_AT);
        if let Ok(decoded) = Head::decode(&bytes) {
            let again = decoded.value.encode().unwrap();
            // Feature bits are not kept; they and the checksum over them lie in these 16 bytes.
            prop_assert_eq!(&again[..CRC_AT], &bytes[..CRC_AT]);
            prop_assert_eq!(&again[CRC_AT + 16..], &bytes[CRC_AT + 16..]);
        }
        prop_assert!(Head::decode(&raw).is_err());
    }
}
