//! A peer is killed at every named place of the library, at its first, second and fifth visit: every request gets one
//! answer, and at the end everything is free (F1, F2, F10, F11, F12; S1, S2, S8, BIND-2, ANSWER-1, RECOVER-2).

use std::collections::HashSet;
use std::time::Duration;

use xseg::{
    BindOptions, Event, Geometry, Incoming, OpCode, Port, WaitMethod, Waiter, WaiterOptions,
};

use crate::support::{Parent, Room, Worker, WorkerOptions, assert_all_free, next_event, until};

const REQUESTS: u64 = 48;
const STORE: u32 = 1;

/// Port 0, between the clients and the store: it answers, forwards, sends parts, opens and leaves ports, and settles.
pub fn be_killed_in_the_middle(parent: &mut Parent) {
    if let [point, pass] = parent.args()[..] {
        xseg::kill::arm(point, pass.parse().unwrap());
    }
    let segment = parent.join();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    let mut wholes: Vec<(Incoming, u64)> = Vec::new();
    for count in 1.. {
        match next_event(&port) {
            Event::Request(request) => take(&port, request, &mut wholes),
            Event::Reply(reply) => {
                let serial = reply.cookie();
                drop(reply);
                let at = wholes.iter().position(|(_, part)| *part == serial).unwrap();
                let (whole, _) = wholes.swap_remove(at);
                let handle = whole.request().handle;
                whole.answer(handle + 1);
            }
            Event::Returning(returning) => returning.pass_on(),
            Event::Notice(notice) => notice.answer(0),
            Event::Corrupt(corruption) => panic!("{corruption}"),
        }
        if count % 10 == 0 {
            visit(&segment);
            segment.settle_all().unwrap();
        }
    }
}

fn take(port: &Port, request: Incoming, wholes: &mut Vec<(Incoming, u64)>) {
    let handle = request.request().handle;
    let store = port.geometry().port(STORE).unwrap();
    match handle % 3 {
        0 => request.answer(handle + 1),
        1 => request.forward(store).unwrap(),
        _ => {
            let serial = request.request().serial;
            let mut part = port.draft(OpCode::WRITE).unwrap();
            part.view(&request, 0, 512).unwrap();
            part.set_handle(handle);
            part.set_cookie(serial);
            part.send(store).unwrap();
            wholes.push((request, serial));
        }
    }
}

/// A client that comes, asks the store, and leaves before it is answered.
fn visit(segment: &xseg::Segment) {
    let port = segment.bind_dynamic(&BindOptions::default()).unwrap();
    let store = segment.geometry().port(STORE).unwrap();
    let mut draft = port.draft(OpCode::WRITE).unwrap();
    draft.attach(port.buffer(4096).unwrap(), 4096).unwrap();
    draft.send(store).unwrap();
    let _unused = port.buffer(8192).unwrap();
}

/// The client and the store, in the test's own thread. It sleeps between looks, so that it has to be woken.
struct House {
    client: Port,
    store: Port,
    waiter: Waiter,
    owed: HashSet<u64>,
    next: u64,
    room: Room,
}

impl House {
    /// With a dead client, a dead server that held two requests, and a dead holder of port 2 to begin with.
    fn new() -> Self {
        let geometry = Geometry::new(8, 4, 256)
            .and_then(|geometry| geometry.with_buffers(4096, 128))
            .and_then(|geometry| geometry.with_buffers(8192, 32))
            .and_then(|geometry| geometry.with_buffers(128 << 10, 4))
            .unwrap();
        let room = Room::of(geometry);
        drop(room.bind(0));
        let (client, store) = (room.bind_dynamic(), room.bind(STORE));
        let options = WaiterOptions::default()
            .method(WaitMethod::Futex)
            .spin_max(Duration::ZERO);
        let mut waiter = Waiter::new(&client, &options).unwrap();
        waiter.add(&store);
        let mut house = Self {
            client,
            store,
            waiter,
            owed: HashSet::new(),
            next: 0,
            room,
        };
        (0..REQUESTS / 2).for_each(|_| house.send());
        let mut dead = [
            Worker::start("have_everything", &house.room.segment),
            WorkerOptions::at(&house.room.segment)
                .arg(2)
                .start("take_and_hold"),
            Worker::start("hold_port_2", &house.room.segment),
        ];
        dead.iter_mut().for_each(|worker| drop(worker.hear()));
        dead.iter_mut().for_each(Worker::kill);
        house
    }

    fn send(&mut self) {
        let handle = self.next;
        self.next += 1;
        let mut draft = self.client.draft(OpCode::WRITE).unwrap();
        draft.set_handle(handle);
        draft.set_cookie(handle);
        draft.attach(self.client.buffer(512).unwrap(), 512).unwrap();
        draft.send(self.room.port(0)).unwrap();
        self.owed.insert(handle);
    }

    /// One look at both inboxes, and perhaps a sleep. Is everything sent and answered?
    fn turn(&mut self) -> bool {
        if self.next < REQUESTS && self.owed.len() < 20 {
            self.send();
        }
        while let Some(event) = self.store.poll() {
            let Event::Request(request) = event else {
                panic!("{event:?}");
            };
            let handle = request.request().handle;
            request.answer(handle + 1);
        }
        while let Some(event) = self.client.poll() {
            let Event::Reply(reply) = event else {
                panic!("{event:?}");
            };
            let handle = reply.cookie();
            assert!(self.owed.remove(&handle), "{handle} twice");
            assert_eq!(reply.result(), Ok(handle + 1));
        }
        let ports = [&self.client, &self.store];
        self.waiter
            .wait(&ports, Some(Duration::from_millis(1)), |_| {})
            .unwrap();
        self.owed.is_empty() && self.next == REQUESTS
    }

    /// Runs the middle until it dies there, or until everything is answered. Did it die by itself?
    fn run(&mut self, mut middle: Worker) -> bool {
        while !middle.is_dead() {
            if self.turn() {
                middle.kill();
                return false;
            }
        }
        true
    }

    fn close(mut self) {
        let mut middle = Worker::start("be_killed_in_the_middle", &self.room.segment);
        until("everything is answered", || {
            assert!(!middle.is_dead(), "nobody kills this one");
            self.turn()
        });
        drop(middle);
        let Self {
            client,
            store,
            waiter,
            room,
            ..
        } = self;
        until("everything is settled", || {
            room.segment.settle_all().unwrap();
            while let Some(Event::Request(request)) = store.poll() {
                request.answer(0);
            }
            let report = room.segment.report();
            report
                .ports
                .iter()
                .all(|port| port.process_alive || !port.lock_held)
        });
        drop((waiter, client, store));
        // What was left for port 0: the dead client's requests.
        let last = room.bind(0);
        while let Some(Event::Request(request)) = last.poll() {
            request.answer(0);
        }
        drop(last);
        room.segment.settle_all().unwrap();
        assert_all_free(&room.segment);
    }
}

fn kill_at(point: &str, pass: u32) -> bool {
    let mut house = House::new();
    let options = WorkerOptions::at(&house.room.segment).arg(point).arg(pass);
    let died = house.run(options.start("be_killed_in_the_middle"));
    house.close();
    died
}

#[test]
fn a_peer_may_die_at_every_named_place() {
    for point in xseg::kill::KILL_POINTS {
        println!("{point}");
        assert!(kill_at(point, 1), "{point} is not reached");
    }
}

#[test]
fn a_peer_may_die_at_every_named_place_the_second_and_the_fifth_time() {
    for point in xseg::kill::KILL_POINTS {
        for pass in [2, 5] {
            println!("{point} {pass}");
            kill_at(point, pass);
        }
    }
}
