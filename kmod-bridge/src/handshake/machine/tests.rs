//! Handshakes, spelled out to the byte.

mod fuzz;
mod security;

use archipelago_front::{DiskFacts, Features, Listed, OpenRefusal};

use super::*;
use crate::handshake::context::MetaContext;

/// What a client says, in its bytes.
fn option(code: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"IHAVEOPT".to_vec();
    bytes.extend(code.to_be_bytes());
    bytes.extend((payload.len() as u32).to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// What the server answers, in its bytes.
fn answer(code: u32, reply: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = 0x0003_e889_0455_65a9_u64.to_be_bytes().to_vec();
    bytes.extend(code.to_be_bytes());
    bytes.extend(reply.to_be_bytes());
    bytes.extend((payload.len() as u32).to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

fn info_payload(name: &str, wanted: &[u16]) -> Vec<u8> {
    let mut payload = string(name);
    payload.extend((wanted.len() as u16).to_be_bytes());
    for code in wanted {
        payload.extend(code.to_be_bytes());
    }
    payload
}

fn meta_payload(name: &str, queries: &[&str]) -> Vec<u8> {
    let mut payload = string(name);
    payload.extend((queries.len() as u32).to_be_bytes());
    for query in queries {
        payload.extend(string(query));
    }
    payload
}

fn facts() -> DiskFacts {
    DiskFacts {
        size_bytes: 0x1122_3344,
        features: Features {
            flush: true,
            ..Features::default()
        },
        description: "a disk".to_owned(),
    }
}

/// Opens `v` and nothing else; lists `v`.
fn obey(handshake: &mut Handshake, decision: &Decision) {
    match decision {
        Decision::List => handshake.listed(Ok(&[Listed {
            name: "v".to_owned(),
            description: "a disk".to_owned(),
        }])),
        Decision::Open { name, .. } => handshake.opened(match name.as_str() {
            "v" => Ok(facts()),
            "busy" => Err(OpenRefusal::Denied {
                reason: "in use".to_owned(),
            }),
            _ => Err(OpenRefusal::Unknown),
        }),
        Decision::FindSnapshots { name, .. } if name.as_str() != "v" => {
            handshake.found(Err(OpenRefusal::Unknown));
        }
        Decision::FindSnapshots { snapshots, .. } => {
            let mut found = snapshots.clone();
            found.retain(|snapshot| snapshot.as_str().starts_with("day"));
            handshake.found(Ok(&found));
        }
        _ => {}
    }
}

struct Client {
    handshake: Handshake,
}

impl Client {
    fn with(options: HandshakeOptions, flags: u32) -> Self {
        let mut handshake = Handshake::new(options);
        let greeting = [b"NBDMAGIC".as_slice(), b"IHAVEOPT", &[0, 3]].concat();
        assert_eq!(handshake.output(), greeting);
        handshake.feed(&flags.to_be_bytes());
        Self { handshake }
    }

    fn new() -> Self {
        Self::with(HandshakeOptions::default(), 3)
    }

    /// What the server says to these bytes, and what it does when they are all taken.
    fn say(&mut self, mut bytes: &[u8]) -> (Vec<u8>, Decision) {
        loop {
            let decision = self.handshake.decide();
            match &decision {
                Decision::Receive { .. } if !bytes.is_empty() => {
                    let taken = self.handshake.feed(bytes);
                    bytes = &bytes[taken..];
                }
                Decision::List | Decision::Open { .. } | Decision::FindSnapshots { .. } => {
                    obey(&mut self.handshake, &decision);
                }
                _ => return (self.handshake.output(), decision),
            }
        }
    }

    fn answers(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.say(bytes).0
    }

    fn structured(mut self) -> Self {
        assert_eq!(self.answers(&option(8, &[])), answer(8, 1, &[]));
        self
    }

    fn agreed(&mut self, bytes: &[u8]) -> Agreed {
        match self.say(bytes).1 {
            Decision::Transmit(agreed) => *agreed,
            other => panic!("{other:?}"),
        }
    }
}

/// The reply and the option of a refusal, without its words.
fn refusal(bytes: &[u8]) -> (u32, u32) {
    let mut fields = Fields::of(bytes);
    assert_eq!(fields.take(), Ok(magic::OPTION_REPLY));
    (fields.take().unwrap(), fields.take().unwrap())
}

#[test]
fn go_answers_what_was_asked_and_begins_transmission() {
    let mut client = Client::new();
    let (bytes, decision) = client.say(&option(7, &info_payload("v", &[1, 2, 3])));
    let flags = [0, 5];
    let expected = [
        answer(
            7,
            3,
            &[
                &[0, 0, 0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44],
                flags.as_slice(),
            ]
            .concat(),
        ),
        answer(7, 3, b"\0\x01v"),
        answer(7, 3, b"\0\x02a disk"),
        answer(7, 3, &[0, 3, 0, 0, 0, 1, 0, 0, 0x10, 0, 2, 0, 0, 0]),
        answer(7, 1, &[]),
    ];
    assert_eq!(bytes, expected.concat());
    assert_eq!(
        decision,
        Decision::Transmit(Box::new(Agreed {
            name: "v".parse().unwrap(),
            facts: facts(),
            mode: ReplyMode::Simple,
            contexts: Vec::new(),
        }))
    );
}

#[test]
fn info_answers_and_goes_on() {
    let mut client = Client::new();
    let (bytes, decision) = client.say(&option(6, &info_payload("v", &[])));
    let export = answer(6, 3, &[0, 0, 0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44, 0, 5]);
    assert_eq!(bytes, [export, answer(6, 1, &[])].concat());
    assert_eq!(decision, Decision::Receive { bytes_max: 16 });
}

#[test]
fn the_oldest_way_has_124_zeroes_unless_the_client_did_without() {
    for (flags, zeroes) in [(1, 124), (3, 0), (0, 124)] {
        let mut client = Client::with(HandshakeOptions::default(), flags);
        let (bytes, decision) = client.say(&option(1, b"v"));
        let mut expected = vec![0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44, 0, 5];
        expected.extend(vec![0; zeroes]);
        assert_eq!(bytes, expected);
        assert!(matches!(decision, Decision::Transmit(_)));
    }
}

#[test]
fn the_oldest_way_to_nowhere_ends_the_connection() {
    let (bytes, decision) = Client::new().say(&option(1, b"nowhere"));
    assert!(bytes.is_empty());
    let refused = HandshakeError::Refused(OpenRefusal::Unknown);
    assert_eq!(decision, Decision::Close(refused));
}

#[test]
fn list_tells_names_and_descriptions() {
    let mut client = Client::new();
    let server = answer(3, 2, b"\0\0\0\x01va disk");
    assert_eq!(
        client.answers(&option(3, &[])),
        [server, answer(3, 1, &[])].concat()
    );
    assert_eq!(refusal(&client.answers(&option(3, b"x"))), (3, 1 << 31 | 3));
}

#[test]
fn a_server_may_keep_its_list_to_itself() {
    let options = HandshakeOptions {
        list: false,
        ..HandshakeOptions::default()
    };
    let mut client = Client::with(options, 3);
    assert_eq!(refusal(&client.answers(&option(3, &[]))), (3, 1 << 31 | 2));
}

#[test]
fn abort_is_acknowledged_and_closes() {
    let (bytes, decision) = Client::new().say(&option(2, &[]));
    assert_eq!(bytes, answer(2, 1, &[]));
    assert_eq!(decision, Decision::Close(HandshakeError::Aborted));
}

#[test]
fn what_the_server_does_not_know_or_have_is_unsupported() {
    // F70: their payloads are skipped, and the next option is read
    let mut client = Client::new();
    assert_eq!(refusal(&client.answers(&option(5, &[]))), (5, 1 << 31 | 1));
    for code in [0, 4, 12, u32::MAX] {
        let bytes = [option(code, &[0x49; 70_000]), option(3, &[])].concat();
        let answers = client.answers(&bytes);
        assert_eq!(refusal(&answers), (code, 1 << 31 | 1));
        assert!(answers.ends_with(&answer(3, 1, &[])));
    }
}

#[test]
fn contexts_are_listed_and_selected_by_name() {
    let mut client = Client::new().structured();
    let listed = answer(9, 4, b"\0\0\0\0base:allocation");
    for queries in [&[][..], &["base:"], &["x:y", "base:allocation"]] {
        assert_eq!(
            client.answers(&option(9, &meta_payload("v", queries))),
            [listed.clone(), answer(9, 1, &[])].concat()
        );
    }
    let other = option(9, &meta_payload("v", &["qemu:"]));
    assert_eq!(client.answers(&other), answer(9, 1, &[]));
    let selected = answer(10, 4, b"\0\0\0\x01base:allocation");
    let twice = meta_payload("v", &["base:allocation", "base:allocation"]);
    assert_eq!(
        client.answers(&option(10, &twice)),
        [selected, answer(10, 1, &[])].concat()
    );
    let agreed = client.agreed(&option(7, &info_payload("v", &[])));
    let allocation = MetaContext {
        number: 1,
        kind: ContextKind::Allocation,
    };
    assert_eq!(agreed.contexts, [allocation]);
    assert_eq!(agreed.mode, ReplyMode::Structured);
}

#[test]
fn a_context_counts_only_for_the_export_that_it_was_selected_for_and_only_the_last_time() {
    let go = option(7, &info_payload("v", &[]));
    let select = |name, queries: &[&str]| option(10, &meta_payload(name, queries));
    for last in [
        select("w", &["base:allocation"]),
        select("v", &["base:"]),
        select("v", &[]),
        option(10, b"nonsense"),
    ] {
        let mut client = Client::new().structured();
        client.answers(&select("v", &["base:allocation"]));
        client.answers(&last);
        assert_eq!(client.agreed(&go).contexts, []);
    }
}

#[test]
fn changes_since_a_snapshot_are_a_context_if_the_snapshot_is_there() {
    // HANDSHAKE-4
    let mut client = Client::new().structured();
    let since = |name: &str| format!("archipelago:changed-since:{name}");
    let queries = [
        &since("day1"),
        "base:allocation",
        &since("none"),
        &since("day2"),
    ];
    let context = |code, number: u8, name: &str| {
        answer(code, 4, &[&[0, 0, 0, number], name.as_bytes()].concat())
    };
    let told = |code, numbers: [u8; 3]| {
        let names = [since("day1"), "base:allocation".to_owned(), since("day2")];
        let mut told = Vec::new();
        for (number, name) in numbers.into_iter().zip(&names) {
            told.extend(context(code, number, name));
        }
        told.extend(answer(code, 1, &[]));
        told
    };
    let list = client.answers(&option(9, &meta_payload("v", &queries)));
    assert_eq!(list, told(9, [0, 0, 0]));
    let set = client.answers(&option(10, &meta_payload("v", &queries)));
    assert_eq!(set, told(10, [1, 2, 3]));
    let agreed = client.agreed(&option(7, &info_payload("v", &[])));
    let kinds: Vec<String> = agreed.contexts.iter().map(|one| one.kind.name()).collect();
    assert_eq!(
        kinds,
        [since("day1"), "base:allocation".into(), since("day2")]
    );

    let mut client = Client::new().structured();
    let elsewhere = option(10, &meta_payload("w", &queries));
    assert_eq!(refusal(&client.answers(&elsewhere)), (10, 1 << 31 | 6));
}

#[test]
fn no_client_selects_more_contexts_than_are_good_for_it() {
    let mut client = Client::new().structured();
    let names: Vec<String> = (0..30)
        .map(|day| format!("archipelago:changed-since:day{day}"))
        .collect();
    let queries: Vec<&str> = names.iter().map(String::as_str).collect();
    client.answers(&option(10, &meta_payload("v", &queries)));
    let agreed = client.agreed(&option(7, &info_payload("v", &[])));
    assert_eq!(agreed.contexts.len(), 8);
}

#[test]
fn contexts_need_chunks() {
    let mut client = Client::new();
    for code in [9, 10] {
        let bytes = option(code, &meta_payload("v", &["base:allocation"]));
        assert_eq!(refusal(&client.answers(&bytes)), (code, 1 << 31 | 3));
    }
}

#[test]
fn extended_headers_come_instead_of_structured_replies_or_after_them() {
    let mut client = Client::new().structured();
    assert_eq!(refusal(&client.answers(&option(8, &[]))), (8, 1 << 31 | 3));
    assert_eq!(client.answers(&option(11, &[])), answer(11, 1, &[]));
    assert_eq!(
        refusal(&client.answers(&option(11, &[]))),
        (11, 1 << 31 | 3)
    );
    assert_eq!(refusal(&client.answers(&option(8, &[]))), (8, 1 << 31 | 10));
    let (_, decision) = client.say(&option(1, b"v"));
    assert_eq!(decision, Decision::Close(HandshakeError::OldWay));
}

#[test]
fn dialects_can_be_switched_off() {
    let options = HandshakeOptions {
        mode_max: ReplyMode::Simple,
        ..HandshakeOptions::default()
    };
    let mut client = Client::with(options, 3);
    for code in [8, 11] {
        assert_eq!(
            refusal(&client.answers(&option(code, &[]))),
            (code, 1 << 31 | 1)
        );
    }
}

#[test]
fn malformed_options_are_invalid_and_the_handshake_goes_on() {
    // HANDSHAKE-1, F70
    let mut client = Client::new().structured();
    let long_name = vec![b'n'; 5000];
    let too_long = [&5000u32.to_be_bytes(), long_name.as_slice(), &[0, 0]].concat();
    for (code, payload) in [
        (6, &[0, 0, 0, 9, b'v'][..]),
        (7, &[0xff, 0xff, 0xff, 0xff, 0, 0]),
        (7, &[0, 0, 0, 1, b'v', 0, 2, 0, 1]),
        (7, &[0, 0, 0, 1, b'v', 0, 0, 0]),
        (7, &too_long),
        (7, &[]),
        (9, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        (10, &[0, 0, 0, 0]),
        (8, &[1]),
        (5, &[1]),
    ] {
        assert_eq!(
            refusal(&client.answers(&option(code, payload))),
            (code, 1 << 31 | 3)
        );
    }
    client.agreed(&option(7, &info_payload("v", &[])));
}

#[test]
fn strange_names_are_unknown_and_nobody_is_asked_for_them() {
    // HANDSHAKE-4, EXPORT-1, F79, F80
    let mut client = Client::new().structured();
    let long = "n".repeat(4096);
    for name in ["../v", "a\0b", "a\nb", "..", &long] {
        let go = option(7, &info_payload(name, &[]));
        assert_eq!(refusal(&client.answers(&go)), (7, 1 << 31 | 6));
        let list = option(9, &meta_payload(name, &[]));
        assert_eq!(refusal(&client.answers(&list)), (9, 1 << 31 | 6));
    }
    let (_, decision) = client.say(&option(1, b"../v"));
    assert!(matches!(decision, Decision::Close(HandshakeError::Name(_))));
}

#[test]
fn what_is_not_opened_says_why() {
    let mut client = Client::new();
    let go = |name| option(7, &info_payload(name, &[]));
    assert_eq!(refusal(&client.answers(&go("w"))), (7, 1 << 31 | 6));
    let busy = client.answers(&go("busy"));
    assert_eq!(busy, answer(7, 1 << 31 | 2, b"in use"));
}

#[test]
fn long_options_are_refused_and_longer_ones_end_the_connection() {
    // HANDSHAKE-2, F71
    let mut client = Client::new();
    let long = option(6, &vec![0; OPTION_BYTES_MAX + 1]);
    assert_eq!(refusal(&client.answers(&long)), (6, 1 << 31 | 9));
    for code in [1, 7, 99] {
        let mut header = option(code, &[]);
        header[12..].copy_from_slice(&u32::MAX.to_be_bytes());
        let (bytes, decision) = Client::new().say(&header);
        let len_bytes = u32::MAX;
        let option = code;
        let oversize = HandshakeError::Oversize { option, len_bytes };
        assert_eq!((bytes, decision), (vec![], Decision::Close(oversize)));
    }
}

#[test]
fn unknown_client_flags_end_the_connection() {
    let (_, decision) = Client::with(HandshakeOptions::default(), 7).say(&[]);
    let unknown = HandshakeError::ClientFlags { flags: 7 };
    assert_eq!(decision, Decision::Close(unknown));
}

#[test]
fn a_web_browser_is_sent_away() {
    let mut client = Client::new();
    let (_, decision) = client.say(b"GET / HTTP/1.1\r\n\r\n");
    assert!(matches!(
        decision,
        Decision::Close(HandshakeError::Magic { .. })
    ));
}

#[test]
fn nothing_after_the_choice_is_taken() {
    // HANDSHAKE-3
    let mut client = Client::new();
    client.answers(&[]);
    let mut bytes = option(7, &info_payload("v", &[]));
    bytes.extend(b"the first request");
    let mut at = 0;
    while let Decision::Receive { .. } = client.handshake.decide() {
        at += client.handshake.feed(&bytes[at..]);
    }
    assert_eq!(&bytes[at..], b"the first request");
    assert_eq!(client.handshake.feed(&bytes[at..]), 0);
}
