//! Sleeping, by every method: nothing that arrives is slept through, be it a message or other work of the ring.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use io_uring::{opcode, types};
use xseg::{
    BELL_TOKEN, BindOptions, Event, OpCode, Port, PortId, WaitMethod, Waiter, WaiterOptions,
};

use crate::support::{NOBODY, PATIENCE, Parent, Room, Worker, WorkerOptions, assert_all_free};
use crate::support::{
    is_root, may_have_a_ring, next_reply, next_request, ring_methods, until, wait_methods,
};

const ROUNDS: u64 = 2000;

/// A waiter that always sleeps.
fn sleeper(port: &Port, method: WaitMethod) -> Waiter {
    let options = WaiterOptions::default()
        .method(method)
        .spin_max(Duration::ZERO);
    let waiter = Waiter::new(port, &options).unwrap();
    assert!(method == WaitMethod::Auto || waiter.method() == method);
    waiter
}

fn method_named(name: &str) -> WaitMethod {
    [
        WaitMethod::RingFutex,
        WaitMethod::RingHelper,
        WaitMethod::Futex,
        WaitMethod::Auto,
    ]
    .into_iter()
    .find(|method| format!("{method:?}") == name)
    .expect("a method's name")
}

#[track_caller]
fn next(port: &Port, waiter: &mut Waiter) -> Event {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(event) = port.poll() {
            return event;
        }
        waiter.wait(&[port], Some(PATIENCE), |_| {}).unwrap();
        assert!(Instant::now() < give_up, "nothing arrives");
    }
}

fn serve(port: &Port, method: WaitMethod) {
    let mut waiter = sleeper(port, method);
    for round in 0..ROUNDS {
        match next(port, &mut waiter) {
            Event::Request(request) => {
                assert_eq!(request.request().handle, round);
                request.answer(round + 1);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn ask(port: &Port, server: PortId, method: WaitMethod) {
    let mut waiter = sleeper(port, method);
    for round in 0..ROUNDS {
        let mut draft = port.draft(OpCode::READ).unwrap();
        draft.set_handle(round);
        draft.send(server).unwrap();
        match next(port, &mut waiter) {
            Event::Reply(reply) => assert_eq!(reply.result(), Ok(round + 1)),
            other => panic!("{other:?}"),
        }
    }
}

/// WAIT-1, between threads
#[test]
fn messages_go_to_and_fro_between_threads_that_sleep_by_every_method() {
    for method in wait_methods() {
        let room = Room::new();
        let segment = room.join();
        let server = std::thread::spawn(move || {
            let port = segment.bind(0, &BindOptions::default()).unwrap();
            serve(&port, method);
        });
        until("the server is there", || {
            room.segment.report_port(0).unwrap().lock_held
        });
        let client = room.bind_dynamic();
        until("it is bound", || {
            client
                .draft(OpCode::PING)
                .unwrap()
                .send(room.port(0))
                .is_ok()
        });
        drop(next_reply(&client));
        ask(&client, room.port(0), method);
        server.join().unwrap();
        drop(client);
        until("the last ring is gone", || {
            room.segment.settle_all().unwrap() == Default::default()
        });
        assert_all_free(&room.segment);
    }
}

/// Serves port 0 by the method that it is told, perhaps without the right to lock memory.
pub fn serve_by_method(parent: &mut Parent) {
    if parent.args()[0] == "no locked memory" {
        let nothing = rustix::process::Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        rustix::process::setrlimit(rustix::process::Resource::Memlock, nothing).unwrap();
    }
    let segment = parent.join();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    let method = method_named(parent.args()[1]);
    parent.say("bound");
    serve(&port, method);
    parent.say("served");
}

/// The other side is a process of a user without any rights, if we can start one.
fn ping_pong_with_a_process(limit: &str, methods: &[WaitMethod]) {
    for method in methods {
        let room = Room::new();
        let mut options = WorkerOptions::at(&room.segment);
        if is_root() {
            let path = room.place().path();
            std::os::unix::fs::chown(path, None, Some(NOBODY)).unwrap();
            options = options.user(NOBODY);
        }
        let options = options.arg(limit).arg(format!("{method:?}"));
        let mut worker = options.start("serve_by_method");
        worker.expect("bound");
        let client = room.bind_dynamic();
        ask(&client, room.port(0), *method);
        worker.expect("served");
        worker.finish();
        drop(client);
        room.segment.settle_all().unwrap();
        assert_all_free(&room.segment);
    }
}

/// WAIT-1, between processes. Nothing needs a privilege (S9).
#[test]
fn messages_go_to_and_fro_between_processes_that_sleep_by_every_method() {
    ping_pong_with_a_process("the usual limits", &wait_methods());
}

/// Some kernels count a ring's own memory as locked. Then there is no ring, and sleeping works all the same.
#[test]
fn messages_go_to_and_fro_with_a_process_that_may_lock_no_memory() {
    ping_pong_with_a_process("no locked memory", &[WaitMethod::Auto, WaitMethod::Futex]);
}

/// Other work of the ring ends the same sleep.
#[test]
fn a_pipe_that_becomes_readable_wakes_a_thread_that_waits_for_its_ports() {
    for method in ring_methods() {
        let room = Room::new();
        let port = room.bind(0);
        let mut waiter = sleeper(&port, method);
        let (readable, writable) = rustix::pipe::pipe().unwrap();
        let poll = opcode::PollAdd::new(types::Fd(readable.as_raw_fd()), libc::POLLIN as u32)
            .build()
            .user_data(77);
        // SAFETY: a poll touches no memory; the descriptor is open until the completion was seen.
        unsafe { waiter.ring().unwrap().submission().push(&poll) }.unwrap();
        let segment = room.join();
        let writer = std::thread::spawn(move || {
            until("it sleeps", || segment.report_port(0).unwrap().asleep);
            rustix::io::write(&writable, b"x").unwrap();
            writable
        });
        let mut tokens = Vec::new();
        while tokens.is_empty() {
            waiter
                .wait(&[&port], Some(PATIENCE), |done| tokens.push(done.user_data))
                .unwrap();
        }
        assert_eq!(tokens, [77], "{method:?}");
        drop(writer.join().unwrap());
    }
}

#[test]
fn a_time_out_operation_and_messages_wake_the_same_sleep() {
    for method in ring_methods() {
        let room = Room::new();
        let (port, client) = (room.bind(0), room.bind_dynamic());
        let mut waiter = sleeper(&port, method);
        let timespec = types::Timespec::from(Duration::from_millis(5));
        let timer = opcode::Timeout::new(&timespec).build().user_data(5);
        // SAFETY: `timespec` lives until the completion was seen below.
        unsafe { waiter.ring().unwrap().submission().push(&timer) }.unwrap();
        waiter.submit().unwrap();
        client.draft(OpCode::READ).unwrap().send(port.id()).unwrap();
        let (mut fired, mut taken) = (false, false);
        while !(fired && taken) {
            waiter
                .wait(&[&port], Some(PATIENCE), |done| {
                    assert_ne!(done.user_data, BELL_TOKEN);
                    assert_eq!((done.user_data, done.result), (5, -libc::ETIME));
                    fired = true;
                })
                .unwrap();
            if let Some(Event::Request(request)) = port.poll() {
                request.answer(0);
                taken = true;
            }
        }
    }
}

#[test]
fn many_ports_of_a_thread_share_one_bell() {
    for method in wait_methods() {
        let room = Room::new();
        let ports = [
            room.bind(0),
            room.bind(1),
            room.bind(2),
            room.bind_dynamic(),
        ];
        let mut waiter = sleeper(&ports[0], method);
        ports[1..].iter().for_each(|port| waiter.add(port));
        let numbers: Vec<u32> = ports.iter().map(|port| port.id().get()).collect();
        let segment = room.join();
        let asker = std::thread::spawn(move || {
            let client = segment.bind_dynamic(&BindOptions::default()).unwrap();
            for number in numbers.into_iter().cycle().take(200) {
                let to = segment.geometry().port(number).unwrap();
                client.draft(OpCode::READ).unwrap().send(to).unwrap();
                assert_eq!(next_reply(&client).result(), Ok(u64::from(number)));
            }
        });
        let all: Vec<&Port> = ports.iter().collect();
        let mut served = 0;
        while served < 200 {
            for port in &ports {
                while let Some(Event::Request(request)) = port.poll() {
                    request.answer(port.id().get().into());
                    served += 1;
                }
            }
            waiter
                .wait(&all, Some(Duration::from_millis(100)), |_| {})
                .unwrap();
        }
        asker.join().unwrap();
    }
}

/// A port that leaves its waiter gets its own bell back.
#[test]
fn a_port_whose_waiter_is_gone_can_sleep_by_itself() {
    let room = Room::new();
    let (first, second) = (room.bind(0), room.bind(1));
    let mut waiter = sleeper(&first, WaitMethod::Futex);
    waiter.add(&second);
    drop(waiter);
    let segment = room.join();
    let asker = std::thread::spawn(move || {
        let client = segment.bind_dynamic(&BindOptions::default()).unwrap();
        until("it sleeps", || segment.report_port(1).unwrap().asleep);
        client
            .draft(OpCode::READ)
            .unwrap()
            .send(segment.geometry().port(1).unwrap())
            .unwrap();
        assert_eq!(next_reply(&client).result(), Ok(1));
    });
    next_request(&second).answer(1);
    asker.join().unwrap();
}

#[test]
fn a_wait_without_anything_to_wait_for_ends_with_its_time() {
    for method in wait_methods() {
        for spin_max in [Duration::ZERO, Duration::from_micros(5), Duration::MAX] {
            let room = Room::new();
            let port = room.bind(0);
            let options = WaiterOptions::default().method(method).spin_max(spin_max);
            let mut waiter = Waiter::new(&port, &options).unwrap();
            assert!(port.poll().is_none());
            for timeout in [
                Duration::ZERO,
                Duration::from_nanos(1),
                Duration::from_millis(20),
            ] {
                let begun = std::time::Instant::now();
                let found = waiter.wait(&[&port], Some(timeout), |_| panic!("what finished?"));
                assert!(!found.unwrap());
                assert!(begun.elapsed() >= timeout);
            }
            assert!(!port.wait(Some(Duration::from_millis(1))));
        }
    }
}

#[test]
fn what_is_there_already_is_not_waited_for() {
    for method in wait_methods() {
        let room = Room::new();
        let (port, client) = (room.bind(0), room.bind_dynamic());
        let mut waiter = sleeper(&port, method);
        client.draft(OpCode::READ).unwrap().send(port.id()).unwrap();
        assert!(waiter.wait(&[&port], None, |_| {}).unwrap());
        assert!(waiter.wait(&[&port], Some(Duration::MAX), |_| {}).unwrap());
        next_request(&port).answer(0);
        assert!(!waiter.wait(&[&port], Some(Duration::ZERO), |_| {}).unwrap());
    }
}

#[test]
fn a_spinning_waiter_finds_what_arrives_and_never_says_that_it_sleeps() {
    let room = Room::new();
    let port = room.bind(0);
    let options = WaiterOptions::default().spin_max(Duration::MAX);
    let mut waiter = Waiter::new(&port, &options).unwrap();
    let mut asker = Worker::start("ask_port_0", &room.segment);
    asker.expect("going");
    for _ in 0..100 {
        let Event::Request(request) = next(&port, &mut waiter) else {
            panic!("requests only");
        };
        let handle = request.request().handle;
        request.answer(handle + 1);
    }
    let stats = room.segment.report_port(0).unwrap().stats;
    assert_eq!(stats.get(xseg::Counter::Sleeps), 0);
}

/// WAIT-2: the ring's user has the slots after the gate's, and cannot do without the gate.
#[test]
fn a_waiters_ring_holds_the_gate_and_leaves_slots_for_its_user() {
    if !may_have_a_ring() {
        return;
    }
    let room = Room::new();
    let port = room.bind(0);
    let options = WaiterOptions::default().file_slots(2).entries(8);
    let mut waiter = Waiter::new(&port, &options).unwrap();
    let (readable, _writable) = rustix::pipe::pipe().unwrap();
    let ring = waiter.ring().unwrap();
    let files = [readable.as_raw_fd()];
    assert_eq!(
        ring.submitter().register_files_update(1, &files).unwrap(),
        1
    );
    assert_eq!(
        ring.submitter().register_files_update(2, &files).unwrap(),
        1
    );
    assert!(
        ring.submitter().register_files_update(3, &files).is_err(),
        "two are two"
    );
}

/// More finishes at once than the completion queue holds: the kernel keeps the rest until somebody asks for it.
#[test]
fn what_the_completion_queue_had_no_room_for_is_delivered_whoever_waits_and_however() {
    const OPERATIONS: u64 = 100;
    if !may_have_a_ring() {
        return;
    }
    for spin_max in [Duration::ZERO, Duration::MAX] {
        for timeout in [Duration::ZERO, Duration::from_secs(100)] {
            let room = Room::new();
            let port = room.bind(0);
            let options = WaiterOptions::default().spin_max(spin_max).entries(8);
            let mut waiter = Waiter::new(&port, &options).unwrap();
            for number in 0..OPERATIONS {
                let entry = opcode::Nop::new().build().user_data(number);
                // SAFETY: a no-op refers to nothing.
                while unsafe { waiter.ring().unwrap().submission().push(&entry) }.is_err() {
                    waiter.submit().unwrap();
                }
            }
            let mut finished = Vec::new();
            until("all are delivered", || {
                let give = |done: xseg::Completion| finished.push(done.user_data);
                waiter.wait(&[&port], Some(timeout), give).unwrap();
                finished.len() as u64 == OPERATIONS
            });
            finished.sort_unstable();
            assert!(finished.into_iter().eq(0..OPERATIONS));
        }
    }
}
