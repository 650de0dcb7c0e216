//! Handshakes with odd clients.
//!
//! Checked of each: it ends or waits, with no more memory than was promised (HANDSHAKE-2); every option is answered once at
//! most, with answers that are whole; in whatever pieces the bytes come the same is answered (HANDSHAKE-1); in the clear
//! nothing is told or opened where encryption is required (HANDSHAKE-5); no byte is taken behind the choice (HANDSHAKE-3).

use archipelago_front::{DiskFacts, DiskName, Features, Listed, OpenRefusal};
use archipelago_nbd::wire::{Fields, OptionReply, magic};
use archipelago_nbd::{Decision, Handshake, HandshakeOptions, Security};

use super::choices::Choices;
use super::pieces;

/// What a handshake keeps at most of what it received: an option of 16 KiB.
const KEPT_BYTES_MAX: usize = 16 << 10;

/// How a handshake went.
#[derive(Debug, PartialEq, Eq)]
struct Course {
    sent: Vec<u8>,
    last: Decision,
    taken: usize,
}

/// Goes through one case. `true`: the client chose an export in the end.
pub fn handshake(case: &[u8]) -> bool {
    let mut choices = Choices::of(case);
    let security = choices.pick(&[Security::None, Security::Offered, Security::Required]);
    let options = HandshakeOptions {
        security,
        list: !choices.chance(20),
        ..HandshakeOptions::default()
    };
    let says = client(&mut choices);
    let whole = course(&options, &says, &[says.len()]);
    let ends = pieces::ends(&mut choices, says.len());
    let again = course(&options, &says, &ends);
    assert_eq!(whole, again, "in pieces something else came of it");
    matches!(whole.last, Decision::Transmit(_))
}

/// What a client says.
fn client(choices: &mut Choices<'_>) -> Vec<u8> {
    let flags: u32 = if choices.chance(8) {
        choices.word() as u32
    } else {
        3
    };
    let mut says = flags.to_be_bytes().to_vec();
    while !choices.is_over() && says.len() < 1 << 16 {
        if choices.chance(4) {
            let count = choices.below(40);
            says.extend(choices.bytes(count));
            continue;
        }
        let code = match choices.chance(16) {
            true => choices.word() as u32,
            false => 1 + choices.below(12) as u32,
        };
        let payload = payload(choices, code);
        let len = match choices.chance(10) {
            true => choices.number() as u32,
            false => payload.len() as u32,
        };
        says.extend(magic::OPTION.to_be_bytes());
        says.extend(code.to_be_bytes());
        says.extend(len.to_be_bytes());
        says.extend(payload);
    }
    says
}

fn string(choices: &mut Choices<'_>, bytes: &[u8]) -> Vec<u8> {
    let len = match choices.chance(10) {
        true => choices.number() as u32,
        false => bytes.len() as u32,
    };
    [&len.to_be_bytes(), bytes].concat()
}

fn name(choices: &mut Choices<'_>) -> Vec<u8> {
    let count = choices.below(24);
    match choices.byte() {
        0..=200 => b"v".to_vec(),
        201..=220 => choices.pick(&["", "..", "a/b", "w", "v@day"]).into(),
        221..=240 => choices.bytes(count),
        _ => vec![b'n'; choices.number().min(5000) as usize],
    }
}

/// The payload that the option should have, more or less.
fn payload(choices: &mut Choices<'_>, code: u32) -> Vec<u8> {
    if choices.chance(16) {
        let count = choices.below(60);
        return choices.bytes(count);
    }
    let name = name(choices);
    let mut payload = match code {
        1 => return name,
        6 | 7 | 9 | 10 => string(choices, &name),
        _ => return Vec::new(),
    };
    let items = choices.below(4);
    let claimed = match choices.chance(10) {
        true => choices.word() as u32,
        false => items as u32,
    };
    if code < 8 {
        payload.extend((claimed as u16).to_be_bytes());
        (0..items).for_each(|_| payload.extend([0, choices.byte() % 6]));
        return payload;
    }
    payload.extend(claimed.to_be_bytes());
    for _ in 0..items {
        let query = choices.pick(&[
            "base:allocation",
            "base:",
            "archipelago:changed-since:day",
            "archipelago:changed-since:night",
            "archipelago:changed-since:",
            "x-other:thing",
            "",
        ]);
        let query = string(choices, query.as_bytes());
        payload.extend(query);
    }
    payload
}

/// The server's side, told what a server would find.
fn course(options: &HandshakeOptions, says: &[u8], ends: &[usize]) -> Course {
    let mut handshake = Handshake::new(options.clone());
    let mut ends = ends.iter();
    let (mut sent, mut taken, mut end) = (Vec::new(), 0, 0);
    let mut is_secure = false;
    // An option takes a few steps, and has 16 bytes.
    for _ in 0..4 * says.len() + 100 {
        let decision = handshake.decide();
        sent.extend(handshake.output());
        assert!(handshake.kept_bytes() <= KEPT_BYTES_MAX, "HANDSHAKE-2");
        let is_told = matches!(
            decision,
            Decision::List
                | Decision::Open { .. }
                | Decision::FindSnapshots { .. }
                | Decision::Transmit(_)
        );
        let is_closed = options.security == Security::Required && !is_secure;
        assert!(!(is_told && is_closed), "HANDSHAKE-5: {decision:?}");
        match &decision {
            Decision::Receive { bytes_max } => {
                if taken == end {
                    match ends.next() {
                        Some(next) => end = *next,
                        None => return finish(sent, decision, taken),
                    }
                }
                let count = handshake.feed(&says[taken..end]);
                assert!(count > 0 && count <= *bytes_max, "HANDSHAKE-1");
                taken += count;
            }
            Decision::StartTls => {
                handshake.secured();
                is_secure = true;
            }
            Decision::Transmit(_) | Decision::Close(_) => {
                assert_eq!(handshake.feed(&says[taken..]), 0, "HANDSHAKE-3");
                return finish(sent, decision, taken);
            }
            other => obey(&mut handshake, other),
        }
    }
    panic!("the handshake goes round in a circle");
}

fn obey(handshake: &mut Handshake, decision: &Decision) {
    match decision {
        Decision::List => handshake.listed(Ok(&[Listed {
            name: "v".to_owned(),
            description: "a disk".to_owned(),
        }])),
        Decision::Open { name, .. } => handshake.opened(match name.as_str() {
            "v" => Ok(DiskFacts {
                size_bytes: 1 << 30,
                features: Features::ALL,
                description: String::new(),
            }),
            _ => Err(OpenRefusal::Unknown),
        }),
        Decision::FindSnapshots { name, snapshots } => {
            let is_day = |snapshot: &&DiskName| snapshot.as_str() == "day";
            let found: Vec<DiskName> = snapshots.iter().filter(is_day).cloned().collect();
            handshake.found(match name.as_str() {
                "v" => Ok(&found),
                _ => Err(OpenRefusal::Unknown),
            });
        }
        other => panic!("{other:?} is nothing to obey"),
    }
}

fn finish(sent: Vec<u8>, last: Decision, taken: usize) -> Course {
    check_answers(&sent, taken);
    // How many bytes are wanted depends on nothing but what came.
    Course { sent, last, taken }
}

/// Answers are whole, and no more of them end an option than options could have come.
fn check_answers(sent: &[u8], taken: usize) {
    const GREETING: usize = 18;
    let mut fields = Fields::of(&sent[GREETING..]);
    let mut ended = 0;
    while !fields.is_empty() {
        let Ok(magic::OPTION_REPLY) = fields.take::<u64>() else {
            return; // the oldest answer, which has no magic, is the last
        };
        let whole = "an answer is whole";
        fields.take::<u32>().expect(whole);
        let reply = OptionReply(fields.take().expect(whole));
        fields.string().expect(whole);
        ended += usize::from(reply == OptionReply::ACK || reply.0 >> 31 == 1);
    }
    assert!(ended <= taken / 16, "{ended} answers to {taken} bytes");
}
