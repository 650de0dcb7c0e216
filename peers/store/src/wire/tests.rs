//! What is encoded is decoded, and what is not is refused.

use proptest::prelude::*;
use xseg::{Errno, OpCode, flags};

use super::{
    Call, EXTEND, GROUPS, HEAL, Head, WireError, decode_owner, decode_strings, encode_owner,
    fit_strings,
};
use crate::{LockOwner, ObjectName, Scope};

fn name() -> impl Strategy<Value = ObjectName> {
    prop::collection::vec(1..=255_u8, 1..=255).prop_map(|bytes| ObjectName::new(&bytes).unwrap())
}

fn group() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1..=255_u8, 0..=254)
}

fn call() -> impl Strategy<Value = Call> {
    let scope = || any::<u64>().prop_map(Scope);
    let (offset, len) = (|| 0..1_u64 << 62, || 0..1_u64 << 62);
    prop_oneof![
        (name(), offset(), len()).prop_map(|(name, offset, len)| Call::Read { name, offset, len }),
        (scope(), name(), offset(), len(), any::<bool>()).prop_map(
            |(scope, name, offset, len, durable)| Call::Write {
                scope,
                name,
                offset,
                len,
                durable
            }
        ),
        (name(), len()).prop_map(|(name, len)| Call::WriteFull { name, len }),
        (name(), len()).prop_map(|(name, len)| Call::CreateExclusive { name, len }),
        (scope(), name(), len(), any::<bool>()).prop_map(|(scope, name, size, reserve)| {
            Call::Extend {
                scope,
                name,
                size,
                reserve,
            }
        }),
        (scope(), name(), name(), len()).prop_map(|(scope, from, to, len)| Call::Copy {
            scope,
            from,
            to,
            len
        }),
        (scope(), name(), offset(), len()).prop_map(|(scope, name, offset, len)| Call::Zero {
            scope,
            name,
            offset,
            len
        }),
        (scope(), name(), offset(), len()).prop_map(|(scope, name, offset, len)| Call::Punch {
            scope,
            name,
            offset,
            len
        }),
        name().prop_map(|name| Call::Delete { name }),
        name().prop_map(|name| Call::Stat { name }),
        (name(), any::<u32>(), any::<u32>()).prop_map(|(name, offset, len)| Call::DataIn {
            name,
            offset: offset.into(),
            len: len.into()
        }),
        name().prop_map(|name| Call::Hash { name }),
        name().prop_map(|name| Call::LockOwner { name }),
        name().prop_map(|name| Call::BreakLock { name }),
        name().prop_map(|name| Call::FenceLock { name }),
        name().prop_map(|name| Call::OwnerLife { name }),
        name().prop_map(|name| Call::ForgetLock { name }),
        scope().prop_map(|scope| Call::Sync { scope }),
        scope().prop_map(|scope| Call::Heal { scope }),
        (group(), prop::option::of(name()), any::<u64>())
            .prop_map(|(group, after, max)| Call::List { group, after, max }),
        prop::option::of(group()).prop_map(|after| Call::Groups { after }),
        (name(), any::<u64>(), any::<bool>()).prop_map(|(name, since, wait)| Call::Lock {
            name,
            since,
            wait
        }),
        (name(), any::<bool>()).prop_map(|(name, force)| Call::Unlock { name, force }),
    ]
}

fn head() -> impl Strategy<Value = Head> {
    let known = prop::sample::select(vec![16, 17, 18, 19, 24, 25, 32, 33, 34, 35, 36, 37, 40, 41]);
    let op = prop_oneof![known, 200..205_u16, any::<u16>()].prop_map(OpCode);
    let bytes = || prop::collection::vec(any::<u8>(), 0..=255);
    (
        op,
        any::<u32>(),
        bytes(),
        bytes(),
        any::<[u64; 3]>(),
        any::<[u64; 4]>(),
        any::<u64>(),
    )
        .prop_map(
            |(op, flags, target, second, [handle, offset, length], args, payload_bytes)| Head {
                op,
                flags,
                target,
                second,
                handle,
                offset,
                length,
                args,
                payload_bytes,
            },
        )
}

proptest! {
    #[test]
    fn wire_2_what_is_encoded_is_decoded(call in call()) {
        let head = Head { payload_bytes: u64::MAX, ..call.head() };
        prop_assert_eq!(head.decode(), Ok(call)); // WIRE-2
    }

    #[test]
    fn wire_1_any_words_are_a_call_or_an_error(head in head()) {
        if let Ok(call) = head.decode() { // WIRE-1
            let again = Head { payload_bytes: head.payload_bytes, ..call.head() };
            prop_assert_eq!(again.decode(), Ok(call));
            prop_assert!(head.offset.checked_add(head.length).is_some() || head.op.0 > 19);
        }
    }

    #[test]
    fn wire_1_any_bytes_are_strings_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(strings) = decode_strings(&bytes) {
            let count = strings.len();
            prop_assert_eq!(fit_strings(strings, usize::MAX), (bytes.clone(), count));
        }
        if let Ok(owner) = decode_owner(&bytes) {
            let encoded = encode_owner(&owner).expect("it was decoded");
            prop_assert!(bytes.starts_with(&encoded));
        }
    }

    #[test]
    fn as_many_strings_as_fit_are_sent(
        strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=255), 0..20),
        bytes_max in 0..3000_usize,
    ) {
        let refs: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
        let (encoded, count) = fit_strings(refs.clone(), bytes_max);
        prop_assert!(encoded.len() <= bytes_max);
        prop_assert_eq!(decode_strings(&encoded), Ok(refs[..count].to_vec()));
        if let Some(next) = refs.get(count) {
            prop_assert!(encoded.len() + 1 + next.len() > bytes_max);
        }
    }

    #[test]
    fn an_owner_arrives_as_it_was(node in ".{0,90}", deployment in ".{0,90}") {
        let owner = LockOwner { node, deployment };
        let fits = |part: &str| (1..=255).contains(&part.len());
        match encode_owner(&owner) {
            Ok(encoded) => prop_assert_eq!(decode_owner(&encoded), Ok(owner)),
            Err(error) => {
                prop_assert_eq!(error, WireError::Owner);
                prop_assert!(!fits(&owner.node) || !fits(&owner.deployment));
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let head = |op| Head {
        target: b"object".to_vec(),
        ..Head::new(op)
    };
    let unknown = head(OpCode::MAP_READ).decode().unwrap_err();
    assert_eq!(unknown.errno(), Errno::OPNOTSUPP);
    let mut short = head(OpCode::WRITE);
    (short.length, short.payload_bytes) = (4096, 4095);
    let (needed, given) = (4096, 4095);
    assert_eq!(short.decode(), Err(WireError::Payload { needed, given }));
    let mut lent = head(OpCode::WRITE);
    lent.flags = flags::LENT;
    assert_eq!(lent.decode(), Err(WireError::Lent), "LOAN-2");
    let mut nameless = head(OpCode::DELETE);
    nameless.target.clear();
    assert!(matches!(nameless.decode(), Err(WireError::BadName(_))));
    let mut sourceless = head(OpCode::COPY);
    sourceless.second.clear();
    assert_eq!(sourceless.decode().unwrap_err().errno(), Errno::INVAL);
    for op in [EXTEND, OpCode::DISCARD, OpCode::WRITE_ZEROES] {
        let mut beyond = head(op);
        (beyond.offset, beyond.length) = (1, i64::MAX as u64);
        assert!(matches!(beyond.decode(), Err(WireError::Range { .. })));
    }
    let mut group = head(OpCode::LIST);
    group.target = vec![b'g'; 255];
    assert!(group.decode().is_err(), "no name has such a group");
    assert!(head(GROUPS).decode().is_ok() && head(HEAL).decode().is_ok());
}
