//! Requests in every dialect: ranges, flags, commands, what was not offered, leave.

use archipelago_nbd::wire::{CommandCode as Code, ReplyMode, command_flags as flags};

use super::SIZE;
use super::row::{Answered, Ask, Demand, Row, Stage, code};

pub const MODES: [ReplyMode; 3] = [
    ReplyMode::Simple,
    ReplyMode::Structured,
    ReplyMode::Extended,
];

const PERM: u32 = 1;
const INVAL: u32 = 22;
const NOSPC: u32 = 28;
const OVERFLOW: u32 = 75;
const NOTSUP: u32 = 95;

/// What is too long for one request.
const LONG: u64 = (32 << 20) + 1;

/// One request, and its answer.
struct One {
    name: String,
    ask: Ask,
    answered: Answered,
}

fn one(name: &str, command: Code, (offset, length): (u64, u64), flags: u16, error: u32) -> One {
    let reads = command == Code::READ && error == 0;
    One {
        name: name.to_owned(),
        ask: Ask {
            flags,
            command,
            offset,
            length,
        },
        answered: Answered {
            error,
            read: if reads { length as usize } else { 0 },
        },
    }
}

fn row(mode: ReplyMode, export: &'static str, contexts: usize, one: &One) -> Row {
    let mut ask = one.ask;
    let mut payload = Vec::new();
    if ask.command == Code::WRITE {
        payload = vec![1; ask.length as usize];
        if mode == ReplyMode::Extended {
            ask.flags |= flags::PAYLOAD_LEN;
        }
    }
    Row {
        name: format!(
            "{mode:?} request of {export}, {contexts} contexts: {}",
            one.name
        ),
        stage: Stage::Requests {
            mode,
            export,
            contexts,
        },
        says: [ask.bytes(mode, 1), payload].concat(),
        demand: Demand::Answers(vec![one.answered]),
    }
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for mode in MODES {
        let ones = [ranges(), flagged(mode), others()].concat_all();
        rows.extend(ones.iter().map(|one| row(mode, "disk", 0, one)));
        rows.extend(frozen().iter().map(|one| row(mode, "frozen", 0, one)));
        rows.extend(plain().iter().map(|one| row(mode, "plain", 0, one)));
        rows.extend(empty().iter().map(|one| row(mode, "empty", 0, one)));
        if mode != ReplyMode::Simple {
            for contexts in [1, 2] {
                rows.extend(
                    statuses()
                        .iter()
                        .map(|one| row(mode, "disk", contexts, one)),
                );
            }
        }
        rows.extend(leaves(mode));
    }
    rows
}

trait ConcatAll {
    fn concat_all(self) -> Vec<One>;
}

impl<const N: usize> ConcatAll for [Vec<One>; N] {
    fn concat_all(self) -> Vec<One> {
        self.into_iter().flatten().collect()
    }
}

/// Offsets and lengths, for each command that has them.
fn ranges() -> Vec<One> {
    let mut ones = Vec::new();
    for (command, name, beyond) in [
        (Code::READ, "a read", INVAL),
        (Code::WRITE, "a write", NOSPC),
        (Code::TRIM, "a trim", INVAL),
        (Code::CACHE, "a cache", INVAL),
        (Code::WRITE_ZEROES, "zeroes", NOSPC),
    ] {
        let mut add = |what: &str, range, error| {
            ones.push(one(&format!("{name} {what}"), command, range, 0, error));
        };
        add("of a sector", (4096, 512), 0);
        add("of odd bytes", (1, 4097), 0);
        add("of nothing", (0, 0), 0);
        add("of nothing at the end", (SIZE, 0), 0);
        add("of the last byte", (SIZE - 1, 1), 0);
        add("of one byte more", (SIZE - 511, 512), beyond);
        add("behind the end", (SIZE, 1), beyond);
        add("of nothing behind the end", (SIZE + 1, 0), beyond);
        add("of the last number", (u64::MAX, 1), beyond);
        add("that wraps to nothing", (u64::MAX - 511, 512), beyond);
        add("that wraps into the disk", (u64::MAX - 511, 1024), beyond);
        add("of negative place", (1 << 63, 512), beyond);
    }
    ones
}

/// Each flag with each command.
fn flagged(mode: ReplyMode) -> Vec<One> {
    let has_chunks = mode != ReplyMode::Simple;
    let mut ones = Vec::new();
    for (command, name) in [
        (Code::READ, "a read"),
        (Code::WRITE, "a write"),
        (Code::FLUSH, "a flush"),
        (Code::TRIM, "a trim"),
        (Code::CACHE, "a cache"),
        (Code::WRITE_ZEROES, "zeroes"),
    ] {
        let length = if command == Code::FLUSH { 0 } else { 512 };
        for bit in (0..5).chain(6..16) {
            let flag = 1 << bit;
            let is_good = match flag {
                flags::FUA => true, // goes with everything where it is offered
                flags::DF => command == Code::READ && has_chunks,
                flags::NO_HOLE | flags::FAST_ZERO => command == Code::WRITE_ZEROES,
                _ => false,
            };
            let error = if is_good { 0 } else { INVAL };
            let name = format!("{name} with the flag {bit}");
            ones.push(one(&name, command, (0, length), flag, error));
        }
    }
    let both = flags::FAST_ZERO | flags::NO_HOLE;
    let zeroes = Code::WRITE_ZEROES;
    ones.push(one(
        "zeroes that keep their place, fast",
        zeroes,
        (0, 4096),
        both,
        NOTSUP,
    ));
    let df = if has_chunks { OVERFLOW } else { INVAL };
    ones.push(one(
        "a long read in one chunk",
        Code::READ,
        (0, LONG),
        flags::DF,
        df,
    ));
    let df = if has_chunks { 0 } else { INVAL };
    ones.push(one(
        "64 KiB in one chunk",
        Code::READ,
        (0, 65536),
        flags::DF,
        df,
    ));
    ones
}

fn others() -> Vec<One> {
    let mut ones = vec![
        one("a read that is too long", Code::READ, (0, LONG), 0, INVAL),
        one("a write that is too long", Code::WRITE, (0, LONG), 0, INVAL),
        one("a long read", Code::READ, (0, 32 << 20), 0, 0),
        one("a flush", Code::FLUSH, (0, 0), 0, 0),
        one("a flush of a length", Code::FLUSH, (0, 1), 0, INVAL),
        one("a flush at an offset", Code::FLUSH, (1, 0), 0, INVAL),
        one(
            "a status without contexts",
            Code::BLOCK_STATUS,
            (0, 512),
            0,
            INVAL,
        ),
    ];
    for command in [8, 9, 99, 0xffff] {
        let name = format!("the command {command}");
        ones.push(one(&name, Code(command), (0, 512), 0, INVAL));
        let name = format!("the command {command} with all flags but one");
        let all = !flags::PAYLOAD_LEN;
        ones.push(one(&name, Code(command), (0, 512), all, INVAL));
    }
    ones
}

/// "If READ_ONLY is set, the server MUST error subsequent write operations."
fn frozen() -> Vec<One> {
    let mut ones = vec![
        one("a read", Code::READ, (0, 512), 0, 0),
        one("a flush", Code::FLUSH, (0, 0), 0, 0),
    ];
    for (command, name) in [
        (Code::WRITE, "a write"),
        (Code::TRIM, "a trim"),
        (Code::WRITE_ZEROES, "zeroes"),
    ] {
        ones.push(one(name, command, (0, 512), 0, PERM));
        ones.push(one(
            &format!("{name}, durable"),
            command,
            (0, 512),
            flags::FUA,
            PERM,
        ));
        ones.push(one(&format!("{name} of nothing"), command, (0, 0), 0, PERM));
        ones.push(one(
            &format!("{name} behind the end"),
            command,
            (SIZE, 512),
            0,
            PERM,
        ));
    }
    ones
}

/// What was not offered must not be used.
fn plain() -> Vec<One> {
    vec![
        one("a read", Code::READ, (0, 512), 0, 0),
        one("a write", Code::WRITE, (0, 512), 0, 0),
        one("a durable write", Code::WRITE, (0, 512), flags::FUA, INVAL),
        one("a flush", Code::FLUSH, (0, 0), 0, INVAL),
        one("a trim", Code::TRIM, (0, 512), 0, INVAL),
        one("a cache", Code::CACHE, (0, 512), 0, INVAL),
        one("zeroes", Code::WRITE_ZEROES, (0, 512), 0, INVAL),
        one(
            "fast zeroes",
            Code::WRITE_ZEROES,
            (0, 512),
            flags::FAST_ZERO,
            INVAL,
        ),
    ]
}

fn empty() -> Vec<One> {
    vec![
        one("a read of nothing", Code::READ, (0, 0), 0, 0),
        one("a read", Code::READ, (0, 1), 0, INVAL),
        one("a write of nothing", Code::WRITE, (0, 0), 0, 0),
        one("a write", Code::WRITE, (0, 1), 0, NOSPC),
        one("a flush", Code::FLUSH, (0, 0), 0, 0),
    ]
}

fn statuses() -> Vec<One> {
    let status = Code::BLOCK_STATUS;
    vec![
        one("a status", status, (0, 1 << 20), 0, 0),
        one("a status of all", status, (0, SIZE), 0, 0),
        one("a status of a byte", status, (777, 1), 0, 0),
        one("one extent of all", status, (0, SIZE), flags::REQ_ONE, 0),
        one("a durable status", status, (0, 512), flags::FUA, 0),
        one("a status of nothing", status, (0, 0), 0, INVAL),
        one("a status behind the end", status, (SIZE, 512), 0, INVAL),
        one("a status of a byte more", status, (1, SIZE), 0, INVAL),
        one(
            "a status that wraps",
            status,
            (u64::MAX - 511, 512),
            0,
            INVAL,
        ),
        one("a status in one chunk", status, (0, 512), flags::DF, INVAL),
        one(
            "a status without holes",
            status,
            (0, 512),
            flags::NO_HOLE,
            INVAL,
        ),
    ]
}

/// Leave, and what is no request.
fn leaves(mode: ReplyMode) -> Vec<Row> {
    let stage = Stage::Requests {
        mode,
        export: "disk",
        contexts: 0,
    };
    let row = |name: &str, says: Vec<u8>, answered: Vec<Answered>| Row {
        name: format!("{mode:?} leave: {name}"),
        stage,
        says,
        demand: Demand::AnswersEnd(answered),
    };
    let ask = |command, offset, length| Ask {
        flags: 0,
        command,
        offset,
        length,
    };
    let say = |cookie, command, offset, length| ask(command, offset, length).bytes(mode, cookie);
    let leave = || say(7, Code::DISC, 0, 0);
    let read = |cookie| say(cookie, Code::READ, 0, 512);
    let data = Answered {
        error: 0,
        read: 512,
    };
    let other_mode = match mode {
        ReplyMode::Extended => ReplyMode::Simple,
        _ => ReplyMode::Extended,
    };
    vec![
        row("at once", leave(), vec![]),
        row("of a range", say(7, Code::DISC, 512, 512), vec![]),
        row(
            "after two requests",
            [read(1), read(2), leave()].concat(),
            vec![data, data],
        ),
        row(
            "before a request",
            [read(1), leave(), read(2)].concat(),
            vec![data],
        ),
        row("before noise", [leave(), vec![0xa5; 300]].concat(), vec![]),
        row(
            "after a refusal",
            [say(1, Code(99), 0, 0), leave()].concat(),
            vec![code(INVAL)],
        ),
        row("noise", vec![0xa5; 64], vec![]),
        row("zeroes", vec![0; 64], vec![]),
        row("four bytes of noise", b"GET ".to_vec(), vec![]),
        row(
            "an option after its time",
            b"IHAVEOPT\0\0\0\x03\0\0\0\0".to_vec(),
            vec![],
        ),
        row(
            "a request of another dialect",
            ask(Code::READ, 0, 512).bytes(other_mode, 1),
            vec![],
        ),
        row(
            "an answer",
            [&0x6744_6698_u32.to_be_bytes(), [0; 28].as_slice()].concat(),
            vec![],
        ),
    ]
}
