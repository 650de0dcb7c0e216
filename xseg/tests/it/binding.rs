//! Binding ports: who gets one, and what the others are told (F19).

use std::time::Duration;

use xseg::{BindOptions, Geometry, Life, Port, PortError, Segment, Takeover};

use crate::support::{Parent, Room, Words, Worker, assert_all_free, small};

fn options(takeover: Takeover) -> BindOptions {
    BindOptions::default().takeover(takeover)
}

fn error_of(bound: Result<Port, PortError>) -> PortError {
    bound.map(|port| port.id()).unwrap_err()
}

pub fn hold_port_0(parent: &mut Parent) {
    let segment = parent.join();
    let label = BindOptions::default().label("holder");
    let port = segment.bind(0, &label).unwrap();
    parent.say("bound");
    assert_eq!(parent.hear(), "leave");
    drop(port);
    parent.say("left");
}

#[test]
fn a_port_that_is_not_there_is_told_with_the_last_that_is() {
    let room = Room::new();
    for number in [8, 9, u32::MAX] {
        let error = error_of(room.segment.bind(number, &BindOptions::default()));
        let PortError::NoSuchPort { port, last } = error else {
            panic!("{error}");
        };
        assert_eq!((port, last), (number, 7));
        assert!(room.segment.settle(number).is_err());
        assert!(room.segment.report_port(number).is_err());
    }
}

#[test]
fn a_dynamic_port_is_not_bound_by_number() {
    let room = Room::new();
    let error = error_of(room.segment.bind(4, &BindOptions::default()));
    assert!(matches!(error, PortError::NotStatic { .. }), "{error}");
}

/// F19, BIND-1
#[test]
fn the_same_peer_started_twice_is_refused_with_the_first_ones_pid() {
    let room = Room::new();
    let mut first = Worker::start("hold_port_0", &room.segment);
    first.expect("bound");
    for takeover in [
        Takeover::Refuse,
        Takeover::AfterDeath(Duration::from_secs(3600)),
        Takeover::Within(Duration::ZERO),
        Takeover::Within(Duration::from_millis(50)),
    ] {
        let error = error_of(room.segment.bind(0, &options(takeover)));
        let PortError::Alive { pid, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(pid, first.pid());
    }
    // The first is unharmed.
    let report = room.segment.report_port(0).unwrap();
    assert_eq!(report.process.pid, first.pid());
    assert_eq!(report.label, "holder");
    assert!(report.lock_held && report.process_alive);
    first.say("leave");
    first.expect("left");
    assert!(room.segment.bind(0, &options(Takeover::Refuse)).is_ok());
}

/// GATE-3
#[test]
fn one_process_does_not_get_a_port_twice_either() {
    let room = Room::new();
    let first = room.bind(0);
    let error = error_of(room.segment.bind(0, &BindOptions::default()));
    assert!(matches!(error, PortError::Alive { .. }), "{error}");
    assert_eq!(room.segment.verify(), []);
    drop(first);
    drop(room.bind(0));
    assert_all_free(&room.segment);
}

#[test]
fn whoever_waits_for_a_living_owner_gets_the_port_when_that_is_dead() {
    let room = Room::new();
    let mut first = Worker::start("hold_port_0", &room.segment);
    first.expect("bound");
    let segment = room.join();
    let heir = std::thread::spawn(move || {
        let wait = options(Takeover::Within(Duration::MAX));
        segment.bind(0, &wait).map(|port| port.name().generation)
    });
    first.kill();
    assert_eq!(heir.join().unwrap().unwrap(), 2);
    assert_all_free(&room.segment);
}

#[test]
fn all_dynamic_ports_taken_is_an_error_and_one_given_back_is_found() {
    let room = Room::new();
    let ports: Vec<Port> = (0..4).map(|_| room.bind_dynamic()).collect();
    let error = error_of(room.segment.bind_dynamic(&BindOptions::default()));
    assert!(
        matches!(error, PortError::NoDynamicPort { count: 4 }),
        "{error}"
    );
    drop(ports);
    drop(room.bind_dynamic());
    assert_all_free(&room.segment);
}

#[test]
fn a_segment_without_dynamic_ports_has_none_to_give() {
    let room = Room::of(Geometry::new(4, 4, 8).unwrap());
    let error = error_of(room.segment.bind_dynamic(&BindOptions::default()));
    assert!(
        matches!(error, PortError::NoDynamicPort { count: 0 }),
        "{error}"
    );
}

/// NAME-3
#[test]
fn every_bind_is_a_new_incarnation() {
    let room = Room::new();
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(room.bind(1).name());
        names.push(room.bind_dynamic().name());
    }
    room.segment.settle_all().unwrap();
    names.push(room.bind(1).name());
    for (index, name) in names.iter().enumerate() {
        assert!(!names[..index].contains(name), "{name} twice");
    }
}

#[test]
fn a_damaged_life_word_is_told_and_other_ports_live_on() {
    let room = Room::new();
    let words = Words::open(room.place().path());
    let life_of = |port: u64| 4096 + port * 512 + 192;
    words.set_u64(life_of(0), 0x77_0000_0000_0000);
    let error = error_of(room.segment.bind(0, &BindOptions::default()));
    assert!(matches!(error, PortError::Damaged { .. }), "{error}");
    assert!(room.segment.settle(0).is_err());
    drop(room.bind(1));

    for port in 4..8 {
        words.set_u64(life_of(port), u64::MAX);
    }
    let error = error_of(room.segment.bind_dynamic(&BindOptions::default()));
    assert!(matches!(error, PortError::NoDynamicPort { .. }), "{error}");
    words.set_u64(life_of(6), 0);
    assert_eq!(room.bind_dynamic().id(), room.port(6));
    assert_eq!(room.segment.verify().len(), 4);
}

#[test]
fn a_label_is_cut_and_comes_back_in_reports() {
    let room = Room::new();
    let label = "0123456789abcdef0123456789abcdef-and-more";
    let port = room
        .segment
        .bind(0, &BindOptions::default().label(label))
        .unwrap();
    assert_eq!(room.segment.report_port(0).unwrap().label, &label[..32]);
    drop(port);
}

#[test]
fn a_port_that_was_never_bound_can_be_settled_and_stays_unbound() {
    let room = Room::new();
    let nothing = room.segment.settle(0).unwrap();
    assert_eq!(nothing, Default::default());
    room.segment.settle(5).unwrap();
    let life = |number| room.segment.report_port(number).unwrap().life;
    assert!(matches!(life(0), Life::Free { .. }));
    assert!(matches!(life(5), Life::Free { .. }));
    assert_all_free(&room.segment);
}

#[test]
fn ports_of_many_threads_of_one_process_are_their_own() {
    let room = Room::of(Geometry::new(40, 8, 256).unwrap());
    let bind = |segment: Segment| {
        let port = segment.bind_dynamic(&BindOptions::default()).unwrap();
        port.id()
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let segment = room.segment.clone();
            scope.spawn(move || {
                for _ in 0..200 {
                    bind(segment.clone());
                }
            });
        }
    });
    assert_all_free(&room.segment);
    assert_eq!(small().static_ports(), 4);
}
