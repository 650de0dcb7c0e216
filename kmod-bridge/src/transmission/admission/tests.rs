//! Requests, good and bad, by their headers.

use super::*;
use crate::handshake::{ContextKind, MetaContext};
use archipelago_front::{DiskFacts, DiskName, Features};
use proptest::prelude::*;

const SIZE: u64 = 1 << 20;

/// Two, with the numbers 1 and 2.
fn contexts() -> Vec<MetaContext> {
    let changed = ContextKind::ChangedSince("monday".parse().unwrap());
    let kinds = [ContextKind::Allocation, changed];
    let numbered = (1..).zip(kinds);
    numbered
        .map(|(number, kind)| MetaContext { number, kind })
        .collect()
}

fn admission(mode: ReplyMode, features: Features) -> Admission {
    let agreed = Agreed {
        name: DiskName::default(),
        facts: DiskFacts {
            size_bytes: SIZE,
            features,
            description: String::new(),
        },
        mode,
        contexts: contexts(),
    };
    Admission::new(agreed, 64 << 10)
}

fn header(command: CommandCode, offset: u64, length: u64, flags: u16) -> RequestHeader {
    RequestHeader {
        flags,
        command,
        cookie: 7,
        offset,
        length,
    }
}

/// ADMISSION-1
#[test]
fn an_export_that_was_resized_is_as_large_as_it_is_now() {
    let size_bytes = Rc::new(Cell::new(SIZE));
    let admission = admission(ReplyMode::Simple, Features::ALL).with_size(size_bytes.clone());
    let is_admitted = || {
        admission
            .judge(&header(CommandCode::READ, SIZE, 4096, 0))
            .is_ok()
    };
    assert!(!is_admitted());
    size_bytes.set(SIZE + 4096);
    assert!(is_admitted());
    size_bytes.set(SIZE + 4095);
    assert!(!is_admitted());
}

fn refused(command: CommandCode, offset: u64, length: u64, flags: u16) -> NbdError {
    admission(ReplyMode::Structured, Features::ALL)
        .judge(&header(command, offset, length, flags))
        .unwrap_err()
        .error()
}

#[test]
fn a_range_beyond_the_end_is_no_space_to_writes_and_invalid_to_the_rest() {
    // ADMISSION-1, F72
    for (offset, length) in [(SIZE, 1), (SIZE - 1, 2), (u64::MAX, 2), (u64::MAX - 1, 2)] {
        for command in [CommandCode::WRITE, CommandCode::WRITE_ZEROES] {
            assert_eq!(refused(command, offset, length, 0), NbdError::NoSpace);
        }
        for command in [
            CommandCode::READ,
            CommandCode::TRIM,
            CommandCode::CACHE,
            CommandCode::BLOCK_STATUS,
        ] {
            assert_eq!(refused(command, offset, length, 0), NbdError::Invalid);
        }
    }
}

#[test]
fn nothing_that_writes_is_admitted_on_a_read_only_export_whatever_its_flags() {
    // ADMISSION-2, F82
    let features = Features {
        read_only: true,
        ..Features::ALL
    };
    for command in [
        CommandCode::WRITE,
        CommandCode::TRIM,
        CommandCode::WRITE_ZEROES,
    ] {
        for flags in [0, command_flags::FUA, !command_flags::PAYLOAD_LEN] {
            let admission = admission(ReplyMode::Extended, features);
            let refusal = admission.judge(&header(command, SIZE, 1, flags));
            assert_eq!(refusal, Err(Refusal::ReadOnly));
        }
    }
}

#[test]
fn oversize_reads_and_writes_are_refused() {
    // ADMISSION-3, F73
    let long = (64 << 10) + 1;
    assert_eq!(refused(CommandCode::READ, 0, long, 0), NbdError::Invalid);
    let whole = command_flags::DF;
    assert_eq!(
        refused(CommandCode::READ, 0, long, whole),
        NbdError::Overflow
    );
    assert_eq!(refused(CommandCode::WRITE, 0, long, 0), NbdError::Invalid);
}

#[test]
fn unknown_commands_and_flags_are_invalid() {
    // ADMISSION-3, F74
    assert_eq!(refused(CommandCode(8), 0, 0, 0), NbdError::Invalid);
    assert_eq!(refused(CommandCode(0xffff), 0, 0, 0), NbdError::Invalid);
    for flag in 5..16 {
        assert_eq!(
            refused(CommandCode::READ, 0, 512, 1 << flag),
            NbdError::Invalid
        );
    }
    let whole = command_flags::DF;
    assert_eq!(
        refused(CommandCode::WRITE, 0, 512, whole),
        NbdError::Invalid
    );
}

#[test]
fn what_was_not_offered_is_refused() {
    // ADMISSION-3
    let admission = admission(ReplyMode::Simple, Features::default());
    for command in [
        CommandCode::FLUSH,
        CommandCode::TRIM,
        CommandCode::CACHE,
        CommandCode::WRITE_ZEROES,
    ] {
        let refusal = admission.judge(&header(command, 0, 0, 0));
        assert_eq!(refusal, Err(Refusal::NotOffered));
    }
    for flag in [command_flags::FUA, command_flags::DF] {
        let refusal = admission.judge(&header(CommandCode::READ, 0, 512, flag));
        assert_eq!(refusal, Err(Refusal::Flags));
    }
}

#[test]
fn every_command_is_understood_with_its_flags() {
    use command_flags::{DF, FAST_ZERO, FUA, NO_HOLE, PAYLOAD_LEN, REQ_ONE};
    let admission = admission(ReplyMode::Extended, Features::ALL);
    let judge = |command, length, flags| admission.judge(&header(command, 0, length, flags));
    let length = 512;
    assert_eq!(
        judge(CommandCode::READ, 512, DF | FUA),
        Ok(Command::Read {
            length,
            whole: true
        })
    );
    assert_eq!(
        judge(CommandCode::WRITE, 512, FUA | PAYLOAD_LEN),
        Ok(Command::Write { length, fua: true })
    );
    assert_eq!(judge(CommandCode::FLUSH, 0, FUA), Ok(Command::Flush));
    let length = SIZE;
    let fua = false;
    assert_eq!(
        judge(CommandCode::TRIM, SIZE, 0),
        Ok(Command::Trim { length, fua })
    );
    assert_eq!(
        judge(CommandCode::CACHE, SIZE, 0),
        Ok(Command::Cache { length })
    );
    assert_eq!(
        judge(CommandCode::WRITE_ZEROES, SIZE, NO_HOLE | FAST_ZERO),
        Ok(Command::WriteZeroes {
            length,
            fua,
            no_hole: true,
            fast: true
        })
    );
    assert_eq!(
        judge(CommandCode::BLOCK_STATUS, SIZE, REQ_ONE),
        Ok(Command::BlockStatus {
            length,
            one: true,
            contexts: ContextSet::all(2),
        })
    );
}

#[test]
fn a_status_needs_a_context_and_a_range() {
    let mut admission = admission(ReplyMode::Structured, Features::ALL);
    let whole = header(CommandCode::BLOCK_STATUS, 0, SIZE, 0);
    let empty = header(CommandCode::BLOCK_STATUS, 0, 0, 0);
    assert_eq!(admission.judge(&empty), Err(Refusal::Empty));
    assert!(admission.judge(&whole).is_ok());
    admission.agreed.contexts.clear();
    assert_eq!(admission.judge(&whole), Err(Refusal::NoContext));
}

/// A block status of `length` bytes of payload, and what it comes to.
fn filtered(mode: ReplyMode, length: u64, payload: &[u8]) -> Result<Command, Refusal> {
    let admission = admission(mode, Features::ALL);
    let flags = command_flags::PAYLOAD_LEN | command_flags::REQ_ONE;
    let header = header(CommandCode::BLOCK_STATUS, 512, length, flags);
    match admission.status_payload_len(&header) {
        Some(len) => admission.judge_status(&header, &payload[..len]),
        None => admission.judge(&header),
    }
}

#[test]
fn a_status_may_be_about_some_of_the_contexts() {
    // ADMISSION-1, ADMISSION-3
    let payload = |length: u64, numbers: &[u32]| {
        let mut payload = length.to_be_bytes().to_vec();
        payload.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        payload
    };
    let judged = |mode, length, numbers: &[u32]| {
        let payload = payload(length, numbers);
        filtered(mode, payload.len() as u64, &payload)
    };
    let extended = ReplyMode::Extended;
    let mut second = ContextSet::default();
    second.insert(1);
    for (numbers, contexts) in [(&[2][..], second), (&[2, 1], ContextSet::all(2))] {
        let command = Command::BlockStatus {
            length: 1024,
            one: true,
            contexts,
        };
        assert_eq!(judged(extended, 1024, numbers), Ok(command));
    }
    for numbers in [&[3][..], &[1, 1], &[0]] {
        assert_eq!(judged(extended, 1024, numbers), Err(Refusal::StatusContext));
    }
    for numbers in [&[][..], &[1, 2, 1]] {
        assert_eq!(judged(extended, 1024, numbers), Err(Refusal::StatusPayload));
    }
    assert_eq!(judged(extended, SIZE, &[1]), Err(Refusal::Outside));
    assert_eq!(judged(extended, u64::MAX, &[1]), Err(Refusal::Outside));
    assert_eq!(judged(extended, 0, &[1]), Err(Refusal::Empty));
    for length in [1, 7, 8, 11, 13, u64::MAX] {
        assert_eq!(filtered(extended, length, &[]), Err(Refusal::StatusPayload));
    }
    let structured = ReplyMode::Structured;
    assert_eq!(judged(structured, 1024, &[1]), Err(Refusal::Flags));
}

#[test]
fn a_flush_of_a_range_is_refused() {
    assert_eq!(refused(CommandCode::FLUSH, 0, 1, 0), NbdError::Invalid);
    assert_eq!(refused(CommandCode::FLUSH, 1, 0, 0), NbdError::Invalid);
}

proptest! {
    #[test]
    fn whatever_is_admitted_lies_within_the_export(
        command in 0u16..10, flags: u16, offset: u64, length: u64, near in 0u64..3,
        extended: bool, read_only: bool,
    ) {
        // ADMISSION-1, ADMISSION-2
        let mode = if extended { ReplyMode::Extended } else { ReplyMode::Simple };
        let admission = admission(mode, Features { read_only, ..Features::ALL });
        for (offset, length) in [(offset, length), (offset % SIZE, length % SIZE), (SIZE - near, near)] {
            let Ok(command) = admission.judge(&header(CommandCode(command), offset, length, flags)) else {
                continue;
            };
            prop_assert!(offset.checked_add(length).is_some_and(|end| end <= SIZE));
            let writes = matches!(command, Command::Write { .. } | Command::Trim { .. } | Command::WriteZeroes { .. });
            prop_assert!(!(writes && read_only));
        }
    }
}
