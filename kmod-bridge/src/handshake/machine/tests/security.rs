//! STARTTLS: what is refused before it, and forgotten after it.

use super::*;

fn client(security: Security) -> Client {
    let options = HandshakeOptions {
        security,
        ..HandshakeOptions::default()
    };
    Client::with(options, 3)
}

const TLS_REQD: u32 = 1 << 31 | 5;

#[test]
fn without_encryption_nothing_is_told_where_it_is_required() {
    // HANDSHAKE-5, F81
    for code in [3, 4, 6, 7, 8, 9, 10, 11, 99] {
        for payload in [&[][..], b"nonsense", &info_payload("v", &[]), &[0; 20_000]] {
            let mut client = client(Security::Required);
            let (bytes, decision) = client.say(&option(code, payload));
            assert_eq!(refusal(&bytes), (code, TLS_REQD));
            assert!(matches!(decision, Decision::Receive { .. }), "{decision:?}");
        }
    }
    let (bytes, decision) = client(Security::Required).say(&option(1, b"v"));
    let closed = Decision::Close(HandshakeError::InTheClear);
    assert_eq!((bytes, decision), (vec![], closed));
    let aborted = client(Security::Required).answers(&option(2, &[]));
    assert_eq!(aborted, answer(2, 1, &[]));
}

#[test]
fn what_was_agreed_on_in_the_clear_is_forgotten() {
    // HANDSHAKE-5, F81
    let mut client = client(Security::Offered);
    client.answers(&option(11, &[]));
    client.answers(&option(10, &meta_payload("v", &["base:allocation"])));
    let begun = client.say(&option(5, &[]));
    assert_eq!(begun, (answer(5, 1, &[]), Decision::StartTls));
    // Bytes that came in the clear are not taken while the client shakes hands.
    assert_eq!(
        client.handshake.feed(&option(7, &info_payload("v", &[]))),
        0
    );
    client.handshake.secured();
    let listed = client.answers(&option(9, &meta_payload("v", &[])));
    assert_eq!(
        refusal(&listed),
        (9, 1 << 31 | 3),
        "chunks are to be agreed on anew"
    );
    let again = client.answers(&option(5, &[]));
    assert_eq!(refusal(&again), (5, 1 << 31 | 3));
    let agreed = client.agreed(&option(7, &info_payload("v", &[])));
    assert_eq!((agreed.mode, agreed.contexts), (ReplyMode::Simple, vec![]));
}

#[test]
fn where_encryption_is_required_all_is_as_ever_behind_it() {
    let mut client = client(Security::Required);
    assert_eq!(refusal(&client.answers(&option(5, b"x"))), (5, 1 << 31 | 3));
    assert_eq!(client.say(&option(5, &[])).1, Decision::StartTls);
    client.handshake.secured();
    let (bytes, _) = client.say(&option(3, &[]));
    assert!(bytes.ends_with(&answer(3, 1, &[])));
    client.agreed(&option(1, b"v"));
}
