//! Kills at random moments, again and again: every request gets one answer, and at the end everything is free.

use std::collections::HashMap;

use xseg::{BindOptions, Event, Incoming, OpCode, Port, PortId};

use crate::support::{
    PATIENCE, Parent, Random, Room, Worker, assert_all_free, next_event, next_request, until,
};

/// Answers every request on port 0 with its handle plus one.
pub fn serve_port_0(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    parent.say("ready");
    loop {
        let request = next_request(&port);
        let handle = request.request().handle;
        request.answer(handle + 1);
    }
}

/// Asks port 0 for ever, and checks every answer.
pub fn ask_port_0(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind_dynamic(&BindOptions::default()).unwrap();
    let mut asker = Asker::new(port);
    asker.fill(4);
    parent.say("going");
    loop {
        asker.exchange(1);
    }
}

/// A client that knows what it is owed.
struct Asker {
    port: Port,
    server: PortId,
    next: u64,
    owed: HashMap<u64, ()>,
}

impl Asker {
    fn new(port: Port) -> Self {
        Self {
            server: port.geometry().port(0).unwrap(),
            port,
            next: 0,
            owed: HashMap::new(),
        }
    }

    /// Sends until so many are away.
    fn fill(&mut self, away: usize) {
        while self.owed.len() < away {
            let buffer = self.port.buffer(4096).unwrap();
            let mut draft = self.port.draft(OpCode::WRITE).unwrap();
            draft.set_handle(self.next);
            draft.set_cookie(self.next);
            draft.attach(buffer, 4096).unwrap();
            draft.send(self.server).unwrap();
            self.owed.insert(self.next, ());
            self.next += 1;
        }
    }

    /// Takes an answer if one is there.
    fn take(&mut self) -> bool {
        match self.port.poll() {
            None => false,
            Some(Event::Reply(reply)) => {
                let cookie = reply.cookie();
                assert!(self.owed.remove(&cookie).is_some(), "{cookie} twice");
                assert_eq!(reply.result(), Ok(cookie + 1));
                true
            }
            Some(other) => panic!("{other:?}"),
        }
    }

    /// Takes so many answers, and keeps asking.
    fn exchange(&mut self, answers: u64) {
        for _ in 0..answers {
            self.fill(8);
            while !self.take() {
                assert!(self.port.wait(Some(PATIENCE)), "no answer comes");
            }
        }
    }

    fn finish(&mut self) {
        until("all answers come", || {
            while self.take() {}
            self.owed.is_empty()
        });
    }
}

#[test]
fn a_server_that_is_killed_again_and_again_loses_and_doubles_no_request() {
    let room = Room::new();
    drop(room.bind(0)); // requests can wait for it
    let mut random = Random::new();
    let mut asker = Asker::new(room.bind_dynamic());
    for round in 0..40 {
        let mut server = Worker::start("serve_port_0", &room.segment);
        if round % 5 != 0 {
            server.expect("ready");
            asker.exchange(random.below(200));
        }
        asker.fill(16);
        server.kill();
        if round % 3 == 0 {
            room.segment.settle_all().unwrap();
        }
    }
    let mut server = Worker::start("serve_port_0", &room.segment);
    server.expect("ready");
    asker.finish();
    server.kill();
    drop(asker);
    until("its death is settled", || {
        room.segment.settle_all().unwrap().ports == 1
    });
    assert_all_free(&room.segment);
}

#[test]
fn clients_that_are_killed_again_and_again_leave_nothing_behind() {
    let room = Room::new();
    let server = room.bind(0);
    let mut random = Random::new();
    let mut held: Vec<Incoming> = Vec::new();
    for round in 0..30 {
        let mut clients: Vec<_> = (0..1 + round % 3)
            .map(|_| Worker::start("ask_port_0", &room.segment))
            .collect();
        for _ in 0..random.below(500) {
            held.push(next_request(&server));
            while held.len() > random.below(5) as usize {
                let at = random.below(held.len() as u64) as usize;
                let request = held.swap_remove(at);
                let handle = request.request().handle;
                request.answer(handle + 1);
            }
        }
        clients.iter_mut().for_each(Worker::kill);
        room.segment.settle_all().unwrap();
    }
    held.into_iter().for_each(|request| request.answer(0));
    until("all are settled and answered", || {
        while let Some(event) = server.poll() {
            match event {
                Event::Request(request) => request.answer(0),
                other => panic!("{other:?}"),
            }
        }
        room.segment.settle_all().unwrap();
        room.segment.verify().is_empty()
    });
    drop(server);
    assert_all_free(&room.segment);
}

/// Splits every request in two parts, which port 1 does.
pub fn compose(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    let store = segment.geometry().port(1).unwrap();
    parent.say("ready");
    let mut wholes: HashMap<u64, (Incoming, u32)> = HashMap::new();
    loop {
        match next_event(&port) {
            Event::Request(whole) => {
                let serial = whole.request().serial;
                for from in [0, 2048] {
                    let mut part = port.draft(OpCode::WRITE).unwrap();
                    part.set_handle(whole.request().handle);
                    part.set_cookie(serial);
                    part.view(&whole, from, 2048).unwrap();
                    part.send(store).unwrap();
                }
                wholes.insert(serial, (whole, 2));
            }
            Event::Reply(reply) => {
                let serial = reply.cookie();
                drop(reply);
                let (_, parts) = wholes.get_mut(&serial).unwrap();
                *parts -= 1;
                if *parts == 0 {
                    let (whole, _) = wholes.remove(&serial).unwrap();
                    let handle = whole.request().handle;
                    whole.answer(handle + 1);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// RECOVER-3: the store writes to the buffers whenever it likes, and a killed composer's parts are still with it.
/// None of them may write to a buffer that its client has got back and used again.
#[test]
fn parts_of_a_killed_composer_never_touch_a_buffer_that_was_answered() {
    let room = Room::new();
    let (client, store) = (room.bind_dynamic(), room.bind(1));
    drop(room.bind(0));
    let mut random = Random::new();
    let mut owed = HashMap::new();
    let mut parts: Vec<Incoming> = Vec::new();
    let mut next = 1;
    for _ in 0..25 {
        let mut composer = Worker::start("compose", &room.segment);
        composer.expect("ready");
        for _ in 0..random.below(400) {
            while owed.len() < 4 {
                let buffer = client.buffer(4096).unwrap();
                buffer.data().fill(0);
                let mut draft = client.draft(OpCode::WRITE).unwrap();
                draft.set_handle(next);
                draft.set_cookie(next);
                draft.attach(buffer, 4096).unwrap();
                draft.send(room.port(0)).unwrap();
                owed.insert(next, ());
                next += 1;
            }
            take_parts(&store, &mut parts);
            if !parts.is_empty() && random.below(3) > 0 {
                let at = random.below(parts.len() as u64) as usize;
                finish_part(parts.swap_remove(at));
            }
            check_answers(&client, &mut owed);
        }
        composer.kill();
    }
    let mut composer = Worker::start("compose", &room.segment);
    until("all are answered", || {
        take_parts(&store, &mut parts);
        parts.drain(..).for_each(finish_part);
        check_answers(&client, &mut owed);
        owed.is_empty()
    });
    composer.kill();
    drop((client, store));
    until("its death is settled", || {
        room.segment.settle_all().unwrap().ports == 1
    });
    assert_all_free(&room.segment);
}

fn take_parts(store: &Port, parts: &mut Vec<Incoming>) {
    while let Some(event) = store.poll() {
        match event {
            Event::Request(part) => parts.push(part),
            other => panic!("{other:?}"),
        }
    }
}

fn finish_part(part: Incoming) {
    part.data().unwrap().fill(part.request().handle as u8);
    part.answer(2048);
}

fn check_answers(client: &Port, owed: &mut HashMap<u64, ()>) {
    while let Some(event) = client.poll() {
        let Event::Reply(reply) = event else {
            panic!("{event:?}");
        };
        let handle = reply.cookie();
        assert!(owed.remove(&handle).is_some(), "{handle} twice");
        assert_eq!(reply.result(), Ok(handle + 1));
        let mut bytes = [0; 4096];
        reply.data().unwrap().read(0, &mut bytes).unwrap();
        assert!(
            bytes.iter().all(|byte| *byte == handle as u8),
            "a stranger wrote"
        );
    }
}
