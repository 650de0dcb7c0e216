//! Going through a row as its client.

use std::net::Shutdown;

use archipelago_nbd::wire::{CommandCode, ReplyMode};

use super::row::{Answered, CONTEXTS, Demand, Row, Stage, meta};
use crate::support::{RawClient, Served, connect, greet};

/// Where all exports but the empty one have a pattern.
pub const PATTERN_AT: u64 = 32 << 20;

pub fn pattern(offset: u64, len: usize) -> Vec<u8> {
    (offset..offset + len as u64)
        .map(|at| (at ^ (at >> 11)) as u8)
        .collect()
}

fn arrive(served: &Served, stage: Stage) -> RawClient {
    match stage {
        Stage::Greeted => greet(served),
        Stage::Flags(flags) => {
            let mut client = greet(served);
            client.write(&flags.to_be_bytes());
            client
        }
        Stage::Options(mode) => {
            let mut client = connect(served);
            client.agree(mode);
            client
        }
        Stage::Requests {
            mode,
            export,
            contexts,
        } => {
            let mut client = connect(served);
            client.agree(mode);
            if contexts > 0 {
                client.option(10, &meta(export, &CONTEXTS[..contexts]));
                (0..contexts).for_each(|_| assert_eq!(client.option_reply(), 4));
                assert_eq!(client.option_reply(), 1);
            }
            client.option(7, &RawClient::go_payload(export));
            while client.option_reply() != 1 {}
            client
        }
    }
}

/// The next answer: its cookie, and what it came to. `reads` is what a simple one brings if it is no error.
fn answer(client: &mut RawClient, reads: impl Fn(u64) -> usize) -> (u64, Answered) {
    if client.mode == ReplyMode::Simple {
        let head = client.read(16);
        assert_eq!(head[..4], 0x6744_6698_u32.to_be_bytes());
        let error = u32::from_be_bytes(head[4..8].try_into().unwrap());
        let cookie = u64::from_be_bytes(head[8..].try_into().unwrap());
        let read = if error == 0 { reads(cookie) } else { 0 };
        client.read(read);
        return (cookie, Answered { error, read });
    }
    let mut answered = Answered { error: 0, read: 0 };
    loop {
        let chunk = client.chunk();
        match chunk.kind {
            0 => assert!(chunk.is_last && chunk.payload.is_empty()),
            1 => answered.read += chunk.payload.len() - 8,
            2 => {
                let len = u32::from_be_bytes(chunk.payload[8..].try_into().unwrap());
                answered.read += len as usize;
            }
            5 | 6 => assert!(chunk.payload.len() >= 12),
            0x8001 => answered.error = u32::from_be_bytes(chunk.payload[..4].try_into().unwrap()),
            other => panic!("a chunk of the kind {other}"),
        }
        if answered.error != 0 {
            answered.read = 0;
        }
        if chunk.is_last {
            return (chunk.cookie, answered);
        }
    }
}

fn answers(client: &mut RawClient, demanded: &[Answered]) {
    let mut came = vec![None; demanded.len()];
    for _ in demanded {
        let reads = |cookie: u64| demanded[cookie as usize - 1].read;
        let (cookie, answered) = answer(client, reads);
        let former = came[cookie as usize - 1].replace(answered);
        assert_eq!(former, None, "two answers to one request");
    }
    let came: Vec<Answered> = came.into_iter().flatten().collect();
    assert_eq!(came, demanded);
}

/// The connection is in step: an ordinary read is served.
fn is_served(client: &mut RawClient) {
    client.request(CommandCode::READ, 99, PATTERN_AT, 512);
    if client.mode == ReplyMode::Simple {
        let reply = client.reply(512);
        assert_eq!((reply.cookie, reply.error), (99, 0));
        assert_eq!(reply.data, pattern(PATTERN_AT, 512));
    } else {
        let chunk = client.chunk();
        assert_eq!((chunk.cookie, chunk.kind, chunk.is_last), (99, 1, true));
        assert_eq!(chunk.payload[8..], pattern(PATTERN_AT, 512));
    }
}

/// Panics if the server does not do as is demanded.
pub fn run(served: &Served, row: &Row) {
    let mut client = arrive(served, row.stage);
    client.write(&row.says);
    let ends = match &row.demand {
        Demand::Replies(codes) | Demand::Ends(codes) => {
            for code in codes {
                assert_eq!(client.option_reply(), *code);
            }
            matches!(row.demand, Demand::Ends(_))
        }
        Demand::Old(zeroes) => {
            let answer = client.read(10 + zeroes);
            assert!(answer[10..].iter().all(|byte| *byte == 0));
            return is_served(&mut client);
        }
        Demand::Cut => {
            client.stream.shutdown(Shutdown::Write).unwrap();
            true
        }
        Demand::Answers(demanded) | Demand::AnswersEnd(demanded) => {
            answers(&mut client, demanded);
            matches!(row.demand, Demand::AnswersEnd(_))
        }
    };
    if ends {
        return assert!(client.is_closed());
    }
    match row.stage {
        Stage::Requests {
            export: "empty", ..
        } => {}
        Stage::Requests { .. } => is_served(&mut client),
        _ => {
            client.option(7, &RawClient::go_payload("disk"));
            while client.option_reply() != 1 {}
            is_served(&mut client);
        }
    }
}
