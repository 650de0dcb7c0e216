//! Requests that cannot be made or sent: each is told what is wrong with it, and nothing is lost (F65).

use xseg::{BUFFER_BYTES_MAX, BindOptions, Errno, Geometry, OpCode, PortId, RequestError};

use crate::support::{Room, assert_all_free, next_reply, next_request};

#[test]
fn a_segment_without_requests_left_says_how_many_there_are() {
    let room = Room::of(Geometry::new(4, 1, 6).unwrap());
    let options = BindOptions::default().requests_max(100);
    let client = room.segment.bind_dynamic(&options).unwrap();
    let drafts: Vec<_> = (0..6)
        .map(|_| client.draft(OpCode::READ).unwrap())
        .collect();
    let error = client.draft(OpCode::READ).unwrap_err();
    assert_eq!(error, RequestError::NoRequests { total: 6 });
    assert_eq!(error.errno(), Errno::AGAIN);
    drop(drafts);
    assert!(client.draft(OpCode::READ).is_ok());
    drop(client);
    assert_all_free(&room.segment);
}

#[test]
fn a_port_at_its_limit_waits_for_answers() {
    let room = Room::new();
    let server = room.bind(0);
    let options = BindOptions::default().requests_max(2);
    let client = room.segment.bind_dynamic(&options).unwrap();
    for _ in 0..2 {
        client
            .draft(OpCode::READ)
            .unwrap()
            .send(server.id())
            .unwrap();
    }
    let error = client.draft(OpCode::READ).unwrap_err();
    assert!(matches!(error, RequestError::PortLimit { .. }), "{error}");
    next_request(&server).answer(0);
    drop(next_reply(&client));
    assert!(client.draft(OpCode::READ).is_ok());
    // Others have room meanwhile.
    assert!(room.bind_dynamic().draft(OpCode::READ).is_ok());
    next_request(&server).answer(0);
}

#[test]
fn one_port_cannot_take_more_than_half_of_the_requests_by_default() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    let mut sent = 0;
    while let Ok(draft) = client.draft(OpCode::READ) {
        draft.send(server.id()).unwrap();
        sent += 1;
    }
    assert_eq!(sent, 32);
    drop(client);
    for _ in 0..sent {
        next_request(&server).answer(0);
    }
    drop(server);
    assert_all_free(&room.segment);
}

#[test]
fn buffers_that_are_out_or_too_large_are_told() {
    let room = Room::new();
    let client = room.bind_dynamic();
    let error = client.buffer(BUFFER_BYTES_MAX + 1).unwrap_err();
    let largest = BUFFER_BYTES_MAX;
    assert_eq!(
        error,
        RequestError::TooLarge {
            bytes: largest + 1,
            largest
        }
    );
    assert_eq!(
        client.buffer(u64::MAX).unwrap_err().errno(),
        Errno::OVERFLOW
    );
    // The segment has buffers up to 1 MiB only.
    let error = client.buffer(BUFFER_BYTES_MAX).unwrap_err();
    assert_eq!(error, RequestError::NoBuffers { bytes: largest });

    let all: Vec<_> = std::iter::from_fn(|| client.buffer(1 << 20).ok()).collect();
    assert_eq!(all.len(), 2);
    let error = client.buffer(1 << 20).unwrap_err();
    assert_eq!(error.errno(), Errno::AGAIN);
    drop(all);
    assert!(client.buffer(1 << 20).is_ok());
    drop(client);
    assert_all_free(&room.segment);
}

#[test]
fn a_buffer_of_twice_the_size_stands_in_for_one_that_is_out() {
    let geometry = Geometry::new(4, 1, 8)
        .and_then(|geometry| geometry.with_buffers(4096, 1))
        .and_then(|geometry| geometry.with_buffers(8192, 1))
        .and_then(|geometry| geometry.with_buffers(16384, 1))
        .unwrap();
    let room = Room::of(geometry);
    let client = room.bind_dynamic();
    let first = client.buffer(1000).unwrap();
    let second = client.buffer(1000).unwrap();
    assert_eq!((first.data().len(), second.data().len()), (4096, 8192));
    let error = client.buffer(1000).unwrap_err();
    assert_eq!(error, RequestError::NoBuffers { bytes: 1000 });
}

#[test]
fn names_have_at_most_255_bytes() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    let mut draft = client.draft(OpCode::INFO).unwrap();
    draft.set_target(&[b'a'; 255]).unwrap();
    draft.set_snapshot(&[b'b'; 255]).unwrap();
    let too_long = RequestError::NameTooLong { len: 256, max: 255 };
    assert_eq!(draft.set_target(&[b'c'; 256]).unwrap_err(), too_long);
    assert_eq!(draft.set_snapshot(&[b'c'; 256]).unwrap_err(), too_long);
    // What was set before is still there.
    draft.send(server.id()).unwrap();
    let request = next_request(&server);
    assert_eq!(request.target().as_bytes(), [b'a'; 255]);
    assert_eq!(request.snapshot().as_bytes(), [b'b'; 255]);
    request.answer(0);
}

#[test]
fn data_outside_its_buffer_is_refused() {
    let room = Room::new();
    let client = room.bind_dynamic();
    let mut draft = client.draft(OpCode::WRITE).unwrap();
    let buffer = client.buffer(4096).unwrap();
    assert!(buffer.data().write(4090, b"too long").is_err());
    assert!(buffer.data().read(u64::MAX, &mut [0]).is_err());
    assert!(buffer.data().part(1, 4096).is_err());
    let error = draft.attach(buffer, 4097).unwrap_err();
    let outside = RequestError::OutsideData {
        from: 0,
        len: 4097,
        available: 4096,
    };
    assert_eq!(error, outside);
    drop((draft, client));
    assert_all_free(&room.segment);
}

#[test]
fn ports_that_nobody_has_are_told_and_the_draft_comes_back_whole() {
    let room = Room::new();
    let client = room.bind_dynamic();
    let mut draft = client.draft(OpCode::WRITE).unwrap();
    draft.set_target(b"name").unwrap();
    let buffer = client.buffer(10).unwrap();
    buffer.data().write(0, b"0123456789").unwrap();
    draft.attach(buffer, 10).unwrap();
    let refused = draft.try_send(room.port(0)).unwrap_err();
    assert_eq!(refused.error, RequestError::Unbound { port: room.port(0) });
    let nowhere = PortId::new(5000).unwrap();
    let refused = refused.draft.try_send(nowhere).unwrap_err();
    assert_eq!(
        refused.error,
        RequestError::NoSuchPort {
            port: 5000,
            last: 7
        }
    );

    let server = room.bind(0);
    refused.draft.send(server.id()).unwrap();
    let request = next_request(&server);
    assert_eq!(request.target().as_str(), Some("name"));
    let mut bytes = [0; 10];
    request.data().unwrap().read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"0123456789");
    request.answer(10);
}

#[test]
fn a_draft_that_is_dropped_was_never_there() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.bind_dynamic();
    let mut draft = client.draft(OpCode::WRITE).unwrap();
    draft.attach(client.buffer(10).unwrap(), 10).unwrap();
    draft.attach(client.buffer(70_000).unwrap(), 10).unwrap(); // replaces the first
    drop(draft);
    assert!(server.poll().is_none());
    assert_eq!(client.away(), 0);
    drop((client, server));
    assert_all_free(&room.segment);
}
