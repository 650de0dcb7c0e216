//! Streams of requests of odd clients.
//!
//! Checked of each: what is admitted lies within the export, changes nothing of a read-only one, and is no longer than was
//! agreed on (ADMISSION-1, ADMISSION-2, ADMISSION-3); the reader stays in step whatever it refuses (READER-1), takes
//! the same out of the stream in whatever pieces it comes (READER-2), and looks at nothing behind the end (READER-3).

use archipelago_front::{DiskFacts, DiskName, Features};
use archipelago_nbd::wire::{CommandCode, ReplyMode, RequestHeader, command_flags};
use archipelago_nbd::{
    Admission, Agreed, Command, ContextKind, MetaContext, Request, RequestReader, Step,
};

use super::choices::Choices;
use super::pieces;

const SIZE: u64 = 1 << 30;
const PAYLOAD_MAX: u32 = 64 << 10;

/// Goes through one case, and says how many requests were admitted.
pub fn transmission(case: &[u8]) -> usize {
    let mut choices = Choices::of(case);
    let agreed = agreed(&mut choices);
    let says = client(&mut choices, agreed.mode);
    let whole = steps(&agreed, &says, &[says.len()]);
    let ends = pieces::ends(&mut choices, says.len());
    assert_eq!(whole, steps(&agreed, &says, &ends), "READER-2");
    let is_admitted = |step: &&Step| matches!(step, Step::Request(_));
    whole.iter().filter(is_admitted).count()
}

fn agreed(choices: &mut Choices<'_>) -> Agreed {
    let mode = choices.pick(&[
        ReplyMode::Simple,
        ReplyMode::Structured,
        ReplyMode::Extended,
    ]);
    let mut contexts = Vec::new();
    if mode != ReplyMode::Simple {
        for number in 1..=choices.below(4) as u32 {
            contexts.push(MetaContext {
                number,
                kind: ContextKind::Allocation,
            });
        }
    }
    let features = match choices.below(4) {
        0 => Features::default(),
        _ => Features {
            read_only: choices.chance(80),
            fast_zero: !choices.chance(60),
            ..Features::ALL
        },
    };
    Agreed {
        name: DiskName::default(),
        facts: DiskFacts {
            size_bytes: SIZE,
            features,
            description: String::new(),
        },
        mode,
        contexts,
    }
}

fn client(choices: &mut Choices<'_>, mode: ReplyMode) -> Vec<u8> {
    let mut says = Vec::new();
    while !choices.is_over() && says.len() < 1 << 17 {
        if choices.chance(3) {
            let count = choices.below(40);
            says.extend(choices.bytes(count));
            continue;
        }
        let command = match choices.chance(10) {
            true => CommandCode(choices.word() as u16),
            false => CommandCode(choices.below(9) as u16),
        };
        let flags = match choices.byte() {
            0..=99 => 0,
            100..=199 => 1 << choices.below(6),
            _ => choices.word() as u16,
        };
        let (offset, length) = range(choices);
        let length = match mode {
            ReplyMode::Extended => length,
            _ => u64::from(length as u32),
        };
        let header = RequestHeader {
            flags,
            command,
            cookie: choices.word(),
            offset,
            length,
        };
        says.extend(header.encode(mode));
        let announces = mode == ReplyMode::Extended && flags & command_flags::PAYLOAD_LEN != 0;
        if command == CommandCode::WRITE || announces {
            let len = length.min(70_000) as usize;
            match command {
                CommandCode::BLOCK_STATUS => says.extend(filter(choices, len)),
                _ => says.extend(vec![0x5a; len]),
            }
        }
    }
    says
}

/// Mostly one that could be.
fn range(choices: &mut Choices<'_>) -> (u64, u64) {
    let offset = match choices.byte() {
        0..=179 => 4096 * choices.below(64) as u64,
        180..=219 => SIZE - 512 * choices.below(3) as u64,
        _ => choices.number(),
    };
    let length = match choices.byte() {
        0..=149 => 512 * choices.below(9) as u64,
        150..=199 => choices.number().min(70_000),
        _ => choices.number(),
    };
    (offset, length)
}

/// The payload of a block status: a length, and numbers.
fn filter(choices: &mut Choices<'_>, len: usize) -> Vec<u8> {
    let mut payload = choices.number().to_be_bytes().to_vec();
    while payload.len() < len.min(64) {
        payload.extend((choices.below(5) as u32).to_be_bytes());
    }
    payload.resize(len, 0);
    payload
}

/// What the reader makes of a stream. Payloads of writes are taken out of it, as a server does.
fn steps(agreed: &Agreed, says: &[u8], ends: &[usize]) -> Vec<Step> {
    let admission = Admission::new(agreed.clone(), PAYLOAD_MAX);
    let mut reader = RequestReader::new(admission);
    let mut steps = Vec::new();
    let (mut at, mut payload) = (0, 0);
    for end in ends {
        loop {
            let taken = payload.min(end - at);
            at += taken;
            payload -= taken;
            if payload > 0 {
                break;
            }
            let (taken, step) = reader.step(&says[at..*end]);
            assert!(taken <= end - at, "READER-2");
            at += taken;
            match step {
                Step::Receive => {
                    let kept = end - at;
                    assert!(
                        kept < RequestReader::bytes_min(),
                        "{kept} bytes are not enough"
                    );
                    break;
                }
                Step::Request(request) => payload = check(agreed, &request),
                Step::Refuse { .. } => {}
                Step::Disconnect | Step::Close(_) => {
                    assert_eq!(reader.step(&says[at..]), (0, step), "READER-3");
                    steps.push(step);
                    return steps;
                }
            }
            steps.push(step);
        }
    }
    steps
}

/// The payload that follows a request that was admitted.
fn check(agreed: &Agreed, request: &Request) -> usize {
    let features = agreed.facts.features;
    let (length, changes, payload) = match request.command {
        Command::Read { length, .. } => {
            assert!(length <= PAYLOAD_MAX, "ADMISSION-3");
            (length.into(), false, 0)
        }
        Command::Write { length, .. } => {
            assert!(length <= PAYLOAD_MAX, "ADMISSION-3");
            (length.into(), true, length as usize)
        }
        Command::Flush => (0, false, 0),
        Command::Trim { length, .. } | Command::WriteZeroes { length, .. } => (length, true, 0),
        Command::Cache { length } => (length, false, 0),
        Command::BlockStatus {
            length, contexts, ..
        } => {
            assert!(!contexts.is_empty() && length > 0);
            assert!(contexts.places().all(|place| place < agreed.contexts.len()));
            (length, false, 0)
        }
    };
    let end = request.offset.checked_add(length);
    assert!(
        end.is_some_and(|end| end <= SIZE),
        "ADMISSION-1: {request:?}"
    );
    assert!(!(changes && features.read_only), "ADMISSION-2: {request:?}");
    payload
}
