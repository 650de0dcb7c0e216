//! Settling: by anybody, by several at once, never the living (F12, F15, F16).

use xseg::{BindOptions, PortError, Settled, Takeover};

use crate::support::{Parent, Room, Worker, WorkerOptions, assert_all_free, next_request, until};

#[test]
fn a_living_port_is_not_settled_and_its_pid_is_told() {
    let room = Room::new();
    let mut worker = Worker::start("hold_port_0", &room.segment);
    worker.expect("bound");
    let error = room.segment.settle(0).unwrap_err();
    let PortError::Alive { pid, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(pid, worker.pid());
    assert_eq!(room.segment.settle_all().unwrap(), Settled::default());
    worker.say("leave");
    worker.expect("left");
}

/// F16: stopped is not dead, however long it takes.
#[test]
fn a_stopped_peer_is_not_robbed_and_goes_on_when_it_is_continued() {
    let room = Room::new();
    let client = room.bind_dynamic();
    let mut worker = Worker::start("take_requests", &room.segment);
    worker.expect("ready");
    worker.say(2);
    until("it sleeps", || room.segment.report_port(0).unwrap().asleep);
    worker.signal(rustix::process::Signal::STOP);
    client
        .draft(xseg::OpCode::READ)
        .unwrap()
        .send(room.port(0))
        .unwrap();
    for takeover in [
        Takeover::Refuse,
        Takeover::AfterDeath(std::time::Duration::MAX),
    ] {
        let options = BindOptions::default().takeover(takeover);
        let error = room
            .segment
            .bind(0, &options)
            .map(|port| port.id())
            .unwrap_err();
        assert!(matches!(error, PortError::Alive { .. }), "{error}");
    }
    assert!(matches!(
        room.segment.settle(0),
        Err(PortError::Alive { .. })
    ));
    assert_eq!(room.segment.settle_all().unwrap(), Settled::default());
    assert_eq!(room.segment.verify(), []);
    worker.signal(rustix::process::Signal::CONT);
    client
        .draft(xseg::OpCode::READ)
        .unwrap()
        .send(room.port(0))
        .unwrap();
    worker.expect("taken");
}

#[test]
fn this_processs_own_ports_are_not_settled_either() {
    let room = Room::new();
    let ports = [
        room.bind(0),
        room.bind(1),
        room.bind_dynamic(),
        room.bind_dynamic(),
    ];
    assert_eq!(room.segment.settle_all().unwrap(), Settled::default());
    for port in &ports {
        let error = room.segment.settle(port.id().get()).unwrap_err();
        assert!(matches!(error, PortError::Alive { .. }), "{error}");
    }
    assert_eq!(room.segment.verify(), []);
}

/// Settles everything again and again, and tells at the end how many dead ports it was that settled.
pub fn settle_until_told(parent: &mut Parent) {
    let segment = parent.join();
    let mut ports = 0;
    let rounds: u32 = parent.args()[0].parse().unwrap();
    parent.say("ready");
    parent.hear();
    for _ in 0..rounds {
        ports += segment.settle_all().unwrap().ports;
    }
    parent.say(ports);
}

/// GATE-2, SETTLE-1: threads and processes settle at once; each death is settled by one of them.
#[test]
fn many_settlers_at_once_settle_each_death_once() {
    let room = Room::new();
    let server = room.bind(0);
    for _ in 0..5 {
        let mut victims: Vec<_> = (0..4)
            .map(|_| Worker::start("have_everything", &room.segment))
            .collect();
        victims.iter_mut().for_each(|victim| drop(victim.hear()));
        let mut settlers: Vec<_> = (0..2)
            .map(|_| {
                WorkerOptions::at(&room.segment)
                    .arg(300)
                    .start("settle_until_told")
            })
            .collect();
        settlers
            .iter_mut()
            .for_each(|settler| settler.expect("ready"));
        settlers.iter_mut().for_each(|settler| settler.say("go"));
        victims.iter_mut().for_each(Worker::kill);
        let in_threads: u32 = std::thread::scope(|scope| {
            let settle = || {
                let segment = room.join();
                (0..300)
                    .map(|_| segment.settle_all().unwrap().ports)
                    .sum::<u32>()
            };
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(settle)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        let in_processes: u32 = settlers
            .iter_mut()
            .map(|settler| settler.hear().parse::<u32>().unwrap())
            .sum();
        let mut afterwards = 0;
        until("all are settled", || {
            afterwards += room.segment.settle_all().unwrap().ports;
            in_threads + in_processes + afterwards == 4
        });
        for _ in 0..24 {
            next_request(&server).answer(0);
        }
        assert_eq!(room.segment.verify(), []);
    }
    drop(server);
    assert_all_free(&room.segment);
}

/// SETTLE-4: a settler that dies at its work leaves a dead incarnation of its own, which the next one settles.
#[test]
#[cfg(feature = "kill-points")]
fn a_settler_is_the_ports_incarnation_until_it_is_done() {
    let room = Room::new();
    let (client, server) = (room.bind_dynamic(), room.bind(0));
    let mut between = Worker::start("interpose_and_hold", &room.segment);
    let number: u32 = between.hear().parse().unwrap();
    for _ in 0..2 {
        let draft = client.draft(xseg::OpCode::READ).unwrap();
        draft.send(server.id()).unwrap();
    }
    between.expect("one forwarded, one held");
    let dead = room.segment.report_port(number).unwrap();
    between.kill();
    let mut settler = WorkerOptions::at(&room.segment)
        .arg(number)
        .arg("settle.after-slots")
        .start("settle_and_die");
    until("the settler is dead", || settler.is_dead());
    let left = room.segment.report_port(number).unwrap();
    assert_eq!(left.process.pid, settler.pid());
    assert_eq!(left.life.generation(), dead.life.generation() + 1);
    assert!(matches!(left.life, xseg::Life::Settling { .. }), "{left:?}");
    let draft = client.draft(xseg::OpCode::READ).unwrap();
    let error = draft.send(room.port(number)).unwrap_err();
    assert!(
        matches!(error, xseg::RequestError::Unbound { .. }),
        "{error}"
    );
    until("the dead settler is settled", || {
        room.segment.settle(number).is_ok()
    });
    for _ in 0..2 {
        next_request(&server).answer(0);
        drop(crate::support::next_reply(&client));
    }
    drop((client, server));
    room.segment.settle_all().unwrap();
    assert_all_free(&room.segment);
}

/// F11, RECOVER-2: the sender died between naming its receiver and the push, its settler before it told anybody. The
/// sender's successor does.
#[test]
#[cfg(feature = "kill-points")]
fn a_bind_announces_the_death_that_a_dead_settler_did_not() {
    let room = Room::new();
    let (client, server) = (room.bind_dynamic(), room.bind(0));
    let mut forwarder = WorkerOptions::at(&room.segment)
        .arg("send.after-mark")
        .start("forward_to_port_0");
    forwarder.expect("ready");
    let draft = client.draft(xseg::OpCode::READ).unwrap();
    draft.send(room.port(1)).unwrap();
    until("the forwarder is dead", || forwarder.is_dead());
    let mut settler = WorkerOptions::at(&room.segment)
        .arg(1)
        .arg("settle.after-life")
        .start("settle_and_die");
    until("the settler is dead", || settler.is_dead());
    assert!(server.poll().is_none(), "it was never pushed");
    let successor = room.bind(1);
    next_request(&server).answer(7);
    assert_eq!(crate::support::next_reply(&client).result(), Ok(7));
    drop((client, server, successor));
    assert_all_free(&room.segment);
}

/// Port 1 forwards to port 0, until the named place ends it.
#[cfg(feature = "kill-points")]
pub fn forward_to_port_0(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind(1, &Default::default()).unwrap();
    xseg::kill::arm(parent.args()[0], 1);
    parent.say("ready");
    loop {
        let to = segment.geometry().port(0).unwrap();
        next_request(&port).forward(to).unwrap();
    }
}

/// Tries until the named place ends it.
#[cfg(feature = "kill-points")]
pub fn settle_and_die(parent: &mut Parent) {
    let [number, point] = parent.args()[..] else {
        panic!("a port and a kill point")
    };
    let number = number.parse().unwrap();
    xseg::kill::arm(point, 1);
    let segment = parent.join();
    until("the settlement kills us", || {
        let _ = segment.settle(number); // the dead one's lock is still taken for a while
        false
    });
}

#[test]
fn settling_a_segment_of_the_dead_leaves_it_as_new() {
    let room = Room::new();
    let mut server = Worker::start("serve_port_0", &room.segment);
    server.expect("ready");
    let mut clients: Vec<_> = (0..3)
        .map(|_| Worker::start("ask_port_0", &room.segment))
        .collect();
    clients.iter_mut().for_each(|client| client.expect("going"));
    server.kill();
    clients.iter_mut().for_each(Worker::kill);
    // Nobody but the tool is left.
    let mut settled = 0;
    until("all are settled", || {
        settled += room.segment.settle_all().unwrap().ports;
        settled == 4
    });
    // What waits for the server's successor is all that is left.
    let heir = room.bind(0);
    while let Some(event) = heir.poll() {
        match event {
            xseg::Event::Request(request) => request.answer(0),
            other => panic!("{other:?}"),
        }
    }
    drop(heir);
    room.segment.settle_all().unwrap();
    assert_all_free(&room.segment);
}
