//! Extended headers: 64-bit lengths, announced payloads, and statuses of chosen contexts.

use archipelago_nbd::wire::{CommandCode as Code, ReplyMode, command_flags as flags};

use super::SIZE;
use super::row::{Ask, Demand, Row, Stage, code};

const MODE: ReplyMode = ReplyMode::Extended;
const PERM: u32 = 1;
const INVAL: u32 = 22;
const NOSPC: u32 = 28;

fn says(command: Code, flags: u16, (offset, length): (u64, u64), payload: &[u8]) -> Vec<u8> {
    let ask = Ask {
        flags,
        command,
        offset,
        length,
    };
    [&ask.bytes(MODE, 1)[..], payload].concat()
}

fn row(name: &str, export: &'static str, contexts: usize, says: Vec<u8>, demand: Demand) -> Row {
    Row {
        name: format!("extended, {export}, {contexts} contexts: {name}"),
        stage: Stage::Requests {
            mode: MODE,
            export,
            contexts,
        },
        says,
        demand,
    }
}

fn answered(error: u32) -> Demand {
    Demand::Answers(vec![code(error)])
}

pub fn rows() -> Vec<Row> {
    [lengths(), payloads(), filters(), no_filters()].concat()
}

/// More than 32 bits of length.
fn lengths() -> Vec<Row> {
    let mut rows = Vec::new();
    for (command, name, error) in [
        (Code::READ, "a read", INVAL),
        (Code::TRIM, "a trim", INVAL),
        (Code::CACHE, "a cache", INVAL),
        (Code::WRITE_ZEROES, "zeroes", NOSPC),
        (Code(8), "an unknown command", INVAL),
    ] {
        for length in [1 << 32, 1 << 40, 1 << 63, u64::MAX] {
            let name = format!("{name} of {length}");
            let says = says(command, 0, (0, length), &[]);
            rows.push(row(&name, "disk", 0, says, answered(error)));
        }
    }
    // Nobody waits for a payload of that length.
    for length in [1 << 32, 1 << 40, u64::MAX] {
        for (flag, how) in [(0, "silently"), (flags::PAYLOAD_LEN, "aloud")] {
            let name = format!("a write of {length}, {how}");
            let says = says(Code::WRITE, flag, (0, length), b"abc");
            rows.push(row(&name, "disk", 0, says, Demand::AnswersEnd(vec![])));
        }
        let name = format!("a flush with a payload of {length}");
        let says = says(Code::FLUSH, flags::PAYLOAD_LEN, (0, length), b"abc");
        rows.push(row(&name, "disk", 0, says, Demand::AnswersEnd(vec![])));
    }
    rows
}

/// Payloads where there should be none, and none where there should be one.
fn payloads() -> Vec<Row> {
    let aloud = flags::PAYLOAD_LEN;
    let mut rows = Vec::new();
    for (command, name) in [
        (Code::READ, "a read"),
        (Code::FLUSH, "a flush"),
        (Code::TRIM, "a trim"),
        (Code::CACHE, "a cache"),
        (Code::WRITE_ZEROES, "zeroes"),
        (Code::BLOCK_STATUS, "a status"),
        (Code(8), "a resize"),
        (Code(99), "an unknown command"),
    ] {
        for len in [0_u64, 1, 512, 70_000] {
            let name = format!("{name} with a payload of {len}");
            let says = says(command, aloud, (0, len), &vec![7; len as usize]);
            rows.push(row(&name, "disk", 0, says, answered(INVAL)));
        }
    }
    let write = |flag, len: u64| says(Code::WRITE, flag, (4096, len), &vec![1; len as usize]);
    rows.push(row(
        "a write that says so",
        "disk",
        0,
        write(aloud, 512),
        answered(0),
    ));
    rows.push(row(
        "a write that forgot to",
        "disk",
        0,
        write(0, 512),
        answered(0),
    ));
    rows.push(row(
        "a write of nothing",
        "disk",
        0,
        write(aloud, 0),
        answered(0),
    ));
    rows.push(row(
        "a write",
        "frozen",
        0,
        write(aloud, 70_000),
        answered(PERM),
    ));
    let odd = aloud | flags::REQ_ONE;
    rows.push(row(
        "a write of one extent",
        "disk",
        0,
        write(odd, 512),
        answered(INVAL),
    ));
    rows
}

fn filter(length: u64, numbers: &[u32]) -> Vec<u8> {
    let mut payload = length.to_be_bytes().to_vec();
    payload.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    payload
}

fn status(flag: u16, offset: u64, payload: &[u8]) -> Vec<u8> {
    let flags = flags::PAYLOAD_LEN | flag;
    let range = (offset, payload.len() as u64);
    says(Code::BLOCK_STATUS, flags, range, payload)
}

/// Block statuses that say which contexts they are about.
fn filters() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |name: &str, payload: &[u8], error| {
        rows.push(row(name, "disk", 2, status(0, 0, payload), answered(error)));
    };
    add("the first", &filter(SIZE, &[1]), 0);
    add("the second", &filter(SIZE, &[2]), 0);
    add("both", &filter(SIZE, &[1, 2]), 0);
    add("both, turned", &filter(512, &[2, 1]), 0);
    add("none", &filter(512, &[]), INVAL);
    add("one twice", &filter(512, &[1, 1]), INVAL);
    add("too many", &filter(512, &[1, 2, 1]), INVAL);
    add("a number that was not given", &filter(512, &[3]), INVAL);
    add("the number 0", &filter(512, &[0]), INVAL);
    add("the last number", &filter(512, &[u32::MAX]), INVAL);
    add("a thousand numbers", &filter(512, &[1; 1000]), INVAL);
    add("no range", &filter(0, &[1]), INVAL);
    add("a range beyond the end", &filter(SIZE + 1, &[1]), INVAL);
    add("a range without end", &filter(u64::MAX, &[1]), INVAL);
    for len in [1, 7, 9, 11, 13, 15] {
        let name = format!("a payload of {len}");
        add(&name, &vec![0; len], INVAL);
    }
    let one = status(flags::REQ_ONE, 0, &filter(SIZE, &[2]));
    rows.push(row("one extent", "disk", 2, one, answered(0)));
    let df = status(flags::DF, 0, &filter(512, &[2]));
    rows.push(row("in one chunk", "disk", 2, df, answered(INVAL)));
    let end = status(0, SIZE - 512, &filter(513, &[1]));
    rows.push(row("a range over the end", "disk", 2, end, answered(INVAL)));
    rows
}

/// The same where nothing was selected.
fn no_filters() -> Vec<Row> {
    let says = status(0, 0, &filter(512, &[1]));
    vec![row(
        "a status of the first",
        "disk",
        0,
        says,
        answered(INVAL),
    )]
}
