//! SESSION-1 to SESSION-3: front ends that keep to the protocol, and others.

use archipelago_front::{DiskFacts, Features};
use proptest::prelude::*;

use super::*;
use crate::message::{InflightFacts, Message, Reply, RingAddresses, RingState};
use crate::queue::QueueError;
use crate::request::offered;

const ALL_PROTOCOL: u64 = 1 | 1 << 3 | 1 << 5 | 1 << 9 | 1 << 12 | 1 << 13 | 1 << 15;

fn offer() -> Offer {
    let facts = DiskFacts {
        size_bytes: 1 << 20,
        features: Features::ALL,
        description: String::new(),
    };
    Offer {
        features: offered(&facts),
        queues: 2,
    }
}

fn negotiated() -> Session {
    let mut session = Session::new(offer());
    let features = offer().features | 1 << 30;
    session.step(&Message::SetFeatures(features)).unwrap();
    let protocol = Message::SetProtocolFeatures(ALL_PROTOCOL);
    session.step(&protocol).unwrap();
    session
}

fn addresses(index: u32) -> RingAddresses {
    RingAddresses {
        index,
        flags: 0,
        descriptors: 0x1000,
        used: 0x3000,
        available: 0x2000,
        log: 0,
    }
}

fn state(index: u32, value: u32) -> RingState {
    RingState { index, value }
}

fn started() -> Session {
    let mut session = negotiated();
    session.step(&Message::SetNum(state(0, 64))).unwrap();
    session.step(&Message::SetBase(state(0, 5))).unwrap();
    session.step(&Message::SetAddresses(addresses(0))).unwrap();
    let kick = Message::SetKick {
        index: 0,
        has_fd: true,
    };
    let step = session.step(&kick).unwrap();
    let setup = RingSetup {
        size: 64,
        addresses: addresses(0),
        next_available: 5,
        is_enabled: false,
    };
    assert_eq!(step.action, Action::Start(0, setup));
    session
}

#[test]
fn a_ring_is_set_up_started_and_stopped() {
    // SESSION-2, SESSION-3
    let mut session = started();
    assert!(session.acknowledges());
    let enable = session.step(&Message::SetEnable(state(0, 1))).unwrap();
    assert_eq!(enable.action, Action::Enable(0, true));
    assert_eq!(enable.answer, Answer::Acknowledgement);
    let stop = session.step(&Message::GetBase(state(0, 0))).unwrap();
    assert_eq!(
        (stop.action, stop.answer),
        (Action::Stop(0), Answer::Result)
    );
    session.stopped_at(0, 9);
    let again = session.step(&Message::GetBase(state(0, 0))).unwrap();
    assert_eq!(again.answer, Answer::Now(Reply::Ring(state(0, 9))));
}

#[test]
fn a_running_ring_is_not_changed() {
    // SESSION-2
    let mut session = started();
    for message in [
        Message::SetNum(state(0, 32)),
        Message::SetBase(state(0, 0)),
        Message::SetAddresses(addresses(0)),
        Message::SetFeatures(0),
    ] {
        let refused = session.step(&message);
        assert!(
            matches!(refused, Err(SessionError::Running { .. })),
            "{message:?}"
        );
    }
    let same = Message::SetFeatures(offer().features | 1 << 30);
    assert!(session.step(&same).is_ok());
    assert!(session.step(&Message::SetNum(state(1, 32))).is_ok());
}

#[test]
fn what_was_not_offered_or_agreed_is_refused() {
    // SESSION-1, F85
    let mut session = Session::new(offer());
    let bits = 1 << 26;
    let refused = session.step(&Message::SetFeatures(bits));
    assert_eq!(refused, Err(SessionError::NotOffered { bits }));
    assert!(session.step(&Message::SetProtocolFeatures(1 << 1)).is_err());
    assert!(!session.acknowledges());
    let early = session.step(&Message::GetQueueNum);
    assert!(matches!(early, Err(SessionError::NotNegotiated { .. })));

    let mut session = negotiated();
    for index in [2, 256, u32::MAX] {
        let refused = session.step(&Message::GetBase(state(index, 0)));
        assert_eq!(refused, Err(SessionError::NoSuchRing { index, queues: 2 }));
    }
    for size in [0, 3, 4096] {
        let refused = session.step(&Message::SetNum(state(0, size)));
        assert!(matches!(
            refused,
            Err(SessionError::Queue(QueueError::Size { .. }))
        ));
    }
    let kick = |has_fd| Message::SetKick { index: 0, has_fd };
    let bare = session.step(&kick(true));
    assert_eq!(bare, Err(SessionError::NotSetUp { index: 0 }));
    let polling = session.step(&kick(false));
    assert_eq!(polling, Err(SessionError::Polling { index: 0 }));
    assert!(session.step(&Message::SetBase(state(0, 1 << 16))).is_err());
    assert!(session.step(&Message::SetEnable(state(0, 2))).is_err());
    let facts = InflightFacts {
        len_bytes: 0,
        file_offset: 0,
        queues: 3,
        queue_size: 64,
        is_padded: false,
    };
    let refused = session.step(&Message::GetInflight(facts));
    assert!(matches!(refused, Err(SessionError::Inflight { .. })));
}

#[test]
fn without_protocol_features_a_ring_is_enabled_by_itself() {
    let mut session = Session::new(offer());
    session.step(&Message::SetNum(state(1, 8))).unwrap();
    session.step(&Message::SetAddresses(addresses(1))).unwrap();
    let kick = Message::SetKick {
        index: 1,
        has_fd: true,
    };
    let step = session.step(&kick).unwrap();
    assert!(matches!(step.action, Action::Start(1, setup) if setup.is_enabled));
    assert_eq!(session.step(&kick).unwrap().action, Action::Kick(1));
}

proptest! {
    #[test]
    fn no_messages_in_any_order_make_it_panic(
        messages in prop::collection::vec(
            (0u32..48, prop::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..48)),
            0..40,
        ),
    ) {
        // SESSION-1
        let mut session = negotiated();
        for (number, mut payload) in messages {
            let len = match number { 2 | 12..=14 | 16 => 8, 8 | 10 | 11 | 18 => 8, 9 => 40, 31 | 32 => 20, _ => payload.len() };
            payload.resize(len, 0);
            for fds in 0..2 {
                if let Ok(message) = Message::parse(number, &payload, fds) {
                    let _ = session.step(&message);
                }
            }
        }
    }
}
