//! What the living are told while a dead process's gate is still taken. A child that inherited the gate stands for I/O
//! that has not ended: the kernel treats both alike.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use xseg::{BindOptions, Finding, Life, OpCode, PortError, Settled, Takeover};

use crate::support::{Parent, Room, Worker, assert_all_free, until};

/// Binds port 2 and a buffer, and lets a child of its own hold the gate's description.
pub fn hold_port_2_with_a_child(parent: &mut Parent) {
    let segment = parent.join();
    let port = segment.bind(2, &BindOptions::default()).unwrap();
    let _buffer = port.buffer(1 << 20).unwrap();
    let _draft = port.draft(OpCode::READ).unwrap();
    let gate = segment.gate().as_fd().try_clone_to_owned().unwrap();
    let mut holder = Command::new("sleep");
    holder
        .arg("1000")
        .stdin(Stdio::from(gate))
        .stdout(Stdio::null());
    parent.say(holder.spawn().unwrap().id());
    parent.wait_for_death();
}

/// GATE-1, GATE-2
#[test]
fn while_a_dead_process_has_io_in_flight_nothing_of_it_is_freed_and_nobody_follows() {
    let room = Room::new();
    let client = room.bind_dynamic();
    let mut worker = Worker::start("hold_port_2_with_a_child", &room.segment);
    let child: i32 = worker.hear().parse().unwrap();
    let pid = worker.pid();
    worker.kill();

    let report = room.segment.report_port(2).unwrap();
    assert!(report.lock_held && !report.process_alive);
    assert!(matches!(report.life, Life::Bound { .. }));
    for patience in [Duration::ZERO, Duration::from_millis(100)] {
        for takeover in [Takeover::AfterDeath(patience), Takeover::Within(patience)] {
            let options = BindOptions::default().takeover(takeover);
            let error = room
                .segment
                .bind(2, &options)
                .map(|port| port.id())
                .unwrap_err();
            let PortError::Draining { port, pid: told } = error else {
                panic!("{error}");
            };
            assert_eq!((port, told), (room.port(2), pid));
        }
    }
    let error = room.segment.settle(2).unwrap_err();
    assert!(matches!(error, PortError::Draining { .. }), "{error}");
    let all = room.segment.settle_all().unwrap();
    assert_eq!(
        all,
        Settled {
            draining: 1,
            ..Settled::default()
        }
    );
    assert_eq!(
        room.segment.verify(),
        [Finding::DrainingPort {
            port: room.port(2),
            pid
        }]
    );
    assert_eq!(room.segment.report_port(2).unwrap().buffers, 1);
    // Others work on, and requests to it wait.
    client
        .draft(OpCode::READ)
        .unwrap()
        .send(room.port(2))
        .unwrap();

    // Its I/O ends. Whoever waits for that goes on.
    let segment = room.join();
    let heir = std::thread::spawn(move || {
        let patient = BindOptions::default().takeover(Takeover::AfterDeath(Duration::MAX));
        let port = segment.bind(2, &patient).unwrap();
        crate::support::next_request(&port).answer(3);
    });
    rustix::process::kill_process(Pid::from_raw(child).unwrap(), Signal::KILL).unwrap();
    heir.join().unwrap();
    assert_eq!(crate::support::next_reply(&client).result(), Ok(3));
    drop(client);
    assert_all_free(&room.segment);
}

#[test]
fn a_segment_with_io_in_flight_is_not_destroyed() {
    let room = Room::new();
    let mut worker = Worker::start("hold_port_2_with_a_child", &room.segment);
    let child: i32 = worker.hear().parse().unwrap();
    worker.kill();
    let options = xseg::JoinOptions::new();
    let refused = xseg::Segment::destroy(room.place(), &options, false).unwrap_err();
    assert!(
        matches!(refused, xseg::SegmentError::InUse { .. }),
        "{refused}"
    );
    rustix::process::kill_process(Pid::from_raw(child).unwrap(), Signal::KILL).unwrap();
    until("its I/O is over", || {
        xseg::Segment::destroy(room.place(), &options, false).is_ok()
    });
}
