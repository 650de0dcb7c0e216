//! Journals: records, and what of them counts after crashes, against a disk that loses and tears writes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::record::kind;
use super::*;
use crate::map::disk::RawRecordHeader;
use crate::map::tests::any;
use crate::map::{BootId, Stamp, check};

mod crashes;

const BOOT_A: BootId = BootId([0xa; 16]);
const BOOT_B: BootId = BootId([0xb; 16]);
const BOOT_C: BootId = BootId([0xc; 16]);

fn start() -> Position {
    Position::start_of(any::volume(1), 2, 3, 100)
}

/// A record that is told from others by its number.
fn numbered(number: u64) -> Record {
    Record::Floor {
        floor: Stamp::from_bits(number),
    }
}

/// These records behind the barrier that an opening makes, and where they end.
fn written(from: Position, boot: BootId, records: &[Record]) -> (Vec<u8>, Position) {
    let mut bytes = Vec::new();
    let mut appender = Appender::begin(from, boot, &mut bytes);
    for record in records {
        appender.append(record, &mut bytes).unwrap();
    }
    assert_eq!(appender.end().offset, from.offset + bytes.len() as u64);
    (bytes, appender.end())
}

fn replayed(bytes: &[u8], boot: BootId) -> Replayed {
    Replayed::over(bytes, start(), boot).unwrap()
}

fn with_barrier(records: &[Record]) -> Vec<Record> {
    [&[Record::Barrier], records].concat()
}

/// LOG-2
#[test]
fn in_the_same_boot_every_whole_record_counts() {
    let (mut bytes, end) = written(start(), BOOT_A, &[numbered(1), numbered(2)]);
    let here = replayed(&bytes, BOOT_A);
    assert_eq!(here.records, with_barrier(&[numbered(1), numbered(2)]));
    assert_eq!((here.end, here.dropped, here.reason), (end, 0, End::Full));
    bytes.resize(4096, 0);
    assert_eq!(replayed(&bytes, BOOT_A).reason, End::NotWritten);
}

/// LOG-5, F32
#[test]
fn damage_before_what_was_durable_is_an_error_and_never_the_end() {
    let synced = Record::Synced { sequence: 103 };
    let records = [numbered(1), Record::Barrier, synced, numbered(2)];
    let (mut bytes, _) = written(start(), BOOT_A, &records);
    bytes.resize(4096, 0);
    assert_eq!(replayed(&bytes, BOOT_A).records, with_barrier(&records));
    assert_eq!(replayed(&bytes, BOOT_B).records.len(), 3);
    // The opening, the first record, the barrier; what follows was not durable yet.
    for (at, is_durable) in [
        (3, true),
        (50, true),
        (95, true),
        (131, false),
        (178, false),
    ] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        for boot in [BOOT_A, BOOT_B] {
            match Replayed::over(&bytes, start(), boot) {
                Ok(replayed) => assert!(!is_durable && replayed.records.len() >= 3, "{at}"),
                Err(error) => {
                    let is_told = matches!(error.problem, JournalProblem::Damaged(_));
                    assert!(is_durable && is_told, "{at}: {error}");
                }
            }
        }
    }
}

/// LOG-2, M6
#[test]
fn in_another_boot_records_count_up_to_the_last_barrier() {
    let records = [numbered(1), Record::Barrier, numbered(2), numbered(3)];
    let (bytes, _) = written(start(), BOOT_A, &records);
    let there = replayed(&bytes, BOOT_B);
    assert_eq!(there.records, with_barrier(&records[..2]));
    assert_eq!(there.dropped, 2);
    assert_eq!(there.end, written(start(), BOOT_A, &records[..2]).1);
    let (first_only, _) = written(start(), BOOT_A, &[numbered(1)]);
    assert_eq!(replayed(&first_only, BOOT_B).records, [Record::Barrier]);
    assert_eq!(replayed(&[], BOOT_B).end, start());
}

/// LOG-1: written in A, continued in B, read in B, in C, and in C after B's records were lost.
#[test]
fn a_segment_of_three_boots_counts_up_to_the_last_barrier_of_the_last() {
    let of_a = [numbered(1), Record::Barrier, numbered(2)];
    let (bytes_a, _) = written(start(), BOOT_A, &of_a);
    let taken = replayed(&bytes_a, BOOT_B);
    let (bytes_b, end_b) = written(taken.end, BOOT_B, &[numbered(3)]);
    let mut bytes = bytes_a.clone();
    let at = taken.end.offset as usize;
    bytes.truncate(at);
    bytes.extend_from_slice(&bytes_b);

    let all = [
        &with_barrier(&of_a[..2])[..],
        &[Record::Barrier, numbered(3)],
    ]
    .concat();
    let in_b = replayed(&bytes, BOOT_B);
    assert_eq!((in_b.records, in_b.end), (all.clone(), end_b));
    let in_c = replayed(&bytes, BOOT_C);
    assert_eq!((in_c.records, in_c.dropped), (all[..4].to_vec(), 1));
    // B's barrier was not durable: what A wrote there and nobody took comes back, and is dropped again.
    let in_c = replayed(&bytes_a, BOOT_C);
    assert_eq!((in_c.records, in_c.dropped), (all[..3].to_vec(), 1));
}

/// LOG-1: B's barrier has the length of the one of A's records that it lies on, and what A wrote behind that one is whole
/// and has the next sequence numbers. It was written behind another record, and nobody took it.
#[test]
fn stale_records_behind_a_new_one_of_the_same_length_do_not_count() {
    let of_a = [
        Record::Barrier,
        Record::Barrier,
        numbered(2),
        Record::Barrier,
    ];
    let (whole, _) = written(start(), BOOT_A, &of_a);
    let mut torn = whole.clone();
    torn[40..80].fill(0);
    let taken = replayed(&torn, BOOT_B);
    assert_eq!((taken.records.len(), taken.reason), (1, End::NotWritten));
    let (barrier, _) = written(taken.end, BOOT_B, &[]);
    let mut bytes = whole;
    bytes[40..80].copy_from_slice(&barrier);
    let in_b = replayed(&bytes, BOOT_B);
    assert_eq!((in_b.records.len(), in_b.reason), (2, End::Checksum));
    assert_eq!(replayed(&bytes, BOOT_C).records.len(), 2);
}

/// LOG-1: even if its checksum fits, a record of another boot counts only as an opening behind a barrier.
#[test]
fn a_boot_begins_with_an_opening_behind_a_barrier() {
    let (mut bytes, end) = written(start(), BOOT_A, &[numbered(1)]);
    let (of_b, _) = written(end, BOOT_B, &[]);
    bytes.extend_from_slice(&of_b);
    let now = replayed(&bytes, BOOT_B);
    assert_eq!(
        (now.reason, now.records),
        (End::Boot, vec![Record::Barrier])
    );

    // No appender begins without an opening: the bytes of its second record are sealed like a first.
    let (mut bytes, end) = written(start(), BOOT_A, &[]);
    let (mut of_b, _) = written(
        Position {
            sequence: end.sequence - 1,
            ..end
        },
        BOOT_B,
        &[numbered(1)],
    );
    let mut record = of_b.split_off(40);
    check::seal_after(end.link, &mut record, 8);
    bytes.extend_from_slice(&record);
    assert_eq!(replayed(&bytes, BOOT_B).reason, End::Boot);
}

/// LOG-1: processes of one boot. The first died while it wrote a barrier, which is not there, and a record behind it,
/// which is. The opening of the second must not stand in for that barrier.
#[test]
fn an_opening_is_not_the_same_as_the_barrier_of_a_process_that_died() {
    let (whole, _) = written(start(), BOOT_A, &[Record::Barrier, numbered(1)]);
    let mut bytes = whole;
    bytes[40..80].fill(0);
    let taken = replayed(&bytes, BOOT_A);
    let (opening, _) = written(taken.end, BOOT_A, &[]);
    bytes[40..80].copy_from_slice(&opening);
    let now = replayed(&bytes, BOOT_A);
    assert_eq!((now.records.len(), now.reason), (2, End::Checksum));
}

/// F31: a segment's records make sense in that segment alone.
#[test]
fn records_of_another_segment_do_not_count() {
    let other = Position::start_of(any::volume(1), 2, 4, 100);
    let (bytes, _) = written(other, BOOT_A, &[numbered(1)]);
    let here = replayed(&bytes, BOOT_A);
    assert_eq!((here.records, here.reason), (vec![], End::Checksum));
}

/// What is said of a second record with some bytes changed and its checksum made right again.
fn forged(at: usize, new: &[u8], record: &Record) -> String {
    let (mut bytes, first_end) = written(start(), BOOT_A, &[]);
    let (mut second, _) = written(start(), BOOT_A, std::slice::from_ref(record));
    second.drain(..bytes.len());
    second[at..at + new.len()].copy_from_slice(new);
    let crc_at = std::mem::offset_of!(RawRecordHeader, crc);
    check::seal_after(first_end.link, &mut second, crc_at);
    bytes.extend_from_slice(&second);
    let error = Replayed::over(&bytes, start(), BOOT_A).unwrap_err();
    assert_eq!((error.offset, error.sequence), (40, 101));
    error.to_string()
}

/// LOG-3, F93
#[test]
fn a_whole_record_that_nobody_understands_is_an_error() {
    let refused = |field: &str, at: usize, new: &[u8], record: &Record| {
        let error = forged(at, new, record);
        assert!(error.contains(&format!("`{field}`")), "{error}");
    };
    let assign = Record::Assign {
        block: 1,
        from: 2,
        count: 3,
        source: None,
    };
    let operation = Record::Operation {
        id: 1,
        answer: vec![1; 9],
    };
    refused("kind", 12, &[99], &numbered(1));
    refused("flags", 14, &[1], &numbered(1));
    refused("count", 50, &[0, 0], &assign);
    refused("count", 50, &[255, 3], &assign);
    refused("block", 40, &[255; 8], &assign);
    refused("stamp", 56, &[1], &assign);
    refused("reserved", 52, &[1], &assign);
    refused("value", 40, &[255; 8], &Record::Size { bytes: 1 });
    refused(
        "count",
        48,
        &[255; 8],
        &Record::Zero {
            first_block: 1,
            count: 1,
        },
    );
    refused(
        "child",
        40,
        &[0; 16],
        &Record::Snapshot {
            child: any::volume(1),
            floor: Stamp::ZERO,
        },
    );
    refused(
        "flags",
        40,
        &[128],
        &Record::Flags(crate::map::HeadFlags::default()),
    );
    refused("length", 56, &[17], &operation);
    refused("padding", 73, &[1], &operation);
    let not_text = forged(
        48,
        &[0xff],
        &Record::Name {
            name: "ab".to_owned(),
        },
    );
    assert!(not_text.contains("not UTF-8"), "{not_text}");
    let other_body = forged(12, &[2], &numbered(1));
    assert!(other_body.contains("8 bytes where 16"), "{other_body}");
}

/// LOG-3
#[test]
fn a_closed_part_counts_wholly_in_any_boot_and_must_be_there() {
    let (bytes, end) = written(start(), BOOT_A, &[numbered(1), numbered(2)]);
    let closed = Replayed::over_closed(&bytes, start()).unwrap();
    assert_eq!(
        (closed.records.len(), closed.end, closed.dropped),
        (3, end, 0)
    );
    assert!(
        Replayed::over_closed(&[], start())
            .unwrap()
            .records
            .is_empty()
    );
    let from_second = Replayed::over_closed(&bytes[40..], written(start(), BOOT_A, &[]).1).unwrap();
    assert_eq!(from_second.records, [numbered(1), numbered(2)]);
    for length in 1..bytes.len() {
        let cut = Replayed::over_closed(&bytes[..length], start());
        let at_a_border = [40, 88].contains(&length);
        assert_eq!(cut.is_ok(), at_a_border, "{length}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = Replayed::over_closed(&bytes, start()).unwrap_err();
        assert!(
            matches!(error.problem, JournalProblem::Missing(_)),
            "bit {bit}: {error}"
        );
    }
}

#[test]
fn a_journal_goes_on_in_the_next_segment() {
    let mut first = Vec::new();
    let mut appender = Appender::begin(start(), BOOT_A, &mut first);
    let next = Position::start_of(any::volume(1), 2, 4, appender.end().sequence);
    appender.continue_at(next);
    let mut second = Vec::new();
    appender.append(&numbered(1), &mut second).unwrap();
    let replayed = Replayed::over(&second, next, BOOT_A).unwrap();
    assert_eq!(
        (replayed.records, replayed.end),
        (vec![numbered(1)], appender.end())
    );
}

/// LOG-4
#[test]
fn what_a_reader_would_refuse_is_not_appended() {
    let bad = [
        Record::Assign {
            block: 1,
            from: 0,
            count: 0,
            source: None,
        },
        Record::Assign {
            block: 1,
            from: 1000,
            count: 25,
            source: None,
        },
        Record::Assign {
            block: 1,
            from: 65535,
            count: 65535,
            source: None,
        },
        Record::Assign {
            block: 1 << 47,
            from: 0,
            count: 1,
            source: None,
        },
        Record::Zero {
            first_block: 1,
            count: 0,
        },
        Record::Zero {
            first_block: 1 << 47,
            count: 1,
        },
        Record::Zero {
            first_block: u64::MAX,
            count: u64::MAX,
        },
        Record::Size {
            bytes: (1 << 63) + 1,
        },
        Record::Name {
            name: "x".repeat(256),
        },
        Record::Operation {
            id: 1,
            answer: vec![0; 1025],
        },
    ];
    for record in bad {
        let mut bytes = Vec::new();
        let mut appender = Appender::begin(start(), BOOT_A, &mut bytes);
        let before = (bytes.clone(), appender.end());
        assert!(appender.append(&record, &mut bytes).is_err(), "{record:?}");
        assert_eq!((bytes, appender.end()), before);
    }
}

proptest! {
    /// LOG-4
    #[test]
    fn every_record_is_read_back(records in vec(any::record(), 0..12)) {
        let (bytes, end) = written(start(), BOOT_A, &records);
        prop_assert_eq!(bytes.len() % 8, 0);
        let here = replayed(&bytes, BOOT_A);
        prop_assert_eq!((&here.records, here.end), (&with_barrier(&records), end));
        // Twice is the same: replay changes nothing.
        prop_assert_eq!(replayed(&bytes, BOOT_A), here);
    }

    /// LOG-1
    #[test]
    fn damage_never_makes_other_records(
        records in vec(any::record(), 1..8),
        at: prop::sample::Index,
        new: u8,
    ) {
        let (mut bytes, _) = written(start(), BOOT_A, &records);
        let at = at.index(bytes.len());
        bytes[at] = new;
        for boot in [BOOT_A, BOOT_B] {
            match Replayed::over(&bytes, start(), boot) {
                Ok(found) => prop_assert!(with_barrier(&records).starts_with(&found.records)),
                // LOG-5
                Err(error) => prop_assert!(matches!(error.problem, JournalProblem::Damaged(_)), "{}", error),
            }
        }
    }

    /// LOG-4: whatever body is accepted would be written the same, and nothing panics.
    #[test]
    fn any_bytes_are_a_record_or_not(
        record in any::record(),
        kind in proptest::option::of(0..13_u16),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        raw: Vec<u8>,
    ) {
        prop_assert_eq!(replayed(&raw, BOOT_A).records, vec![]);
        let mut body = Vec::new();
        let own = body::encode(&record, &mut body).unwrap();
        body.resize(body.len().next_multiple_of(8), 0);
        for (at, byte) in changes {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
        }
        let kind = kind.unwrap_or(own);
        if let Ok(record) = body::decode(kind, &body) {
            let mut again = Vec::new();
            let of_opening = if kind == kind::OPENING { kind::BARRIER } else { kind };
            prop_assert_eq!(body::encode(&record, &mut again).unwrap(), of_opening);
            again.resize(again.len().next_multiple_of(8), 0);
            prop_assert_eq!(again, body);
        }
    }
}
