//! MESSAGE-1: whatever bytes and descriptors come, they are a message or an error.

use proptest::prelude::*;

use super::*;

const REGION: Region = Region {
    guest_at: 0x1000,
    len_bytes: 0x2000,
    user_at: 0x7f00_0000_0000,
    file_offset: 0x3000,
};
const STATE: RingState = RingState {
    index: 3,
    value: 128,
};

fn one_of_each() -> Vec<Message> {
    let config = ConfigRange {
        offset: 8,
        flags: 1,
        bytes: vec![1, 2, 3],
    };
    let facts = InflightFacts {
        len_bytes: 4096,
        file_offset: 64,
        queues: 2,
        queue_size: 128,
        is_padded: false,
    };
    let padded = InflightFacts {
        is_padded: true,
        ..facts
    };
    let addresses = RingAddresses {
        index: 1,
        flags: 0,
        descriptors: 1 << 40,
        used: 2 << 40,
        available: 3 << 40,
        log: 0,
    };
    let (index, has_fd) = (2, true);
    vec![
        Message::GetFeatures,
        Message::SetFeatures(u64::MAX),
        Message::SetOwner,
        Message::ResetOwner,
        Message::SetMemory(vec![REGION; REGIONS_MAX]),
        Message::SetNum(STATE),
        Message::SetAddresses(addresses),
        Message::SetBase(STATE),
        Message::GetBase(STATE),
        Message::SetKick { index, has_fd },
        Message::SetCall {
            index,
            has_fd: false,
        },
        Message::SetErr { index, has_fd },
        Message::GetProtocolFeatures,
        Message::SetProtocolFeatures(7),
        Message::GetQueueNum,
        Message::SetEnable(STATE),
        Message::SetBackendFd,
        Message::GetConfig(config.clone()),
        Message::SetConfig(config),
        Message::GetInflight(facts),
        Message::SetInflight(padded),
        Message::ResetDevice,
        Message::GetMaxMemSlots,
        Message::AddMemory(REGION),
        Message::RemoveMemory(REGION),
    ]
}

fn split(bytes: &[u8]) -> (Header, &[u8]) {
    let (header, payload) = bytes.split_first_chunk().unwrap();
    (Header::parse(header).unwrap(), payload)
}

#[test]
fn what_is_sent_is_what_is_read() {
    let all = one_of_each();
    let codes: Vec<Code> = all.iter().map(Message::code).collect();
    assert_eq!(codes, Code::ALL);
    for message in all {
        let bytes = message.to_bytes(true);
        let (header, payload) = split(&bytes);
        assert!(header.needs_reply);
        assert_eq!(header.len_bytes as usize, payload.len());
        let read = Message::parse(header.number, payload, message.fds());
        assert_eq!(read, Ok(message));
    }
}

#[test]
fn a_message_of_another_length_or_with_other_descriptors_is_refused() {
    // MESSAGE-1
    for message in one_of_each() {
        let bytes = message.to_bytes(false);
        let (header, payload) = split(&bytes);
        let fds = message.fds();
        let number = header.number;
        for wrong in [fds + 2, fds.wrapping_sub(1)] {
            let refused = Message::parse(number, payload, wrong);
            assert!(
                matches!(refused, Err(MessageError::Fds { .. })),
                "{message:?}"
            );
        }
        let mut longer = payload.to_vec();
        longer.extend([0; 3]);
        assert!(Message::parse(number, &longer, fds).is_err(), "{message:?}");
        if let Some((_, shorter)) = payload.split_last() {
            assert!(Message::parse(number, shorter, fds).is_err(), "{message:?}");
        }
    }
}

#[test]
fn tables_and_configurations_have_limits() {
    let mut payload = 9u64.to_le_bytes().to_vec();
    payload.extend([0; 9 * Region::BYTES]);
    let refused = Message::parse(5, &payload, 9);
    assert!(matches!(
        refused,
        Err(MessageError::Regions { count: 9, .. })
    ));
    let none = Message::parse(5, &0u64.to_le_bytes(), 0);
    assert!(matches!(none, Err(MessageError::Regions { count: 0, .. })));
    for (offset, len_bytes) in [(0u32, 257u32), (u32::MAX, 2), (256, 1)] {
        let mut payload = Vec::new();
        for field in [offset, len_bytes, 0] {
            payload.extend(field.to_le_bytes());
        }
        let refused = Message::parse(24, &payload, 0);
        assert!(matches!(refused, Err(MessageError::Config { .. })));
    }
}

#[test]
fn headers_of_other_versions_answers_and_giants_are_refused() {
    let good = Header {
        number: 1,
        needs_reply: false,
        len_bytes: 0,
    };
    let mut other = good.to_bytes();
    other[4] = 2;
    assert!(matches!(
        Header::parse(&other),
        Err(MessageError::Version { version: 2, .. })
    ));
    let reply = Header::reply_bytes(1, 8);
    assert!(matches!(
        Header::parse(&reply),
        Err(MessageError::IsReply { .. })
    ));
    let giant = Header {
        len_bytes: u32::MAX,
        ..good
    };
    assert!(matches!(
        Header::parse(&giant.to_bytes()),
        Err(MessageError::TooLong { .. })
    ));
}

#[test]
fn an_answer_has_the_size_of_what_was_asked_for() {
    let facts = InflightFacts {
        len_bytes: 0,
        file_offset: 0,
        queues: 1,
        queue_size: 1,
        is_padded: true,
    };
    let bytes = Reply::Inflight(facts).to_bytes(Code::GetInflightFd);
    assert_eq!(bytes.len(), HEADER_BYTES + 24);
    assert_eq!(
        Reply::ACK.to_bytes(Code::SetOwner),
        [3, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
}

proptest! {
    #[test]
    fn no_bytes_are_more_than_an_error(
        header in any::<[u8; HEADER_BYTES]>(),
        number in 0u32..48,
        payload in prop::collection::vec(any::<u8>(), 0..320),
        fds in 0usize..12,
    ) {
        // MESSAGE-1
        let _ = Header::parse(&header);
        if let Ok(message) = Message::parse(number, &payload, fds) {
            let bytes = message.to_bytes(false);
            let (header, again) = split(&bytes);
            prop_assert_eq!(Message::parse(header.number, again, message.fds()), Ok(message));
        }
    }

    #[test]
    fn messages_that_are_almost_right_are_messages_or_errors(
        which in 0usize..23,
        changes in prop::collection::vec((0usize..300, any::<u8>()), 0..4),
    ) {
        let mut bytes = one_of_each()[which].to_bytes(false);
        let len = bytes.len();
        for (at, byte) in changes {
            bytes[at % len] = byte;
        }
        let (header, payload) = bytes.split_first_chunk().unwrap();
        if let Ok(header) = Header::parse(header) {
            for fds in 0..=FDS_MAX {
                let _ = Message::parse(header.number, payload, fds);
            }
        }
    }
}
