//! Parts of a request: they lie in the whole's buffer, and nothing is copied.

use xseg::{Errno, Incoming, OpCode, Port, RequestError};

use crate::support::{Room, assert_all_free, next_reply, next_request};

/// A client that sends 64 KiB through a composer, which splits it between two stores.
struct House {
    client: Port,
    composer: Port,
    stores: [Port; 2],
    room: Room,
}

impl House {
    fn new() -> Self {
        let room = Room::new();
        Self {
            client: room.bind_dynamic(),
            composer: room.bind(0),
            stores: [room.bind(1), room.bind(2)],
            room,
        }
    }

    /// Sends a request with `len` bytes of data and takes it at the composer.
    fn whole(&self, len: u64) -> Incoming {
        let mut draft = self.client.draft(OpCode::WRITE).unwrap();
        let buffer = self.client.buffer(len).unwrap();
        buffer.data().fill(1);
        draft.attach(buffer, len).unwrap();
        draft.send(self.composer.id()).unwrap();
        next_request(&self.composer)
    }

    fn send_part(&self, whole: &Incoming, from: u64, len: u64, store: usize) {
        let mut part = self.composer.draft(OpCode::WRITE).unwrap();
        part.view(whole, from, len).unwrap();
        assert_eq!(part.data().unwrap().len(), len);
        part.send(self.stores[store].id()).unwrap();
    }

    fn close(self) {
        let Self {
            client,
            composer,
            stores,
            room,
        } = self;
        drop((client, composer, stores));
        assert_all_free(&room.segment);
    }
}

#[test]
fn parts_of_a_request_are_written_in_place_by_different_ports() {
    let house = House::new();
    let whole = house.whole(65_536);
    house.send_part(&whole, 0, 1000, 0);
    house.send_part(&whole, 65_000, 536, 1);
    assert_eq!(whole.parts_away(), 2);
    for (store, byte) in [(0, 7), (1, 8)] {
        let part = next_request(&house.stores[store]);
        part.data().unwrap().fill(byte);
        let len = part.data().unwrap().len();
        part.answer(len);
        drop(next_reply(&house.composer));
    }
    assert_eq!(whole.parts_away(), 0);
    whole.answer(65_536);
    let reply = next_reply(&house.client);
    let mut bytes = vec![0; 65_536];
    reply.data().unwrap().read(0, &mut bytes).unwrap();
    assert!(bytes[..1000].iter().all(|byte| *byte == 7));
    assert!(bytes[1000..65_000].iter().all(|byte| *byte == 1));
    assert!(bytes[65_000..].iter().all(|byte| *byte == 8));
    drop(reply);
    house.close();
}

#[test]
fn a_part_can_be_parted_again() {
    let house = House::new();
    let whole = house.whole(8192);
    house.send_part(&whole, 4096, 4096, 0);
    let part = next_request(&house.stores[0]);
    let mut smaller = house.stores[0].draft(OpCode::WRITE).unwrap();
    smaller.view(&part, 96, 4000).unwrap();
    smaller.send(house.stores[1].id()).unwrap();
    let last = next_request(&house.stores[1]);
    last.data().unwrap().fill(9);
    last.answer(4000);
    drop(next_reply(&house.stores[0]));
    part.answer(4096);
    drop(next_reply(&house.composer));
    whole.answer(8192);
    let reply = next_reply(&house.client);
    let mut bytes = vec![0; 8192];
    reply.data().unwrap().read(0, &mut bytes).unwrap();
    assert!(bytes[..4192].iter().all(|byte| *byte == 1));
    assert!(bytes[4192..].iter().all(|byte| *byte == 9));
    drop(reply);
    house.close();
}

#[test]
fn a_part_reaches_no_further_than_its_whole() {
    let house = House::new();
    let whole = house.whole(1000); // in a buffer of 4096 bytes
    let mut part = house.composer.draft(OpCode::READ).unwrap();
    for (from, len) in [
        (0, 1001),
        (1000, 1),
        (1, 1000),
        (u64::MAX, 2),
        (2, u64::MAX),
    ] {
        let error = part.view(&whole, from, len).unwrap_err();
        let outside = RequestError::OutsideData {
            from,
            len,
            available: 1000,
        };
        assert_eq!(error, outside);
    }
    part.view(&whole, 1000, 0).unwrap();
    drop(part);
    whole.answer(0);
    drop(next_reply(&house.client));
    house.close();
}

#[test]
fn a_request_without_data_has_no_parts() {
    let house = House::new();
    house
        .client
        .draft(OpCode::READ)
        .unwrap()
        .send(house.composer.id())
        .unwrap();
    let whole = next_request(&house.composer);
    let mut part = house.composer.draft(OpCode::READ).unwrap();
    let error = part.view(&whole, 0, 0).unwrap_err();
    assert!(
        matches!(error, RequestError::OutsideData { available: 0, .. }),
        "{error}"
    );
    whole.answer(0);
}

/// S7, as a rule of the type: while somebody may be writing to the buffer, its owner does not get it back.
#[test]
#[should_panic = "parts of it are drafts or away"]
fn answering_the_whole_while_a_part_is_away_panics() {
    let house = House::new();
    let whole = house.whole(4096);
    house.send_part(&whole, 0, 4096, 0);
    whole.answer(0);
}

#[test]
#[should_panic = "parts of it are drafts or away"]
fn handing_the_whole_on_while_a_part_is_away_panics() {
    let house = House::new();
    let whole = house.whole(4096);
    house.send_part(&whole, 0, 4096, 0);
    let _ = whole.hand_on(house.stores[1].id());
}

#[test]
fn a_part_that_was_given_up_is_still_away() {
    let house = House::new();
    let whole = house.whole(4096);
    let mut part = house.composer.draft(OpCode::READ).unwrap();
    part.view(&whole, 0, 4096).unwrap();
    let ticket = part.send(house.stores[0].id()).unwrap();
    house.composer.abandon(ticket);
    assert_eq!(whole.parts_away(), 1);
    next_request(&house.stores[0]).fail(Errno::IO);
    assert!(house.composer.poll().is_none(), "nobody waits for it");
    assert_eq!(whole.parts_away(), 0);
    whole.fail(Errno::IO);
    drop(next_reply(&house.client));
    house.close();
}

#[test]
fn a_part_that_was_never_sent_does_not_count() {
    let house = House::new();
    let whole = house.whole(4096);
    let mut part = house.composer.draft(OpCode::READ).unwrap();
    part.view(&whole, 0, 4096).unwrap();
    part.attach(house.composer.buffer(10).unwrap(), 10).unwrap(); // no part any more
    drop(part);
    assert_eq!(whole.parts_away(), 0);
    whole.answer(0);
    drop(next_reply(&house.client));
    house.close();
}

#[test]
#[should_panic = "through the port that holds the whole"]
fn a_part_travels_through_the_port_that_holds_the_whole() {
    let house = House::new();
    let whole = house.whole(4096);
    let mut part = house.client.draft(OpCode::READ).unwrap();
    let _ = part.view(&whole, 0, 10);
}

#[test]
#[should_panic = "parts of it are drafts"]
fn answering_the_whole_while_a_part_is_still_a_draft_panics() {
    let house = House::new();
    let whole = house.whole(4096);
    let mut part = house.composer.draft(OpCode::WRITE).unwrap();
    part.view(&whole, 0, 4096).unwrap();
    whole.answer(0); // and the client may write to its buffer again
}

#[test]
fn a_part_that_is_never_sent_is_no_part() {
    let house = House::new();
    let whole = house.whole(4096);
    let mut part = house.composer.draft(OpCode::WRITE).unwrap();
    part.view(&whole, 0, 512).unwrap();
    part.view(&whole, 512, 512).unwrap();
    assert_eq!(whole.parts_away(), 1);
    drop(part);
    let mut part = house.composer.draft(OpCode::WRITE).unwrap();
    part.view(&whole, 0, 512).unwrap();
    part.attach(house.composer.buffer(512).unwrap(), 512)
        .unwrap();
    assert_eq!(whole.parts_away(), 0);
    whole.answer(4096);
    drop((part, next_reply(&house.client)));
    house.close();
}
