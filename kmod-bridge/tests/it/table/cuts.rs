//! Clients that stop in the middle of a message: half of it comes, and then the end of the stream.

use archipelago_nbd::wire::{CommandCode as Code, ReplyMode, command_flags as flags};

use super::requests::MODES;
use super::row::{Ask, Demand, Row, Stage, info, meta, option};

fn cut<'a>(name: &'a str, whole: &'a [u8], every: usize) -> Cut<'a> {
    Cut { name, whole, every }
}

/// What is cut, and where.
struct Cut<'a> {
    name: &'a str,
    whole: &'a [u8],
    every: usize,
}

fn rows_of(stage: Stage, cut: &Cut<'_>) -> Vec<Row> {
    (1..cut.whole.len())
        .step_by(cut.every)
        .map(|at| Row {
            name: format!("{:?}: {} cut at {at}", stage, cut.name),
            stage,
            says: cut.whole[..at].to_vec(),
            demand: Demand::Cut,
        })
        .collect()
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let whole = 3_u32.to_be_bytes();
    rows.extend(rows_of(Stage::Greeted, &cut("flags", &whole, 1)));
    let options = Stage::Options(ReplyMode::Structured);
    let go = option(7, &info(b"disk", &[1, 2, 3]));
    rows.extend(rows_of(options, &cut("GO", &go, 3)));
    let contexts = option(10, &meta("disk", &["base:allocation"]));
    rows.extend(rows_of(options, &cut("contexts", &contexts, 5)));
    let long = option(99, &[0; 5000]);
    rows.extend(rows_of(options, &cut("a long option", &long, 1000)));
    for mode in MODES {
        let stage = Stage::Requests {
            mode,
            export: "disk",
            contexts: usize::from(mode != ReplyMode::Simple),
        };
        let ask = |command, flags, length| Ask {
            flags,
            command,
            offset: 0,
            length,
        };
        let read = ask(Code::READ, 0, 512).bytes(mode, 1);
        rows.extend(rows_of(stage, &cut("a read", &read, 4)));
        let payload = [1; 20_000];
        let write = [&ask(Code::WRITE, 0, 20_000).bytes(mode, 1)[..], &payload].concat();
        rows.extend(rows_of(stage, &cut("a write", &write, 3999)));
        let refused = ask(Code::WRITE, flags::REQ_ONE, 20_000).bytes(mode, 1);
        let refused = [&refused[..], &payload].concat();
        rows.extend(rows_of(stage, &cut("a refused write", &refused, 3999)));
        if mode == ReplyMode::Extended {
            let status = ask(Code::BLOCK_STATUS, flags::PAYLOAD_LEN, 12).bytes(mode, 1);
            let status = [&status[..], &512_u64.to_be_bytes(), &1_u32.to_be_bytes()].concat();
            rows.extend(rows_of(stage, &cut("a status", &status, 3)));
        }
    }
    rows
}
