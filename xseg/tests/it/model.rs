//! Ports against a model that anybody can understand: a queue for each inbox, and a list of what is owed.

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;
use xseg::{BindOptions, Event, Incoming, OpCode, Port, Ticket};

use crate::support::{Room, assert_all_free};

const PORTS: usize = 3;
const HELD_MAX: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Send {
        from: usize,
        to: usize,
        with_data: bool,
    },
    Poll(usize),
    /// Answers the so-manieth request that this port holds.
    Answer(usize, usize),
    /// Hands it on to another port.
    HandOn(usize, usize, usize),
    /// Gives up the so-manieth request that this port has away.
    Abandon(usize, usize),
    /// The port is given back and bound again; what it holds is answered first.
    Rebind(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let port = 0..PORTS;
    let step = prop_oneof![
        6 => (port.clone(), port.clone(), any::<bool>())
            .prop_map(|(from, to, with_data)| Step::Send { from, to, with_data }),
        8 => port.clone().prop_map(Step::Poll),
        5 => (port.clone(), 0..8_usize).prop_map(|(port, nth)| Step::Answer(port, nth)),
        2 => (port.clone(), 0..8_usize, port.clone())
            .prop_map(|(port, nth, to)| Step::HandOn(port, nth, to)),
        1 => (port.clone(), 0..8_usize).prop_map(|(port, nth)| Step::Abandon(port, nth)),
        1 => port.prop_map(Step::Rebind),
    ];
    prop::collection::vec(step, 0..200)
}

/// A request as the model knows it: who sent it, in which life of that port, and the number it bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    number: u64,
    from: usize,
    life: u32,
}

#[derive(Default)]
struct Side {
    port: Option<Port>,
    life: u32,
    held: Vec<(Incoming, Sent)>,
    away: Vec<(Ticket, u64)>,
    // The model:
    inbox: VecDeque<Sent>,
    answers: VecDeque<u64>,
}

struct World {
    room: Room,
    sides: [Side; PORTS],
    next: u64,
    abandoned: HashMap<u64, ()>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            room: Room::new(),
            sides: Default::default(),
            next: 1,
            abandoned: HashMap::new(),
        };
        for index in 0..PORTS {
            world.bind(index);
        }
        world
    }

    fn bind(&mut self, index: usize) {
        let options = BindOptions::default().held_max(HELD_MAX as u32);
        let port = self.room.segment.bind(index as u32, &options).unwrap();
        self.sides[index].port = Some(port);
        self.sides[index].life += 1;
    }

    fn port(&self, index: usize) -> &Port {
        self.sides[index].port.as_ref().unwrap()
    }

    fn send(&mut self, from: usize, to: usize, with_data: bool) {
        let port = self.port(from);
        let Ok(mut draft) = port.draft(OpCode::WRITE) else {
            return; // as many away as may be
        };
        if with_data && let Ok(buffer) = port.buffer(100) {
            draft.attach(buffer, 100).unwrap();
        }
        let number = self.next;
        draft.set_handle(number);
        draft.set_cookie(number);
        let ticket = draft.send(self.port(to).id()).unwrap();
        self.next += 1;
        let life = self.sides[from].life;
        self.sides[from].away.push((ticket, number));
        self.sides[to].inbox.push_back(Sent { number, from, life });
    }

    fn poll(&mut self, index: usize) {
        let event = self.port(index).poll();
        let side = &mut self.sides[index];
        // Answers first, in order, but for those that nobody waits for any more.
        while let Some(number) = side.answers.front()
            && self.abandoned.remove(number).is_some()
        {
            side.answers.pop_front();
        }
        if let Some(number) = side.answers.pop_front() {
            let Some(Event::Reply(reply)) = event else {
                panic!("answer {number} expected, not {event:?}");
            };
            assert_eq!((reply.cookie(), reply.result()), (number, Ok(number * 2)));
            side.away.retain(|(ticket, _)| *ticket != reply.ticket());
        } else if side.held.len() < HELD_MAX && !side.inbox.is_empty() {
            let sent = side.inbox.pop_front().unwrap();
            let Some(Event::Request(request)) = event else {
                panic!("{sent:?} expected, not {event:?}");
            };
            assert_eq!(request.request().handle, sent.number);
            side.held.push((request, sent));
        } else {
            assert!(event.is_none(), "{event:?}");
        }
    }

    fn take_held(&mut self, index: usize, nth: usize) -> Option<(Incoming, Sent)> {
        let held = &mut self.sides[index].held;
        (nth < held.len()).then(|| held.remove(nth))
    }

    fn answer(&mut self, index: usize, nth: usize) {
        let Some((request, sent)) = self.take_held(index, nth) else {
            return;
        };
        request.answer(sent.number * 2);
        let requester = &mut self.sides[sent.from];
        if requester.life == sent.life {
            requester.answers.push_back(sent.number);
        } else {
            self.abandoned.remove(&sent.number);
        }
    }

    fn hand_on(&mut self, index: usize, nth: usize, to: usize) {
        if let Some((request, sent)) = self.take_held(index, nth) {
            request.hand_on(self.port(to).id()).unwrap();
            self.sides[to].inbox.push_back(sent);
        }
    }

    fn abandon(&mut self, index: usize, nth: usize) {
        if nth < self.sides[index].away.len() {
            let (ticket, number) = self.sides[index].away.remove(nth);
            self.port(index).abandon(ticket);
            self.abandoned.insert(number, ());
        }
    }

    fn rebind(&mut self, index: usize) {
        while !self.sides[index].held.is_empty() {
            self.answer(index, 0);
        }
        let side = &mut self.sides[index];
        side.port = None;
        // What was away is nobody's now, and so are answers that had come.
        side.away.clear();
        side.answers.clear();
        self.bind(index);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// LANE-4, LEAVE-1, DELIVERY-1, DELIVERY-2
    #[test]
    fn ports_are_queues_and_at_the_end_everything_is_free(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Send { from, to, with_data } => world.send(from, to, with_data),
                Step::Poll(port) => world.poll(port),
                Step::Answer(port, nth) => world.answer(port, nth),
                Step::HandOn(port, nth, to) => world.hand_on(port, nth, to),
                Step::Abandon(port, nth) => world.abandon(port, nth),
                Step::Rebind(port) => world.rebind(port),
            }
        }
        // Everything that is under way comes to an end.
        for _ in 0..2 {
            for index in 0..PORTS {
                loop {
                    while !world.sides[index].held.is_empty() {
                        world.answer(index, 0);
                    }
                    let side = &world.sides[index];
                    if side.inbox.is_empty() && side.answers.is_empty() {
                        break;
                    }
                    world.poll(index);
                }
            }
        }
        for side in &mut world.sides {
            prop_assert!(side.port.take().unwrap().poll().is_none());
        }
        assert_all_free(&world.room.segment);
    }
}
