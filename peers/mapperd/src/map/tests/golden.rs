//! One of each record as hexadecimal digits. A change of these bytes is a change of the format: it needs a format number
//! or a feature bit, a way to read the older ones, and a word in docs/map-format.md.

use std::fmt::Write;
use std::num::NonZeroU64;

use crate::map::journal::{Appender, Position, Record, Replayed};
use crate::map::*;

/// The id with these digits four times.
fn id(digits: &str) -> VolumeId {
    digits.repeat(4).parse().unwrap()
}

fn source(digits: &str, counter: u64) -> Source {
    let stamp = Stamp::new(0xa1, counter).unwrap();
    Source::Born {
        birth: id(digits),
        stamp,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The digits, written over several lines with spaces, are those of the bytes but for zeros at their end.
#[track_caller]
fn assert_bytes(bytes: &[u8], digits: &str) {
    let digits: String = digits.split_whitespace().collect();
    let found = hex(bytes);
    let (head, tail) = found.split_at(digits.len().min(found.len()));
    assert_eq!(head, digits);
    assert!(tail.bytes().all(|digit| digit == b'0'), "{tail}");
}

fn content() -> Source {
    Source::Content(ContentId::from_bytes(std::array::from_fn(|at| at as u8)))
}

fn page_ref() -> PageRef {
    PageRef {
        birth: id("0b1c2d3e"),
        number: 0x0000_a100_0000_0007,
        index: 0x0102,
        crc: 0xdead_beef,
    }
}

#[test]
fn the_bytes_of_entries() {
    assert_bytes(
        &Entry::Object(source("01234567", 0x55)).encode(),
        "
         0100000000000000 5500000000a10000 0123456701234567 0123456701234567
        ",
    );
    assert_bytes(
        &Entry::Object(content()).encode(),
        "
         0400000000000000 0001020304050607 08090a0b0c0d0e0f 1011121314151617
        ",
    );
    assert_bytes(
        &Entry::Split(page_ref()).encode(),
        "
         02000201efbeadde 0700000000a10000 0b1c2d3e0b1c2d3e 0b1c2d3e0b1c2d3e
        ",
    );
    assert_bytes(
        &Entry::Child(page_ref()).encode(),
        "
         03000201efbeadde 0700000000a10000 0b1c2d3e0b1c2d3e 0b1c2d3e0b1c2d3e
        ",
    );
}

#[test]
fn the_bytes_of_a_tree_page() {
    let mut page = TreePage::new(0, 126);
    page.set(1, Entry::Object(source("01234567", 0x55)));
    let EncodedPage { bytes, reference } = page.encode(id("0b1c2d3e"), 0xa100_0000_0007, 9);
    assert_bytes(
        &bytes[..],
        "
         4152434850414745 010001002260f13a 0000000000000000 0000000009000000 0b1c2d3e0b1c2d3e
         0b1c2d3e0b1c2d3e 0700000000a10000 7e00000000000000 0000000000000000 0000000000000000
         0000000000000000 0000000000000000 0100000000000000 5500000000a10000 0123456701234567
         0123456701234567
        ",
    );
    assert_eq!(
        TreePage::decode(&bytes[..], &reference, 0, 126, Access::ReadWrite),
        Ok(page)
    );
}

#[test]
fn the_bytes_of_a_split_page() {
    let shape = Shape::new(16, 12).unwrap();
    let mut map = BlockMap::Object(source("01234567", 0x55));
    map.assign(shape, 2..4, None).unwrap();
    map.assign(shape, 15..16, Some(source("89abcdef", 0x66)))
        .unwrap();
    let BlockMap::Split(split) = map else {
        panic!("{map:?}")
    };
    let page = SplitPage { block: 300, split };
    let EncodedPage { bytes, reference } = page.encode(id("0b1c2d3e"), 0xa100_0000_0007, 9);
    assert_bytes(
        &bytes[..1096],
        "
         4152434850414745 010002003804f5ce 0000000000000000 0000000009000000 0b1c2d3e0b1c2d3e
         0b1c2d3e0b1c2d3e 0700000000a10000 2c01000000000000 1000020000000000 0101000001010101
         0101010101010102
        ",
    );
    assert_bytes(
        &bytes[1096..],
        "
         0123456701234567 0123456701234567 5500000000a10000 89abcdef89abcdef 89abcdef89abcdef
         6600000000a1
        ",
    );
    let decoded = SplitPage::decode(&bytes[..], &reference, 300, shape, Access::ReadWrite);
    assert_eq!(decoded, Ok(page));
}

#[test]
fn the_bytes_of_pages_that_name_content() {
    let mut page = TreePage::new(0, 126);
    page.set(1, Entry::Object(content()));
    let bytes = page.encode(id("0b1c2d3e"), 0xa100_0000_0007, 9).bytes;
    assert_eq!(bytes[16..28], [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    assert_bytes(
        &bytes[96..128],
        "0400000000000000 0001020304050607 08090a0b0c0d0e0f 1011121314151617",
    );
    let shape = Shape::new(16, 12).unwrap();
    let mut map = BlockMap::Object(content());
    map.assign(shape, 1..2, Some(source("01234567", 0x55)))
        .unwrap();
    let BlockMap::Split(split) = map else {
        panic!("{map:?}")
    };
    let page = SplitPage { block: 300, split };
    let bytes = page.encode(id("0b1c2d3e"), 0xa100_0000_0007, 9).bytes;
    assert_eq!(bytes[24..28], [1, 0, 0, 0]);
    assert_bytes(
        &bytes[64..1096],
        "1000020000000000 8102818181818181 8181818181818181",
    );
    assert_bytes(
        &bytes[1096..],
        "
         0001020304050607 08090a0b0c0d0e0f 1011121314151617
         0123456701234567 0123456701234567 5500000000a1
        ",
    );
}

#[test]
fn the_bytes_of_a_head() {
    let head = Head {
        id: id("0b1c2d3e"),
        version: Version {
            token: 0xa1,
            number: 3,
        },
        shape: Shape::new(22, 12).unwrap(),
        size_bytes: 0x1234_5678_9abc,
        floor: Stamp::new(0xa1, 0x11).unwrap(),
        ceiling: Stamp::new(0xa1, 0x22).unwrap(),
        parent: Some(id("44556677")),
        root: Some(Root {
            page: page_ref(),
            level: 2,
        }),
        flags: HeadFlags {
            snapshot: true,
            nameless: false,
            failed: true,
            content: false,
            trashed_at_seconds: NonZeroU64::new(0x6666_7777),
        },
        has_content: false,
        name: "disk-1".to_owned(),
        segments: vec![SegmentRef {
            birth: id("0b1c2d3e"),
            token: 0xa1,
            number: 4,
            from: Position {
                offset: 0x1000,
                sequence: 0x2000,
                link: 0x8899_aabb,
            },
            to_offset: None,
        }],
        next_page_number: 8,
        created_seconds: 0x5555_6666,
    };
    let bytes = head.encode().unwrap();
    assert_bytes(
        &bytes,
        "
         4152434848454144 01000500ee000000 786a31de00000000 0000000000000000 01000000160c0206
         0b1c2d3e0b1c2d3e 0b1c2d3e0b1c2d3e a100000000000000 0300000000000000 bc9a785634120000
         1100000000a10000 2200000000a10000 0800000000000000 6666555500000000 7777666600000000
         4455667744556677 4455667744556677 03000201efbeadde 0700000000a10000 0b1c2d3e0b1c2d3e
         0b1c2d3e0b1c2d3e 0b1c2d3e0b1c2d3e 0b1c2d3e0b1c2d3e a100000000000000 0400000000000000
         0010000000000000 ffffffffffffffff 0020000000000000 bbaa998800000000 6469736b2d31
        ",
    );
    assert_eq!(Head::decode(&bytes).unwrap().value, head);
    let mut content = head;
    (content.flags.content, content.has_content) = (true, true);
    let bytes = content.encode().unwrap();
    assert_eq!((bytes[10], bytes[28]), (13, 1));
    assert_eq!(Head::decode(&bytes).unwrap().value, content);
}

#[test]
fn the_bytes_of_a_directory_entry() {
    let record = NameRecord {
        name: "disk-1".to_owned(),
        id: id("0b1c2d3e"),
        kind: NameKind::Volume,
    };
    let bytes = record.encode().unwrap();
    assert_bytes(
        &bytes,
        "
         415243484e414d45 010001060b6808e7 0000000000000000 0000000000000000 0b1c2d3e0b1c2d3e
         0b1c2d3e0b1c2d3e 6469736b2d31
        ",
    );
    assert_eq!(NameRecord::decode(&bytes).unwrap().value, record);
}

/// One of each kind, in the order of their numbers.
fn records() -> [Record; 11] {
    [
        Record::Assign {
            block: 7,
            from: 2,
            count: 3,
            source: Some(source("01234567", 0x55)),
        },
        Record::Zero {
            first_block: 8,
            count: 9,
        },
        Record::Snapshot {
            child: id("44556677"),
            floor: Stamp::new(0xa1, 0x11).unwrap(),
        },
        Record::Parent {
            parent: Some(id("44556677")),
        },
        Record::Floor {
            floor: Stamp::new(0xa1, 0x11).unwrap(),
        },
        Record::Ceiling {
            ceiling: Stamp::new(0xa1, 0x22).unwrap(),
        },
        Record::Size { bytes: 0x1234_5678 },
        Record::Name {
            name: "disk-1".to_owned(),
        },
        Record::Flags(HeadFlags {
            nameless: true,
            ..HeadFlags::default()
        }),
        Record::Operation {
            id: 0x0011_2233,
            answer: b"{}".to_vec(),
        },
        Record::Barrier,
    ]
}

#[test]
fn the_bytes_of_a_journal() {
    let records = records();
    let from = Position::start_of(id("0b1c2d3e"), 0xa1, 4, 0x2000);
    let boot = BootId(*b"0123456789abcdef");
    let mut bytes = Vec::new();
    let mut appender = Appender::begin(from, boot, &mut bytes);
    for record in &records {
        appender.append(record, &mut bytes).unwrap();
    }
    assert_bytes(
        &bytes,
        "
         414a524e28000000 336bf2bf0c000000 0020000000000000 3031323334353637 3839616263646566
         414a524e50000000 599ffc1f01000000 0120000000000000 3031323334353637 3839616263646566
         0700000000000000 0200030000000000 5500000000a10000 0123456701234567 0123456701234567
         414a524e38000000 ee3b95fd02000000 0220000000000000 3031323334353637 3839616263646566
         0800000000000000 0900000000000000
         414a524e40000000 b5d5f1b803000000 0320000000000000 3031323334353637 3839616263646566
         4455667744556677 4455667744556677 1100000000a10000
         414a524e38000000 a247a23704000000 0420000000000000 3031323334353637 3839616263646566
         4455667744556677 4455667744556677
         414a524e30000000 8ef4ef9705000000 0520000000000000 3031323334353637 3839616263646566
         1100000000a10000
         414a524e30000000 41fbeb5906000000 0620000000000000 3031323334353637 3839616263646566
         2200000000a10000
         414a524e30000000 d454df2307000000 0720000000000000 3031323334353637 3839616263646566
         7856341200000000
         414a524e38000000 872cf62708000000 0820000000000000 3031323334353637 3839616263646566
         0600000000000000 6469736b2d310000
         414a524e38000000 e0bd572d09000000 0920000000000000 3031323334353637 3839616263646566
         0200000000000000 0000000000000000
         414a524e48000000 280e52fa0a000000 0a20000000000000 3031323334353637 3839616263646566
         3322110000000000 0000000000000000 0200000000000000 7b7d000000000000
         414a524e28000000 f2bc539b0b000000 0b20000000000000 3031323334353637 3839616263646566
        ",
    );
    let replayed = Replayed::over(&bytes, from, boot).unwrap();
    assert_eq!(replayed.records[1..], records);
    assert_eq!(replayed.end, appender.end());
}
