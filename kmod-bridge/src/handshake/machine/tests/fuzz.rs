//! Handshakes of anything, in pieces of any size.

use proptest::prelude::*;

use super::*;

/// Options that are nearly right, and now and then noise.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        Just(b"v".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20)
    ];
    let body = (name, proptest::collection::vec(any::<u8>(), 0..40), 0u32..3).prop_map(
        |(name, tail, off)| {
            let len = (name.len() as u32).saturating_sub(off / 2);
            [&len.to_be_bytes(), name.as_slice(), tail.as_slice()].concat()
        },
    );
    let exact = Just([&1u32.to_be_bytes(), b"v".as_slice(), &[0, 1, 0, 3]].concat());
    let payload = prop_oneof![
        3 => Just(Vec::new()),
        3 => body,
        2 => exact,
        1 => Just(vec![0; OPTION_BYTES_MAX + 10]),
    ];
    let whole = (0u32..14, payload).prop_map(|(code, payload)| option(code, &payload));
    let noise = proptest::collection::vec(any::<u8>(), 0..60);
    let part = prop_oneof![20 => whole, 1 => noise];
    let flags = prop_oneof![9 => 0u32..4, 1 => any::<u32>()];
    (flags, proptest::collection::vec(part, 0..20))
        .prop_map(|(flags, parts)| [flags.to_be_bytes().to_vec(), parts.concat()].concat())
}

/// All that the server sends, the last decision, and how many bytes were taken.
fn run(bytes: &[u8], pieces: &[usize]) -> (Vec<u8>, Decision, usize) {
    let mut handshake = Handshake::new(HandshakeOptions::default());
    let (mut sent, mut at) = (Vec::new(), 0);
    let mut pieces = pieces.iter().cycle();
    loop {
        let decision = handshake.decide();
        sent.extend(handshake.output());
        match &decision {
            Decision::Receive { bytes_max } if at < bytes.len() => {
                let end = (at + pieces.next().unwrap()).min(bytes.len());
                let taken = handshake.feed(&bytes[at..end]);
                assert!(taken > 0 && taken <= *bytes_max);
                at += taken;
                assert!(handshake.kept_bytes() <= at.min(OPTION_BYTES_MAX)); // HANDSHAKE-2
            }
            Decision::List | Decision::Open { .. } | Decision::FindSnapshots { .. } => {
                obey(&mut handshake, &decision);
            }
            _ => return (sent, decision, at),
        }
    }
}

proptest! {
    #[test]
    fn a_handshake_goes_the_same_way_in_any_pieces(
        bytes in stream(),
        pieces in proptest::collection::vec(1usize..300, 1..8),
    ) {
        // HANDSHAKE-1, HANDSHAKE-2, F70, F71
        let (sent, decision, taken) = run(&bytes, &[bytes.len()]);
        let mut last = decision.clone();
        if let Decision::Receive { .. } = decision {
            prop_assert_eq!(taken, bytes.len());
        }
        let again = run(&bytes, &pieces);
        if let (Decision::Receive { .. }, Decision::Receive { .. }) = (&decision, &again.1) {
            last = again.1.clone();
        }
        prop_assert_eq!(again, (sent, last, taken));
    }

    #[test]
    fn noise_never_harms(bytes in proptest::collection::vec(any::<u8>(), 1..500)) {
        // HANDSHAKE-1
        run(&bytes, &[1, 3, 50]);
    }
}
