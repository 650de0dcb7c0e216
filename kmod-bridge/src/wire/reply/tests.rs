//! The bytes of answers, spelled out.

use archipelago_front::Extent;

use super::*;

const COOKIE: u64 = 0x0102_0304_0506_0708;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

#[test]
fn a_simple_answer_is_sixteen_bytes_and_the_data() {
    let expected = bytes("67446698 00000000 0102030405060708");
    assert_eq!(ReplyMode::Simple.done(COOKIE, 512).as_bytes(), expected);
    assert_eq!(
        ReplyMode::Simple.data(COOKIE, 512, 4096).as_bytes(),
        expected
    );
    let error = ReplyMode::Simple.error(COOKIE, 512, NbdError::NoSpace, "unsaid");
    assert_eq!(error, bytes("67446698 0000001c 0102030405060708"));
    assert!(
        ReplyMode::Simple
            .hole(COOKIE, 512, (512, 4096), Position::Last)
            .is_none()
    );
}

#[test]
fn a_structured_answer_is_one_chunk_that_says_it_is_the_last() {
    let mode = ReplyMode::Structured;
    assert_eq!(
        mode.done(COOKIE, 512).as_bytes(),
        bytes("668e33ef 0001 0000 0102030405060708 00000000")
    );
    assert_eq!(
        mode.data(COOKIE, 512, 4096).as_bytes(),
        bytes("668e33ef 0001 0001 0102030405060708 00001008 0000000000000200")
    );
    assert_eq!(
        mode.hole(COOKIE, 512, (1024, 4096), Position::More)
            .unwrap()
            .as_bytes(),
        bytes("668e33ef 0000 0002 0102030405060708 0000000c 0000000000000400 00001000")
    );
    assert_eq!(
        mode.part(COOKIE, 512, 1024, 4096).as_bytes(),
        bytes("668e33ef 0000 0001 0102030405060708 00001008 0000000000000400")
    );
    assert_eq!(
        mode.error(COOKIE, 512, NbdError::Io, "no"),
        bytes("668e33ef 0001 8001 0102030405060708 00000008 00000005 0002 6e6f")
    );
    let extents = [Extent::data(4096), Extent::hole(512)].map(|one| Descriptor::from(&one));
    assert_eq!(
        mode.block_status(COOKIE, 0, (1, &extents), Position::Last),
        bytes(
            "668e33ef 0001 0005 0102030405060708 00000014 00000001 00001000 00000000 00000200 00000003"
        )
    );
}

#[test]
fn an_extended_answer_repeats_the_offset_and_has_wide_extents() {
    let mode = ReplyMode::Extended;
    assert_eq!(
        mode.done(COOKIE, 512).as_bytes(),
        bytes("6e8a278c 0001 0000 0102030405060708 0000000000000200 0000000000000000")
    );
    assert_eq!(
        mode.data(COOKIE, 512, 4096).as_bytes(),
        bytes(
            "6e8a278c 0001 0001 0102030405060708 0000000000000200 0000000000001008 0000000000000200"
        )
    );
    assert_eq!(
        mode.error(COOKIE, 512, NbdError::Shutdown, ""),
        bytes(
            "6e8a278c 0001 8001 0102030405060708 0000000000000200 0000000000000006 0000006c 0000"
        )
    );
    assert_eq!(
        mode.hole(COOKIE, 512, (1024, 4096), Position::Last)
            .unwrap()
            .as_bytes(),
        bytes(
            "6e8a278c 0001 0002 0102030405060708 0000000000000200 000000000000000c \
             0000000000000400 00001000"
        )
    );
    let extents = [Descriptor::from(&Extent::hole(1 << 40))];
    assert_eq!(
        mode.block_status(COOKIE, 0, (1, &extents), Position::Last),
        bytes(
            "6e8a278c 0001 0006 0102030405060708 0000000000000000 0000000000000018 \
             00000001 00000001 0000010000000000 0000000000000003"
        )
    );
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let message = "\u{3b1}".repeat(4096);
    let error = ReplyMode::Structured.error(COOKIE, 0, NbdError::Io, &message);
    assert_eq!(error.len(), 20 + 6 + MESSAGE_BYTES_MAX);
    let odd = format!("a{message}");
    let error = ReplyMode::Structured.error(COOKIE, 0, NbdError::Io, &odd);
    assert_eq!(error.len(), 20 + 6 + MESSAGE_BYTES_MAX - 1);
}
