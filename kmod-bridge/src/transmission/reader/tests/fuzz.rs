//! Streams of anything, in pieces of any size.

use proptest::prelude::*;

use super::*;
const MODES: [ReplyMode; 3] = [
    ReplyMode::Simple,
    ReplyMode::Structured,
    ReplyMode::Extended,
];

/// Headers that are nearly right, and now and then noise.
fn stream(mode: ReplyMode) -> impl Strategy<Value = Vec<u8>> {
    let near = prop_oneof![
        0u64..10_000,
        Just(u64::from(PAYLOAD_MAX) + 1),
        any::<u32>().prop_map(u64::from)
    ];
    let request = (0u16..10, 0u16..64, any::<u64>(), near).prop_map(
        move |(command, flags, offset, length)| {
            let header = RequestHeader {
                flags,
                command: CommandCode(command),
                cookie: offset.rotate_left(7),
                offset: offset % (1 << 31),
                length,
            };
            let mut bytes = header.encode(mode);
            if header.command == CommandCode::WRITE || flags & 32 != 0 {
                bytes.extend(vec![0xa5; length.min(20_000) as usize]);
            }
            bytes
        },
    );
    let noise = proptest::collection::vec(any::<u8>(), 0..100);
    let part = prop_oneof![20 => request, 1 => noise];
    proptest::collection::vec(part, 0..20).prop_map(|parts| parts.concat())
}

/// Runs a stream in pieces; payloads of admitted writes are taken out of it as a server would.
fn run(mode: ReplyMode, bytes: &[u8], pieces: &[usize]) -> Vec<Step> {
    let mut reader = reader(mode);
    let mut steps = Vec::new();
    let (mut at, mut end, mut payload) = (0, 0, 0);
    let mut pieces = pieces.iter().cycle();
    while end < bytes.len() {
        end = (end + pieces.next().unwrap()).min(bytes.len());
        loop {
            let taken = payload.min(end - at);
            at += taken;
            payload -= taken;
            if payload > 0 {
                break;
            }
            let (taken, step) = reader.step(&bytes[at..end]);
            assert!(taken <= end - at);
            at += taken;
            match step {
                Step::Receive => break,
                Step::Request(Request {
                    command: Command::Write { length, .. },
                    ..
                }) => {
                    payload = length as usize;
                }
                Step::Disconnect | Step::Close(_) => {
                    steps.push(step);
                    return steps;
                }
                Step::Request(_) | Step::Refuse { .. } => {}
            }
            steps.push(step);
        }
    }
    steps
}

proptest! {
    #[test]
    fn a_stream_means_the_same_in_any_pieces(
        (mode, bytes) in (0usize..3).prop_flat_map(|m| (Just(MODES[m]), stream(MODES[m]))),
        pieces in proptest::collection::vec(1usize..3000, 1..8),
    ) {
        // READER-1, READER-2, F70
        let whole = run(mode, &bytes, &[bytes.len().max(1)]);
        prop_assert_eq!(run(mode, &bytes, &pieces), whole);
    }

    #[test]
    fn noise_never_harms(bytes in proptest::collection::vec(any::<u8>(), 0..500), mode in 0usize..3) {
        // READER-2
        run(MODES[mode], &bytes, &[1, 7, 100]);
    }
}
