//! Holds docs/map-format.md against the code, in both directions: a record, field, constant or kind that only one of the
//! two has fails, and so does any other offset, size or value. (DISK-1)

use std::collections::BTreeMap;

use crate::map::head::codec;
use crate::map::journal::record::{self, kind};
use crate::map::journal::{ANSWER_BYTES_MAX, Appender, Position, Record};
use crate::map::tests::any;
use crate::map::*;
use crate::map::{disk::*, entry, name_record, page};

const PAGE: &str = include_str!("../../../../../docs/map-format.md");

/// (name, offset, bytes)
type Fields = Vec<(String, usize, usize)>;

fn records_of_the_code() -> BTreeMap<String, (usize, Fields)> {
    let mut records = BTreeMap::new();
    macro_rules! add {
        ($($name:ident)*) => {$({
            let name = stringify!($name).strip_prefix("Raw").unwrap();
            let owned = |(name, offset, bytes): (&str, usize, usize)| (name.to_owned(), offset, bytes);
            let fields: Fields = $name::fields().into_iter().map(owned).collect();
            assert!(records.insert(name.to_owned(), (size_of::<$name>(), fields)).is_none());
        })*};
    }
    // `fields` of a record that is not here would be dead code: the compiler completes this list.
    add!(
        RawEntry RawPageHeader RawTreePage RawSource RawSplitPage RawHead RawSegment RawName
        RawRecordHeader RawAssign RawZero RawSnapshot RawParent RawNumber RawFlags RawText RawOperation
    );
    records
}

/// The parts of the page that describe a record: "### Record `Name`: N bytes", up to the next heading.
fn record_sections() -> BTreeMap<String, (usize, Vec<&'static str>)> {
    let mut sections = BTreeMap::new();
    for section in PAGE
        .split("\n#")
        .filter_map(|part| part.strip_prefix("## Record `"))
    {
        let mut lines = section.lines();
        let (name, bytes) = lines.next().unwrap().split_once("`: ").unwrap();
        let bytes = bytes.strip_suffix(" bytes").unwrap().parse().unwrap();
        assert!(
            sections
                .insert(name.to_owned(), (bytes, lines.collect()))
                .is_none(),
            "{name}"
        );
    }
    sections
}

/// The rows of all tables whose header row begins with these columns; further columns only explain.
fn rows(lines: &[&str], columns: &[&str]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in lines {
        let Some(inner) = line
            .strip_prefix('|')
            .and_then(|line| line.strip_suffix('|'))
        else {
            inside = false;
            continue;
        };
        let cells: Vec<String> = inner
            .split('|')
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect();
        if cells.iter().take(columns.len()).eq(columns) {
            inside = true;
        } else if inside && !inner.starts_with("---") {
            assert!(cells.iter().all(|cell| !cell.is_empty()), "{line}");
            rows.push(cells[..columns.len()].to_vec());
        }
    }
    rows
}

fn page_rows(columns: &[&str]) -> Vec<Vec<String>> {
    rows(&PAGE.lines().collect::<Vec<_>>(), columns)
}

fn row<const N: usize>(cells: [&dyn ToString; N]) -> Vec<String> {
    cells.iter().map(|cell| cell.to_string()).collect()
}

/// The names in a byte diagram, four bytes a line, with the offset at which each begins.
fn drawn_fields(lines: &[&str]) -> Vec<(String, usize)> {
    let mut fields = Vec::new();
    for line in lines {
        let Some((offset, drawn)) = line.split_once('|') else {
            continue;
        };
        let Ok(offset) = offset.trim().parse::<usize>() else {
            continue;
        };
        let mut column = 0;
        for cell in drawn.strip_suffix('|').unwrap().split('|') {
            assert_eq!(column % 16, 0, "a border between bytes: {line}");
            let name = cell.split(':').next().unwrap().trim();
            fields.push((name.to_owned(), offset + column / 16));
            column += cell.len() + 1;
        }
        assert_eq!(column, 64, "a line is four bytes: {line}");
    }
    fields
}

/// DISK-1
#[test]
fn every_record_stands_on_the_page_with_its_size_and_fields() {
    let fields = |lines: &[&str]| -> Fields {
        let rows = rows(lines, &["offset", "bytes", "field"]);
        let field = |row: &Vec<String>| {
            (
                row[2].clone(),
                row[0].parse().unwrap(),
                row[1].parse().unwrap(),
            )
        };
        rows.iter().map(field).collect()
    };
    let page: BTreeMap<String, (usize, Fields)> = record_sections()
        .into_iter()
        .map(|(name, (bytes, lines))| (name, (bytes, fields(&lines))))
        .collect();
    assert_eq!(page, records_of_the_code());
}

/// DISK-1
#[test]
fn the_byte_diagrams_draw_every_field_where_it_is() {
    let sections = record_sections();
    for (record, (_, fields)) in records_of_the_code() {
        let in_code: Vec<_> = fields
            .into_iter()
            .map(|(name, offset, _)| (name, offset))
            .collect();
        assert_eq!(drawn_fields(&sections[&record].1), in_code, "{record}");
    }
}

#[test]
fn every_constant_stands_on_the_page_with_its_value() {
    let magics: &[(&str, u64)] = &[
        ("PAGE_MAGIC", page::MAGIC),
        ("HEAD_MAGIC", codec::MAGIC),
        ("NAME_MAGIC", name_record::MAGIC),
        ("RECORD_MAGIC", record::MAGIC.into()),
        ("OPEN", codec::OPEN),
    ];
    let numbers: &[(&str, u64)] = &[
        ("FORMAT", FORMAT.into()),
        ("PAGE_BYTES", PAGE_BYTES as u64),
        ("PAGE_ENTRIES", PAGE_ENTRIES as u64),
        ("LEVEL_MAX", LEVEL_MAX.into()),
        ("SUBS_MAX", SUBS_MAX.into()),
        ("SOURCES_MAX", SOURCES_MAX as u64),
        ("BLOCKS_MAX", BLOCKS_MAX),
        ("VOLUME_BYTES_MAX", VOLUME_BYTES_MAX),
        ("NAME_BYTES_MAX", NAME_BYTES_MAX as u64),
        ("SEGMENTS_MAX", SEGMENTS_MAX as u64),
        ("ANSWER_BYTES_MAX", ANSWER_BYTES_MAX as u64),
        ("TOKEN_BITS", Stamp::TOKEN_BITS.into()),
        ("COUNTER_BITS", Stamp::COUNTER_BITS.into()),
    ];
    let magics = magics
        .iter()
        .map(|(name, value)| row([name, &format!("{value:#x}")]));
    let numbers = numbers.iter().map(|(name, value)| row([name, value]));
    let expected: Vec<_> = magics.chain(numbers).collect();
    assert_eq!(page_rows(&["constant", "value"]), expected);
}

#[test]
fn every_kind_and_flag_stands_on_the_page() {
    let entries = [
        row([&entry::KIND_ZERO, &"zero"]),
        row([&entry::KIND_OBJECT, &"object"]),
        row([&entry::KIND_SPLIT, &"split"]),
        row([&entry::KIND_CHILD, &"child"]),
        row([&entry::KIND_CONTENT, &"content"]),
    ];
    assert_eq!(page_rows(&["entry", "name"]), entries);
    let pages = [
        row([&page::KIND_TREE, &"tree"]),
        row([&page::KIND_SPLIT, &"split"]),
    ];
    assert_eq!(page_rows(&["page kind", "name"]), pages);

    let none = HeadFlags::default();
    let bits = [
        (
            HeadFlags {
                snapshot: true,
                ..none
            },
            "snapshot",
        ),
        (
            HeadFlags {
                nameless: true,
                ..none
            },
            "nameless",
        ),
        (
            HeadFlags {
                failed: true,
                ..none
            },
            "failed",
        ),
        (
            HeadFlags {
                content: true,
                ..none
            },
            "content",
        ),
    ];
    let bits = bits.map(|(flags, name)| row([&codec::flag_bits(&flags), &name]));
    assert_eq!(page_rows(&["flag", "name"]), bits);
    assert!(PAGE.contains("| `kind` | 1 volume, 2 snapshot, 3 content. |"));
    let kinds = [NameKind::Volume, NameKind::Snapshot, NameKind::Content];
    assert_eq!(kinds.map(|kind| kind as u8), [1, 2, 3]);
}

/// (name, a record of this kind, what the page says its body is), in the order of their numbers.
fn kinds_of_records() -> [(&'static str, Record, &'static str); 12] {
    let child = any::volume(1);
    let (stamp, name) = (Stamp::ZERO, String::new());
    [
        (
            "assign",
            Record::Assign {
                block: 1,
                from: 0,
                count: 1,
                source: None,
            },
            "Assign",
        ),
        (
            "zero",
            Record::Zero {
                first_block: 1,
                count: 1,
            },
            "Zero",
        ),
        (
            "snapshot",
            Record::Snapshot {
                child,
                floor: stamp,
            },
            "Snapshot",
        ),
        ("parent", Record::Parent { parent: None }, "Parent"),
        ("floor", Record::Floor { floor: stamp }, "Number"),
        ("ceiling", Record::Ceiling { ceiling: stamp }, "Number"),
        ("size", Record::Size { bytes: 1 }, "Number"),
        ("name", Record::Name { name }, "Text, the name"),
        ("flags", Record::Flags(HeadFlags::default()), "Flags"),
        (
            "operation",
            Record::Operation {
                id: 1,
                answer: vec![],
            },
            "Operation, the answer",
        ),
        ("barrier", Record::Barrier, "none"),
        ("synced", Record::Synced { sequence: 1 }, "Number"),
    ]
}

/// The kind of each record, by what is written, with the size of what the page says its body is.
#[test]
fn every_kind_of_record_stands_on_the_page_with_its_body() {
    let sizes = records_of_the_code();
    let mut expected = Vec::new();
    for (name, record, body) in kinds_of_records() {
        let mut bytes = Vec::new();
        let mut appender = Appender::begin(
            Position::start_of(any::volume(1), 1, 1, 1),
            BootId([1; 16]),
            &mut Vec::new(),
        );
        appender.append(&record, &mut bytes).unwrap();
        let kind = u16::from_le_bytes([bytes[12], bytes[13]]);
        let first = body.split(',').next().unwrap();
        let body_bytes = sizes.get(first).map_or(0, |(bytes, _)| *bytes);
        assert_eq!(
            bytes.len(),
            size_of::<RawRecordHeader>() + body_bytes,
            "{name}"
        );
        expected.push(row([&kind, &name, &body]));
    }
    let at = usize::from(kind::OPENING) - 1;
    expected.insert(at, row([&kind::OPENING, &"opening", &"none"]));
    let mut page = page_rows(&["kind", "name", "body"]);
    for cell in page.iter_mut().flatten() {
        cell.retain(|c| c != '`');
    }
    assert_eq!(page, expected);
}

/// Slots of tree pages are about the blocks that the page says.
#[test]
fn a_slot_of_a_tree_page_is_about_the_blocks_that_the_page_says() {
    assert!(PAGE.contains("is about the 126^l blocks from `first` + n * 126^l on"));
    for level in 0..=LEVEL_MAX {
        let span = 126_u64.pow(level.into());
        let tree_page = TreePage::new(level, 126 * span);
        let start = 126 * span + 5 * span;
        assert_eq!(tree_page.blocks_of(5), start..start + span);
    }
}
