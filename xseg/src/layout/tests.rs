//! Holds docs/segment.md against the code, in both directions: a record, field, constant, operation or counter that
//! only one of the two has fails, and so does any other offset, size or value. (LAYOUT-3)

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::geometry::{self, BUFFER_CLASSES, Geometry};
use crate::name::{Life, Name, Owner, PORTS_MAX, PortId};
use crate::op::{Group, OPERATIONS, flags};
use crate::stats::COUNTER_NAMES;

const PAGE: &str = include_str!("../../../docs/segment.md");

/// (name, offset, bytes)
type Fields = Vec<(String, usize, usize)>;

fn records_of_the_code() -> BTreeMap<String, (usize, Fields)> {
    let owned = |fields: Vec<(&str, usize, usize)>| -> Fields {
        fields
            .into_iter()
            .map(|(name, offset, bytes)| (name.to_owned(), offset, bytes))
            .collect()
    };
    let record = |name: &str, bytes, fields| (name.to_owned(), (bytes, owned(fields)));
    [
        record("Header", size_of::<Header>(), Header::fields()),
        record("PortRecord", size_of::<PortRecord>(), PortRecord::fields()),
        record(
            "StatsRecord",
            size_of::<StatsRecord>(),
            StatsRecord::fields(),
        ),
        record(
            "RequestRecord",
            size_of::<RequestRecord>(),
            RequestRecord::fields(),
        ),
    ]
    .into()
}

/// The parts of the page that describe a record: "### Record `Name`: N bytes", up to the next heading.
fn record_sections() -> BTreeMap<String, (usize, Vec<&'static str>)> {
    let mut sections = BTreeMap::new();
    let mut lines = PAGE.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(heading) = line.strip_prefix("### Record `") else {
            continue;
        };
        let (name, bytes) = heading.split_once("`: ").unwrap();
        let bytes = bytes.strip_suffix(" bytes").unwrap().parse().unwrap();
        let mut body = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            body.push(line);
        }
        assert!(sections.insert(name.to_owned(), (bytes, body)).is_none());
    }
    sections
}

fn cells(row: &str) -> Vec<String> {
    let inner = row.trim().trim_start_matches('|').trim_end_matches('|');
    let clean = |cell: &str| cell.trim().trim_matches('`').to_owned();
    inner.split('|').map(clean).collect()
}

/// The rows of every table whose header row begins with these column names.
fn tables(lines: &[&str], columns: &[&str]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in lines {
        if !line.starts_with('|') {
            inside = false;
            continue;
        }
        let cells = cells(line);
        if cells.iter().take(columns.len()).eq(columns) {
            inside = true;
        } else if inside && !line.starts_with("|---") {
            rows.push(cells);
        }
    }
    rows
}

/// All rows of the page's tables with these columns; the last column, which only explains, is left out.
fn page_rows(columns: &[&str]) -> Vec<Vec<String>> {
    let lines: Vec<&str> = PAGE.lines().collect();
    let mut rows = tables(&lines, columns);
    for row in &mut rows {
        row.truncate(columns.len());
    }
    rows
}

fn row<const N: usize>(cells: [&dyn ToString; N]) -> Vec<String> {
    cells.iter().map(|cell| cell.to_string()).collect()
}

/// The names in a byte diagram, eight bytes a line, with the offset at which each begins.
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
        for cell in drawn.trim_end().trim_end_matches('|').split('|') {
            assert_eq!(column % 8, 0, "a border between bytes: {line}");
            let name = cell.split(':').next().unwrap().trim();
            fields.push((name.to_owned(), offset + column / 8));
            column += cell.len() + 1;
        }
        assert_eq!(column, 64, "a line is eight bytes: {line}");
    }
    fields
}

#[test]
fn every_record_stands_on_the_page_with_its_size_and_fields() {
    let code = records_of_the_code();
    let page: BTreeMap<String, (usize, Fields)> = record_sections()
        .into_iter()
        .map(|(name, (bytes, body))| {
            let rows = tables(&body, &["offset", "bytes", "field", "meaning"]);
            let field = |row: &Vec<String>| {
                assert!(!row[3].is_empty(), "{row:?} means something");
                (
                    row[2].clone(),
                    row[0].parse().unwrap(),
                    row[1].parse().unwrap(),
                )
            };
            (name, (bytes, rows.iter().map(field).collect()))
        })
        .collect();
    assert_eq!(page, code);
}

#[test]
fn the_byte_diagrams_draw_every_field_where_it_is() {
    let sections = record_sections();
    for (record, (bytes, fields)) in records_of_the_code() {
        let drawn = drawn_fields(&sections[&record].1);
        let in_code: Vec<_> = fields
            .into_iter()
            .map(|(name, offset, _)| (name, offset))
            .collect();
        assert_eq!(drawn, in_code, "{record}, {bytes} bytes");
    }
}

#[test]
fn every_constant_stands_on_the_page_with_its_value() {
    let constants: &[(&str, u64)] = &[
        ("LAYOUT_VERSION", LAYOUT_VERSION.into()),
        ("LAYOUT_OLDEST", LAYOUT_OLDEST.into()),
        ("STATE_IN_USE", STATE_IN_USE.into()),
        ("STATE_DESTROYED", STATE_DESTROYED.into()),
        ("PORTS_MAX", PORTS_MAX.into()),
        ("REQUESTS_MAX", geometry::REQUESTS_MAX.into()),
        ("BUFFERS_MAX", geometry::BUFFERS_MAX.into()),
        ("SEGMENT_BYTES_MAX", geometry::SEGMENT_BYTES_MAX),
        ("BUFFER_CLASSES", BUFFER_CLASSES as u64),
        ("BUFFER_BYTES_MIN", geometry::BUFFER_BYTES_MIN),
        ("BUFFER_BYTES_MAX", geometry::BUFFER_BYTES_MAX),
        ("NAME_BYTES_MAX", NAME_BYTES_MAX as u64),
        ("PATH_MAX", PATH_MAX as u64),
        ("STAMPS", STAMPS as u64),
        ("ARGS", ARGS as u64),
        ("LABEL_BYTES", LABEL_BYTES as u64),
        ("COUNTERS", COUNTERS as u64),
        ("LATENCY_GROUPS", LATENCY_GROUPS as u64),
        ("LATENCY_BUCKETS", LATENCY_BUCKETS as u64),
    ];
    let mut expected = vec![row([&"MAGIC", &format!("{MAGIC:#018x}")])];
    expected.extend(constants.iter().map(|(name, value)| row([name, value])));
    assert_eq!(page_rows(&["constant", "value"]), expected);
}

#[test]
fn every_operation_counter_group_and_flag_stands_on_the_page() {
    let operations: Vec<_> = OPERATIONS
        .iter()
        .map(|info| {
            let (group, redo) = (format!("{:?}", info.group), format!("{:?}", info.redo));
            let notice = if info.is_notice { "yes" } else { "no" };
            row([&info.code.0, &info.name, &group, &notice, &redo])
        })
        .collect();
    let columns = ["operation", "name", "group", "notice", "redo"];
    assert_eq!(page_rows(&columns), operations);

    let counters: Vec<_> = COUNTER_NAMES
        .iter()
        .map(|(counter, name)| row([&(*counter as usize), name]))
        .collect();
    assert_eq!(page_rows(&["counter", "name"]), counters);

    let groups = [
        Group::Read,
        Group::Write,
        Group::Zero,
        Group::Flush,
        Group::Map,
        Group::Lock,
        Group::Manage,
        Group::Other,
    ];
    assert_eq!(groups.len(), LATENCY_GROUPS);
    let groups: Vec<_> = groups
        .iter()
        .map(|group| row([&(*group as usize), &format!("{group:?}")]))
        .collect();
    assert_eq!(page_rows(&["group", "name"]), groups);

    let bits = [
        row([&flags::FUA, &"FUA"]),
        row([&flags::FLUSH, &"FLUSH"]),
        row([&flags::FORCE, &"FORCE"]),
        row([&flags::NOWAIT, &"NOWAIT"]),
        row([&flags::LENT, &"LENT"]),
    ];
    assert_eq!(page_rows(&["flag", "name"]), bits);
}

#[test]
fn the_states_of_words_and_the_lanes_stand_on_the_page() {
    let name = Name {
        port: PortId::new(3).unwrap(),
        generation: 9,
    };
    let to = PortId::new(5).unwrap();
    let owners = [
        (Owner::Free, "free"),
        (Owner::Owned(name), "owned"),
        (Owner::Sent { by: name, to }, "sent"),
        (Owner::Held(name), "held"),
    ];
    let owners = owners.map(|(owner, name)| row([&(owner.pack() >> 60), &name]));
    assert_eq!(page_rows(&["state", "name"]), owners);
    // The fields of the word lie where the page draws them.
    let word = Owner::Sent { by: name, to }.pack();
    assert_eq!(word, 2 << 60 | 5 << 46 | 3 << 32 | 9);

    let generation = 9;
    let lives = [
        (Life::Free { generation }, "free"),
        (Life::Bound { generation }, "bound"),
        (Life::Vacant { generation }, "vacant"),
        (Life::Settling { generation }, "settling"),
    ];
    let lives = lives.map(|(life, name)| {
        assert_eq!(life.pack() & 0x00ff_ffff_ffff_ffff, 9);
        row([&(life.pack() >> 56), &name])
    });
    assert_eq!(page_rows(&["life", "name"]), lives);

    let lanes = LANES.map(|kind| {
        let word = LaneWord { kind, place: 4 };
        assert_eq!(word.pack(), kind as u32 | 4 << 8);
        row([&(kind as usize), &format!("{kind:?}").to_lowercase()])
    });
    assert_eq!(page_rows(&["lane", "name"]), lanes);
}

/// A field of the line of somebody else would make two processes wait for each other's caches. (LAYOUT-2)
#[test]
fn words_of_different_writers_lie_on_different_lines() {
    let line_of = |wanted: &str| {
        let fields = PortRecord::fields();
        let field = fields.iter().find(|(name, ..)| *name == wanted);
        field.unwrap().1 / 64
    };
    let writers = [
        "requests_head",
        "replies_head",
        "notices_head",
        "life",
        "requests_taken",
        "pid",
    ];
    let mut lines: Vec<usize> = writers.iter().map(|field| line_of(field)).collect();
    lines.dedup();
    assert_eq!(lines.len(), writers.len(), "{lines:?}");
    assert!(lines.is_sorted());
}

proptest! {
    /// The rules of "How a segment is divided", written down once more. (GEOM-1)
    #[test]
    fn the_areas_begin_where_the_page_says(
        ports in 1..300_u32,
        requests in 1..3000_u32,
        counts in prop::array::uniform12(0..30_u32),
    ) {
        let geometry = Geometry::from_numbers(ports, 1, requests, counts).unwrap();
        let up = |at: u64, to: u64| at.div_ceil(to) * to;
        let stats_at = 4096 + 512 * u64::from(ports);
        let requests_at = up(stats_at + 2304 * u64::from(ports), 4096);
        let owners_at = requests_at + 896 * u64::from(requests);
        let buffers: u32 = counts.iter().sum();
        let size = |class: usize| 4096_u64 << class;
        let data: u64 = (0..12).map(|class| u64::from(counts[class]) * size(class)).sum();
        let align = if data >= 64 << 20 { 2 << 20 } else { 4096 };
        let mut at = up(owners_at + 8 * u64::from(buffers), align);
        prop_assert_eq!(geometry.ports_at(), 4096);
        prop_assert_eq!(geometry.stats_at(), stats_at);
        prop_assert_eq!(geometry.requests_at(), requests_at);
        prop_assert_eq!(geometry.owners_at(), owners_at);
        prop_assert_eq!(geometry.buffers_at(), at);
        let mut number = 0;
        for class in (0..12).rev() {
            for _ in 0..counts[class] {
                let range = geometry.buffer_range(geometry.buffer(number).unwrap());
                prop_assert_eq!((range.at(), range.len()), (at, size(class)));
                at += size(class);
                number += 1;
            }
        }
        prop_assert_eq!(geometry.size_bytes(), up(at, align));
    }
}
