//! Options: lengths, counts, order, numbers.

use archipelago_nbd::wire::ReplyMode;

use super::row::{Demand, Row, Stage, announced, info, meta, option, string};

const ACK: u32 = 1;
const INFO: u32 = 3;
const CONTEXT: u32 = 4;
const UNSUP: u32 = 1 << 31 | 1;
const INVALID: u32 = 1 << 31 | 3;
const UNKNOWN: u32 = 1 << 31 | 6;
const TOO_BIG: u32 = 1 << 31 | 9;
const EXT_HEADER_REQD: u32 = 1 << 31 | 10;

fn row(name: &str, mode: ReplyMode, says: Vec<u8>, replies: &[u32]) -> Row {
    Row {
        name: format!("option: {name}"),
        stage: Stage::Options(mode),
        says,
        demand: Demand::Replies(replies.to_vec()),
    }
}

fn ends(name: &str, says: Vec<u8>, replies: &[u32]) -> Row {
    Row {
        demand: Demand::Ends(replies.to_vec()),
        ..row(name, ReplyMode::Structured, says, &[])
    }
}

pub fn rows() -> Vec<Row> {
    [
        exports(),
        words(),
        malformed_contexts(),
        contexts(),
        foreign(),
    ]
    .concat()
}

/// INFO and GO have one form.
fn exports() -> Vec<Row> {
    let mut rows = Vec::new();
    for (code, who) in [(6, "INFO"), (7, "GO")] {
        let mut add = |name: &str, payload: &[u8], reply: u32| {
            let name = format!("{who} {name}");
            rows.push(row(
                &name,
                ReplyMode::Simple,
                option(code, payload),
                &[reply],
            ));
        };
        add("of nothing", b"", INVALID);
        add("of three bytes", b"\0\0\0", INVALID);
        add("of a name longer than it", b"\0\0\0\x09disk\0\0", INVALID);
        add(
            "of a name without end",
            b"\xff\xff\xff\xffdisk\0\0",
            INVALID,
        );
        add("without a count", &string(b"disk"), INVALID);
        add("with half a count", b"\0\0\0\x04disk\0", INVALID);
        add("with a count of nothing", b"\0\0\0\x04disk\0\x01", INVALID);
        add("with one of two", b"\0\0\0\x04disk\0\x02\0\x03", INVALID);
        add("with half of one", b"\0\0\0\x04disk\0\x01\0", INVALID);
        add("with 65535 of nothing", b"\0\0\0\x04disk\xff\xff", INVALID);
        add("with a byte behind", b"\0\0\0\x04disk\0\0\0", INVALID);
        add("of a name of 4097", &info(&[b'n'; 4097], &[]), INVALID);
        add("of a name of 4096", &info(&[b'n'; 4096], &[]), UNKNOWN);
        add("of a name of 512", &info(&[b'n'; 512], &[]), UNKNOWN);
        add("of an unknown name", &info(b"nowhere", &[]), UNKNOWN);
        add("of no name", &info(b"", &[]), UNKNOWN);
        add("of a path", &info(b"../disk", &[]), UNKNOWN);
        add("of dots", &info(b"..", &[]), UNKNOWN);
        add("of a name with a zero", &info(b"disk\0", &[]), UNKNOWN);
        add("of a name of two lines", &info(b"disk\ndisk", &[]), UNKNOWN);
        add("of bytes", &info(b"\xff\xfe", &[]), UNKNOWN);
    }
    let simple = ReplyMode::Simple;
    let mut add = |name: &str, wanted: &[u16], infos: usize| {
        let mut replies = vec![INFO; infos];
        replies.push(ACK);
        let says = option(6, &info(b"disk", wanted));
        rows.push(row(&format!("INFO {name}"), simple, says, &replies));
    };
    add("with nothing wanted", &[], 1);
    add("with the export wanted", &[0], 1);
    add("with all wanted", &[0, 1, 2, 3], 4);
    add("with the same wanted thrice", &[3, 3, 3], 2);
    add("with the unknown wanted", &[4, 0x7fff, 0xffff], 1);
    add("with a thousand wanted", &[9; 1000], 1);
    let again = [
        option(6, &info(b"plain", &[])),
        option(6, &info(b"frozen", &[])),
    ]
    .concat();
    rows.push(row(
        "INFO of one, then another",
        simple,
        again,
        &[INFO, ACK, INFO, ACK],
    ));
    rows
}

/// Options that are only a word, and the order in which they may come.
fn words() -> Vec<Row> {
    use ReplyMode::{Extended, Simple, Structured};
    let pair = |one, other| [option(one, &[]), option(other, &[])].concat();
    vec![
        row("LIST with a payload", Simple, option(3, b"x"), &[INVALID]),
        row(
            "STARTTLS where there is none",
            Simple,
            option(5, &[]),
            &[UNSUP],
        ),
        row(
            "STARTTLS with a payload",
            Simple,
            option(5, b"x"),
            &[INVALID],
        ),
        row("chunks with a payload", Simple, option(8, b"x"), &[INVALID]),
        row("chunks twice", Structured, option(8, &[]), &[INVALID]),
        row(
            "chunks after extended headers",
            Extended,
            option(8, &[]),
            &[EXT_HEADER_REQD],
        ),
        row(
            "extended headers with a payload",
            Simple,
            option(11, b"x"),
            &[INVALID],
        ),
        row(
            "extended headers twice",
            Extended,
            option(11, &[]),
            &[INVALID],
        ),
        row(
            "contexts before chunks",
            Simple,
            option(10, &meta("disk", &["base:allocation"])),
            &[INVALID],
        ),
        row(
            "contexts listed before chunks",
            Simple,
            option(9, &meta("disk", &[])),
            &[INVALID],
        ),
        row("two at once", Simple, pair(99, 5), &[UNSUP, UNSUP]),
        ends("ABORT", option(2, &[]), &[ACK]),
        ends("ABORT with a payload", option(2, b"enough"), &[ACK]),
        ends("ABORT, and more", pair(2, 3), &[ACK]),
    ]
}

fn malformed_contexts() -> Vec<Row> {
    let mut rows = Vec::new();
    let base = "base:allocation";
    for (code, who) in [(9, "LIST_META_CONTEXT"), (10, "SET_META_CONTEXT")] {
        let mut add = |name: &str, payload: &[u8], replies: &[u32]| {
            let name = format!("{who} {name}");
            let says = option(code, payload);
            rows.push(row(&name, ReplyMode::Structured, says, replies));
        };
        add("of nothing", b"", &[INVALID]);
        add("of half a length", b"\0\0", &[INVALID]);
        add(
            "of a name longer than it",
            b"\0\0\0\xffdisk\0\0\0\0",
            &[INVALID],
        );
        add("without a count", &string(b"disk"), &[INVALID]);
        add("with half a count", b"\0\0\0\x04disk\0\0", &[INVALID]);
        add(
            "with a query missing",
            b"\0\0\0\x04disk\0\0\0\x01",
            &[INVALID],
        );
        add(
            "with queries without end",
            b"\0\0\0\x04disk\xff\xff\xff\xff",
            &[INVALID],
        );
        add(
            "with a query longer than it",
            b"\0\0\0\x04disk\0\0\0\x01\0\0\0\x09base:",
            &[INVALID],
        );
        add(
            "with a byte behind",
            &[meta("disk", &[base]), vec![0]].concat(),
            &[INVALID],
        );
        add(
            "with a query of 4097",
            &meta("disk", &[&"q".repeat(4097)]),
            &[INVALID],
        );
        add(
            "with a query of 4096",
            &meta("disk", &[&"q".repeat(4096)]),
            &[ACK],
        );
        add(
            "of a name of 4097",
            &meta(&"n".repeat(4097), &[base]),
            &[INVALID],
        );
        add("of a path", &meta("../disk", &[base]), &[UNKNOWN]);
        add("of a name with a zero", &meta("a\0b", &[base]), &[UNKNOWN]);
    }
    rows
}

fn contexts() -> Vec<Row> {
    let base = "base:allocation";
    let monday = "archipelago:changed-since:monday";
    let mut rows = Vec::new();
    let mut add = |code: u32, name: &str, queries: &[&str], replies: &[u32]| {
        let name = format!("contexts ({code}): {name}");
        let says = option(code, &meta("disk", queries));
        rows.push(row(&name, ReplyMode::Extended, says, replies));
    };
    add(9, "all", &[], &[CONTEXT, ACK]);
    add(10, "none", &[], &[ACK]);
    add(9, "a namespace", &["base:"], &[CONTEXT, ACK]);
    add(10, "a namespace", &["base:"], &[ACK]);
    for code in [9, 10] {
        add(code, "one", &[base], &[CONTEXT, ACK]);
        add(code, "one twice", &[base, base], &[CONTEXT, ACK]);
        add(code, "changes", &[monday], &[CONTEXT, ACK]);
        add(code, "both", &[monday, base], &[CONTEXT, CONTEXT, ACK]);
        add(
            code,
            "of somebody else",
            &["qemu:dirty-bitmap:b", "x-y:z"],
            &[ACK],
        );
        add(
            code,
            "without a namespace",
            &["allocation", "", ":"],
            &[ACK],
        );
        add(
            code,
            "nearly one",
            &["base:allocatio", "BASE:allocation"],
            &[ACK],
        );
        add(
            code,
            "changes since nothing",
            &["archipelago:changed-since:"],
            &[ACK],
        );
        add(
            code,
            "changes since an unknown day",
            &["archipelago:changed-since:x"],
            &[ACK],
        );
        add(
            code,
            "changes since a path",
            &["archipelago:changed-since:../x"],
            &[ACK],
        );
        add(code, "our namespace", &["archipelago:"], &[ACK]);
    }
    let elsewhere = option(10, &meta("nowhere", &[monday]));
    let name = "changes of an unknown export";
    rows.push(row(name, ReplyMode::Structured, elsewhere, &[UNKNOWN]));
    rows
}

/// What no client of ours would say.
fn foreign() -> Vec<Row> {
    let simple = ReplyMode::Simple;
    let mut rows = Vec::new();
    for code in [0, 4, 12, 99, 1 << 31, u32::MAX] {
        let name = format!("the unknown {code}");
        rows.push(row(&name, simple, option(code, &[]), &[UNSUP]));
    }
    let long = vec![0x49; 100_000];
    rows.push(row(
        "an unknown one of 100000",
        simple,
        option(99, &long),
        &[UNSUP],
    ));
    for (code, name) in [
        (3, "LIST"),
        (5, "STARTTLS"),
        (7, "GO"),
        (10, "SET_META_CONTEXT"),
    ] {
        let name = format!("{name} of 100000");
        let mode = ReplyMode::Structured;
        rows.push(row(&name, mode, option(code, &long), &[TOO_BIG]));
    }
    for code in [3, 7, 10, 99] {
        let name = format!("{code} of four billion");
        rows.push(ends(&name, announced(code, u32::MAX, b"x"), &[]));
    }
    rows.push(ends("without its magic", [0x49; 16].to_vec(), &[]));
    let reply = [&0x0003_e889_0455_65a9_u64.to_be_bytes(), [0; 8].as_slice()].concat();
    rows.push(ends("a server's answer", reply, &[]));
    let request = [&0x2560_9513_u32.to_be_bytes(), [0; 24].as_slice()].concat();
    rows.push(ends("a request before its time", request, &[]));
    rows
}
