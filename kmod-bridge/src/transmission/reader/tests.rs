//! Streams of requests, spelled out.

mod fuzz;

use archipelago_front::{DiskFacts, DiskName, Features};

use super::*;
use crate::handshake::{Agreed, ContextKind, MetaContext};
use crate::wire::{ReplyMode, command_flags};

const SIZE: u64 = 1 << 30;
const PAYLOAD_MAX: u32 = 4096;

fn reader(mode: ReplyMode) -> RequestReader {
    let agreed = Agreed {
        name: DiskName::default(),
        facts: DiskFacts {
            size_bytes: SIZE,
            features: Features::ALL,
            description: String::new(),
        },
        mode,
        contexts: vec![MetaContext {
            number: 1,
            kind: ContextKind::Allocation,
        }],
    };
    RequestReader::new(Admission::new(agreed, PAYLOAD_MAX))
}

fn header(command: CommandCode, flags: u16, offset: u64, length: u64) -> RequestHeader {
    RequestHeader {
        flags,
        command,
        cookie: 0x0102_0304_0506_0708,
        offset,
        length,
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

#[test]
fn requests_are_read_from_their_bytes() {
    let mut compact = hex("25609513 0001 0001 0102030405060708 0000000000001000 00000200");
    let (taken, step) = reader(ReplyMode::Simple).step(&compact);
    let expected = Step::Request(Request {
        cookie: 0x0102_0304_0506_0708,
        offset: 4096,
        command: Command::Write {
            length: 512,
            fua: true,
        },
    });
    assert_eq!((taken, step), (28, expected));
    compact.pop();
    assert_eq!(reader(ReplyMode::Simple).step(&compact), (0, Step::Receive));
    let extended = hex("21e41c71 0021 0001 0102030405060708 0000000000001000 0000000000000200");
    let (taken, step) = reader(ReplyMode::Extended).step(&extended);
    assert_eq!((taken, step), (32, expected));
}

#[test]
fn every_command_is_written_as_the_protocol_says() {
    let commands = [
        (CommandCode::READ, "0000"),
        (CommandCode::WRITE, "0001"),
        (CommandCode::DISC, "0002"),
        (CommandCode::FLUSH, "0003"),
        (CommandCode::TRIM, "0004"),
        (CommandCode::CACHE, "0005"),
        (CommandCode::WRITE_ZEROES, "0006"),
        (CommandCode::BLOCK_STATUS, "0007"),
    ];
    for (command, code) in commands {
        let written = header(command, 0, 1, 2).encode(ReplyMode::Structured);
        let expected = format!("25609513 0000 {code} 0102030405060708 0000000000000001 00000002");
        assert_eq!(written, hex(&expected));
        let read = RequestHeader::decode(ReplyMode::Structured, &written);
        assert_eq!(read, Ok(Some(header(command, 0, 1, 2))));
    }
}

#[test]
fn the_payload_of_a_refused_write_is_skipped_before_the_refusal_is_told() {
    // READER-1, F73
    let mut reader = reader(ReplyMode::Simple);
    let long = u64::from(PAYLOAD_MAX) + 1;
    let mut bytes = header(CommandCode::WRITE, 0, 0, long).encode(ReplyMode::Simple);
    let half = bytes.len() + 1000;
    bytes.extend(vec![0x25; long as usize]);
    bytes.extend(header(CommandCode::FLUSH, 0, 0, 0).encode(ReplyMode::Simple));
    assert_eq!(reader.step(&bytes[..half]), (half, Step::Receive));
    let (taken, step) = reader.step(&bytes[half..]);
    assert!(matches!(
        step,
        Step::Refuse {
            refusal: Refusal::Oversize,
            ..
        }
    ));
    let (_, step) = reader.step(&bytes[half + taken..]);
    assert!(matches!(
        step,
        Step::Request(Request {
            command: Command::Flush,
            ..
        })
    ));
}

#[test]
fn an_unknown_extended_command_with_a_payload_keeps_the_stream_in_step() {
    // READER-1, F74
    let mut reader = reader(ReplyMode::Extended);
    let flags = command_flags::PAYLOAD_LEN;
    let mut bytes = header(CommandCode(99), flags, 0, 5).encode(ReplyMode::Extended);
    bytes.extend(b"12345");
    bytes.extend(header(CommandCode(99), 0, 0, u64::MAX).encode(ReplyMode::Extended));
    let (taken, step) = reader.step(&bytes);
    assert_eq!(taken, 37);
    assert!(matches!(
        step,
        Step::Refuse {
            refusal: Refusal::UnknownCommand,
            ..
        }
    ));
    let (taken, step) = reader.step(&bytes[37..]);
    assert_eq!(taken, 32);
    assert!(matches!(
        step,
        Step::Refuse {
            refusal: Refusal::UnknownCommand,
            ..
        }
    ));
}

#[test]
fn a_status_with_a_payload_is_judged_when_all_of_it_is_there() {
    // READER-1, READER-2
    let mut reader = reader(ReplyMode::Extended);
    let flags = command_flags::PAYLOAD_LEN;
    let mut bytes = header(CommandCode::BLOCK_STATUS, flags, 0, 12).encode(ReplyMode::Extended);
    bytes.extend(512_u64.to_be_bytes());
    bytes.extend(1_u32.to_be_bytes());
    assert_eq!(reader.step(&bytes[..43]), (0, Step::Receive));
    let (taken, step) = reader.step(&bytes);
    assert_eq!(taken, 44);
    assert!(matches!(
        step,
        Step::Request(Request {
            command: Command::BlockStatus { length: 512, .. },
            ..
        })
    ));
    // One that says nothing is skipped.
    let mut bytes = header(CommandCode::BLOCK_STATUS, flags, 0, 5).encode(ReplyMode::Extended);
    bytes.extend([0; 5]);
    let (taken, step) = reader.step(&bytes);
    assert_eq!(taken, 37);
    assert!(matches!(step, Step::Refuse { .. }));
}

#[test]
fn nobody_waits_for_the_rest_of_what_is_no_request() {
    let (_, step) = reader(ReplyMode::Simple).step(b"GET ");
    assert!(matches!(step, Step::Close(TransmissionError::Magic(_))));
}

#[test]
fn a_payload_that_no_one_would_wait_for_ends_the_connection() {
    // READER-3, F71
    let mut reader = reader(ReplyMode::Extended);
    let bytes = header(CommandCode::WRITE, 0, 0, u64::MAX).encode(ReplyMode::Extended);
    let (_, step) = reader.step(&bytes);
    let len_bytes = u64::MAX;
    assert_eq!(step, Step::Close(TransmissionError::Oversize { len_bytes }));
    assert_eq!(reader.step(&bytes), (0, step));
}

#[test]
fn a_wrong_magic_ends_the_connection_for_good() {
    // READER-3
    let mut reader = reader(ReplyMode::Structured);
    let (taken, step) = reader.step(&[0xff; 64]);
    assert_eq!(taken, 0);
    assert!(matches!(step, Step::Close(TransmissionError::Magic(_))));
    let good = header(CommandCode::FLUSH, 0, 0, 0).encode(ReplyMode::Structured);
    assert_eq!(reader.step(&good), (0, step));
}

#[test]
fn while_draining_all_is_refused_but_the_clients_leave() {
    let mut reader = reader(ReplyMode::Simple);
    reader.drain();
    let read = header(CommandCode::READ, 0, 0, 512).encode(ReplyMode::Simple);
    let (_, step) = reader.step(&read);
    assert!(matches!(
        step,
        Step::Refuse {
            refusal: Refusal::Shutdown,
            ..
        }
    ));
    let leave = header(CommandCode::DISC, 0, 0, 0).encode(ReplyMode::Simple);
    assert_eq!(reader.step(&leave), (28, Step::Disconnect));
    assert_eq!(reader.step(&read), (0, Step::Disconnect));
}
