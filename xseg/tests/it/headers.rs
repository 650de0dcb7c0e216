//! Headers that are not as they should be: each is refused with its own error (F56, F66).

use std::fs::{self, File};

use proptest::prelude::*;
use xseg::{GeometryError, JoinOptions, LAYOUT_VERSION, Segment, SegmentError};

use crate::support::{Room, Words};

/// Where docs/segment.md says that they are.
const LAYOUT_OLDEST_AT: u64 = 8;
const LAYOUT_NEWEST_AT: u64 = 12;
const SIZE_AT: u64 = 16;
const PORTS_AT: u64 = 48;
const STATIC_PORTS_AT: u64 = 52;
const REQUESTS_AT: u64 = 56;
const COUNTS_AT: u64 = 64;

fn join(room: &Room) -> Result<Segment, SegmentError> {
    JoinOptions::new().join(room.place())
}

/// Changes one 32-bit word of a good header, and joins.
fn join_with(at: u64, value: u32) -> Result<Segment, SegmentError> {
    let room = Room::new();
    Words::open(room.place().path()).set_u32(at, value);
    join(&room)
}

#[test]
fn a_good_header_is_joined_and_says_what_was_created() {
    let room = Room::new();
    let joined = join(&room).unwrap();
    assert_eq!(joined.geometry(), room.segment.geometry());
    assert_eq!(joined.identity(), room.segment.identity());
}

#[test]
fn a_wrong_magic_is_told() {
    let room = Room::new();
    Words::open(room.place().path()).set_u64(0, 0x1234);
    let error = join(&room).unwrap_err();
    assert!(
        matches!(error, SegmentError::BadMagic { found: 0x1234, .. }),
        "{error}"
    );
}

#[test]
fn a_newer_layout_is_told_with_both_ranges() {
    let room = Room::new();
    let words = Words::open(room.place().path());
    words.set_u32(LAYOUT_OLDEST_AT, LAYOUT_VERSION + 1);
    words.set_u32(LAYOUT_NEWEST_AT, LAYOUT_VERSION + 3);
    let error = join(&room).unwrap_err();
    let SegmentError::LayoutVersion {
        oldest,
        newest,
        ours_newest,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((oldest, newest), (LAYOUT_VERSION + 1, LAYOUT_VERSION + 3));
    assert_eq!(ours_newest, LAYOUT_VERSION);
}

#[test]
fn a_newer_layout_that_old_programs_may_join_is_joined() {
    let newest = join_with(LAYOUT_NEWEST_AT, LAYOUT_VERSION + 7);
    assert!(newest.is_ok(), "{newest:?}");
}

#[test]
fn an_older_layout_and_a_range_upside_down_are_told() {
    for (oldest, newest) in [(0, 0), (1, 0), (u32::MAX, 1)] {
        let room = Room::new();
        let words = Words::open(room.place().path());
        words.set_u32(LAYOUT_OLDEST_AT, oldest);
        words.set_u32(LAYOUT_NEWEST_AT, newest);
        let error = join(&room).unwrap_err();
        assert!(
            matches!(error, SegmentError::LayoutVersion { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_size_that_does_not_follow_from_the_counts_is_told() {
    let room = Room::new();
    let size = room.segment.geometry().size_bytes();
    Words::open(room.place().path()).set_u64(SIZE_AT, size + 4096);
    let error = join(&room).unwrap_err();
    let SegmentError::SizeMismatch {
        stored, derived, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((stored, derived), (size + 4096, size));
}

#[test]
fn counts_out_of_range_are_told_each_by_its_name() {
    let source = |result: Result<Segment, SegmentError>| match result {
        Err(SegmentError::BadGeometry { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    let found = source(join_with(PORTS_AT, 0));
    assert_eq!(found, GeometryError::Ports { given: 0 });
    let found = source(join_with(STATIC_PORTS_AT, 9));
    assert_eq!(found, GeometryError::StaticPorts { given: 9, ports: 8 });
    let found = source(join_with(REQUESTS_AT, u32::MAX));
    assert_eq!(found, GeometryError::Requests { given: u32::MAX });
    let found = source(join_with(COUNTS_AT, u32::MAX));
    assert!(matches!(found, GeometryError::Buffers { .. }), "{found}");
}

#[test]
fn a_file_that_was_cut_off_is_told_with_what_it_has_and_needs() {
    let room = Room::new();
    let size = room.segment.geometry().size_bytes();
    for length in [0, 100, 4095, 4096, size - 1] {
        let copy = room.directory().join("copy");
        fs::copy(room.place().path(), &copy).unwrap();
        File::options()
            .write(true)
            .open(&copy)
            .unwrap()
            .set_len(length)
            .unwrap();
        let place = xseg::Place::within(room.directory(), "copy").unwrap();
        let error = JoinOptions::new().join(&place).unwrap_err();
        let SegmentError::TooShort { found, needed, .. } = error else {
            panic!("{length}: {error}");
        };
        assert_eq!(found, length);
        assert!(needed > length);
    }
}

#[test]
fn each_error_has_its_errno_and_names_the_file() {
    let room = Room::new();
    Words::open(room.place().path()).set_u64(0, 0);
    let error = join(&room).unwrap_err();
    assert_eq!(error.errno(), xseg::Errno::NOEXEC);
    assert!(
        error
            .to_string()
            .contains(room.place().path().to_str().unwrap())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// HEADER-1, GEOM-2, MAP-1: any first page is joined or refused; nothing else happens.
    #[test]
    fn whatever_the_first_page_holds_joining_ends_well(
        words in prop::collection::vec((0..40_u64, prop_oneof![0..70_u32, any::<u32>()]), 1..8),
    ) {
        let room = Room::new();
        let file = Words::open(room.place().path());
        for (index, value) in words {
            file.set_u32(index * 4, value);
        }
        if let Ok(segment) = join(&room) {
            // It holds together: everything that it says is there can be looked at.
            let _ = segment.report();
            let _ = segment.verify();
        }
    }
}
