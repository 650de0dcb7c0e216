//! Answers are for the incarnation that asked, never for its successor (F14, F16, F59; DELIVERY-1).

use xseg::{BindOptions, Counter, OpCode, Port};

use crate::support::{Parent, Room, Worker, assert_all_free, next_reply, next_request, until};

fn send(client: &Port, to: &Port) {
    let mut draft = client.draft(OpCode::READ).unwrap();
    draft.attach(client.buffer(4096).unwrap(), 4096).unwrap();
    draft.send(to.id()).unwrap();
}

#[test]
fn an_answer_to_a_request_of_a_predecessor_goes_nowhere() {
    let room = Room::new();
    let (server, old) = (room.bind(0), room.bind(1));
    send(&old, &server);
    let late = next_request(&server);
    drop(old);
    let new = room.bind(1);
    assert_eq!(new.orphans(), 1);
    late.data().unwrap().fill(0xdd);
    late.answer(4096);
    assert!(new.poll().is_none());
    assert_eq!(new.orphans(), 0);
    let stats = room.segment.report_port(0).unwrap().stats;
    assert_eq!(stats.get(Counter::Orphans), 1);
    drop((new, server));
    assert_all_free(&room.segment);
}

#[test]
fn an_answer_that_was_on_its_way_when_its_requester_died_goes_nowhere() {
    let room = Room::new();
    let server = room.bind(0);
    let mut victim = Worker::start("ask_from_port_1", &room.segment);
    victim.expect("asked");
    let request = next_request(&server);
    request.answer(0); // it lies in the inbox of port 1 now
    victim.kill();
    let new = room.bind(1);
    assert!(new.poll().is_none());
    let stats = room.segment.report_port(1).unwrap().stats;
    assert_eq!(stats.get(Counter::Strays), 1);
    drop((new, server));
    assert_all_free(&room.segment);
}

pub fn ask_from_port_1(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind(1, &BindOptions::default()).unwrap();
    let mut draft = port.draft(OpCode::READ).unwrap();
    draft.attach(port.buffer(4096).unwrap(), 4096).unwrap();
    draft.send(segment.geometry().port(0).unwrap()).unwrap();
    parent.say("asked");
    parent.wait_for_death();
}

/// S7: a successor can tell whether something of its predecessor may still be written, and is woken when it ends.
#[test]
fn orphans_are_counted_and_the_last_ones_end_rings_the_successor() {
    let room = Room::new();
    let server = room.bind(0);
    let mut victim = Worker::start("ask_from_port_1", &room.segment);
    victim.expect("asked");
    let request = next_request(&server);
    victim.kill();
    let mut heir = Worker::start("wait_for_orphans_of_port_1", &room.segment);
    heir.expect("1 orphans");
    until("it sleeps", || room.segment.report_port(1).unwrap().asleep);
    request.data().unwrap().fill(1);
    request.answer(0);
    heir.expect("none");
    heir.finish();
    drop(server);
    assert_all_free(&room.segment);
}

/// BELL-4: the orphan ends between the count and the wait.
#[test]
fn an_orphan_that_ends_while_nobody_sleeps_ends_the_next_wait() {
    let room = Room::new();
    let server = room.bind(0);
    let mut victim = Worker::start("ask_from_port_1", &room.segment);
    victim.expect("asked");
    let request = next_request(&server);
    victim.kill();
    let heir = room.bind(1);
    assert!(heir.poll().is_none());
    let patience = Some(crate::support::PATIENCE);
    for method in crate::support::wait_methods() {
        // A ring from before this waiter's time is not for it.
        let options = xseg::WaiterOptions::default().method(method);
        let mut waiter = xseg::Waiter::new(&heir, &options).unwrap();
        assert!(
            !waiter
                .wait(&[&heir], Some(std::time::Duration::ZERO), |_| {})
                .unwrap()
        );
        room.segment.ring(1).unwrap();
        assert!(waiter.wait(&[&heir], patience, |_| {}).unwrap());
    }
    assert_eq!(heir.orphans(), 1);
    request.answer(0);
    assert!(heir.wait(patience));
    assert_eq!(heir.orphans(), 0);
    drop((heir, server));
    assert_all_free(&room.segment);
}

pub fn wait_for_orphans_of_port_1(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind(1, &BindOptions::default()).unwrap();
    let options = xseg::WaiterOptions::default();
    let mut waiter = xseg::Waiter::new(&port, &options).unwrap();
    parent.say(format!("{} orphans", port.orphans()));
    while port.orphans() > 0 {
        waiter.wait(&[&port], None, |_| {}).unwrap();
        assert!(port.poll().is_none());
    }
    parent.say("none");
}

#[test]
fn a_dynamic_ports_next_user_gets_nothing_of_the_last_one() {
    let room = Room::new();
    let server = room.bind(0);
    let old = room.bind_dynamic();
    send(&old, &server);
    let number = old.id();
    drop(old);
    let new = room.bind_dynamic();
    assert_eq!(new.id(), number, "the same port");
    send(&new, &server);
    next_request(&server).answer(1);
    next_request(&server).answer(2);
    assert_eq!(next_reply(&new).result(), Ok(2));
    assert!(new.poll().is_none());
    drop((new, server));
    assert_all_free(&room.segment);
}

#[test]
fn a_forwarders_successor_does_not_get_its_answers_but_the_requester_does() {
    let room = Room::new();
    let (client, front, back) = (room.bind_dynamic(), room.bind(0), room.bind(1));
    send(&client, &front);
    next_request(&front).forward(back.id()).unwrap();
    drop(front);
    let front = room.bind(0);
    next_request(&back).answer(9);
    assert!(front.poll().is_none());
    assert_eq!(next_reply(&client).result(), Ok(9));
    drop((client, front, back));
    assert_all_free(&room.segment);
}
