//! Doorbells: rung when somebody sleeps, and once a burst.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use xseg::{Counter, OpCode, Port, Segment, WaitMethod, Waiter, WaiterOptions};

use crate::support::{Parent, Room, Worker, next_request, until};

fn rings(segment: &Segment, port: &Port) -> u64 {
    let report = segment.report_port(port.id().get()).unwrap();
    report.stats.get(Counter::Rings)
}

fn send(client: &Port, to: u32) {
    let to = client.geometry().port(to).unwrap();
    client.draft(OpCode::READ).unwrap().send(to).unwrap();
}

/// Sleeps on port 0 until it has taken as many requests as it was told, then says so.
pub fn take_requests(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind(0, &Default::default()).unwrap();
    loop {
        parent.say("ready");
        let count: u32 = parent.hear().parse().unwrap();
        for _ in 0..count {
            next_request(&port).answer(0);
        }
        parent.say("taken");
    }
}

/// A worker that sleeps on port 0 and waits for `count` requests.
fn sleeper(room: &Room, count: u32) -> Worker {
    let mut worker = Worker::start("take_requests", &room.segment);
    worker.expect("ready");
    worker.say(count);
    until("it sleeps", || room.segment.report_port(0).unwrap().asleep);
    worker
}

#[test]
fn a_sender_rings_a_sleeper_and_nobody_who_is_awake() {
    let room = Room::new();
    let client = room.bind_dynamic();
    let awake = room.bind(1);
    send(&client, 1);
    assert_eq!(rings(&room.segment, &client), 0);
    next_request(&awake).answer(0);

    let mut worker = sleeper(&room, 1);
    send(&client, 0);
    worker.expect("taken");
    assert_eq!(rings(&room.segment, &client), 1);
    drop(worker);
}

#[test]
fn a_burst_rings_each_receiver_once_and_only_when_it_ends() {
    let room = Room::new();
    let client = room.bind_dynamic();
    let mut worker = sleeper(&room, 5);
    let burst = client.burst();
    let inner = client.burst();
    for _ in 0..5 {
        send(&client, 0);
    }
    drop(inner);
    assert_eq!(rings(&room.segment, &client), 0, "the outer burst goes on");
    assert!(room.segment.report_port(0).unwrap().asleep);
    drop(burst);
    assert_eq!(rings(&room.segment, &client), 1);
    worker.expect("taken");
}

/// BELL-2: only the receiver says that it does not sleep any more.
#[test]
fn a_ring_does_not_make_a_sleeper_look_awake_before_it_is() {
    let room = Room::new();
    let client = room.bind_dynamic();
    let mut worker = sleeper(&room, 2);
    worker.stop_asleep();
    send(&client, 0);
    assert!(room.segment.report_port(0).unwrap().asleep);
    send(&client, 0);
    // Both rang: had the first cleared the flag and died, the second would still have woken it.
    assert_eq!(rings(&room.segment, &client), 2);
    worker.signal(rustix::process::Signal::CONT);
    worker.expect("taken");
}

/// BELL-3, SETTLE-2: a sender that died before it rang. Its settlement rings in its place.
#[test]
fn settlement_wakes_whom_a_dead_sender_did_not() {
    let room = Room::new();
    let mut worker = sleeper(&room, 1);
    let mut victim = Worker::start("send_in_a_burst_and_die", &room.segment);
    victim.expect("sent");
    assert!(room.segment.report_port(0).unwrap().asleep);
    victim.kill();
    until("the victim is settled", || {
        room.segment.settle_all().unwrap().ports == 1
    });
    worker.expect("taken");
}

/// A burst that never ends: pushed, and nobody rung.
pub fn send_in_a_burst_and_die(parent: &mut Parent) {
    let segment = parent.join();
    let client = segment.bind_dynamic(&Default::default()).unwrap();
    let _burst = client.burst();
    send(&client, 0);
    parent.say("sent");
    parent.wait_for_death();
}

/// BELL-1, with real sleepers: every push finds the receiver somewhere else between looking and sleeping.
#[test]
fn no_wake_up_is_lost_in_many_thousand_sleeps() {
    const ROUNDS: u32 = 20_000;
    let room = Room::new();
    let server = room.bind(0);
    let segment = room.join();
    let asker = std::thread::spawn(move || {
        let client = segment.bind_dynamic(&Default::default()).unwrap();
        for round in 0..ROUNDS {
            send(&client, 0);
            if round % 3 == 0 {
                std::hint::spin_loop();
            }
            drop(crate::support::next_reply(&client));
        }
    });
    for _ in 0..ROUNDS {
        next_request(&server).answer(0);
    }
    asker.join().unwrap();
}

/// A signal ends a sleep early and does no harm (F68).
#[test]
fn a_storm_of_signals_loses_nothing() {
    let room = Room::new();
    let client = room.bind_dynamic();
    let mut worker = sleeper(&room, 300);
    for round in 0..300 {
        // Stopping and continuing interrupts every sleep in the kernel.
        worker.signal(rustix::process::Signal::STOP);
        worker.signal(rustix::process::Signal::CONT);
        send(&client, 0);
        if round % 30 == 0 {
            until("they are taken", || {
                client.poll().is_some() && client.away() < 20
            });
        }
        while client.away() >= 30 {
            drop(crate::support::next_reply(&client));
        }
    }
    worker.expect("taken");
}

#[test]
fn the_bell_of_a_port_can_be_rung_by_hand() {
    let room = Room::new();
    let port = room.bind(0);
    assert!(!room.segment.ring(0).unwrap(), "nobody sleeps");
    assert!(port.wait(Some(Duration::ZERO)), "a ring is not forgotten");
    assert!(!port.wait(Some(Duration::ZERO)), "and counts once");
    let options = WaiterOptions::default().method(WaitMethod::Futex);
    let mut waiter = Waiter::new(&port, &options).unwrap();
    // One that comes before the sleep is not forgotten either: so they go on until one has found a sleeper.
    let segment = room.join();
    let (found, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            until("a sleeper is found", || {
                let wakes = segment.ring(0).unwrap();
                found.fetch_or(wakes, Ordering::Relaxed);
                is_over.load(Ordering::Relaxed)
            });
        });
        while !found.load(Ordering::Relaxed) {
            let patience = Some(Duration::from_secs(100));
            assert!(waiter.wait(&[&port], patience, |_| {}).unwrap());
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
