//! The examples, run for real: their own code, one thread for each process.

use std::sync::atomic::{AtomicBool, Ordering};

use xseg::{JoinOptions, Segment};

use crate::support::{Room, until};

#[path = "../../examples/interpose.rs"]
#[allow(dead_code, reason = "a program's main is not called here")]
mod interpose;
#[path = "../../examples/ping.rs"]
#[allow(dead_code, reason = "a program's main is not called here")]
mod ping;

/// Runs `work` beside a ping server.
fn beside_a_server(room: &Room, work: impl FnOnce()) {
    std::thread::scope(|scope| {
        let segment = room.join();
        let server = scope.spawn(move || ping::serve(&segment).map_err(|error| error.to_string()));
        until("the server is there", || {
            room.segment.report_port(0).unwrap().asleep
        });
        work();
        Segment::destroy(room.place(), &JoinOptions::new(), true).unwrap();
        until("it has noticed", || {
            let _ = room.segment.ring(0);
            server.is_finished()
        });
        server.join().unwrap().unwrap();
    });
}

#[test]
fn the_ping_example_measures_round_trips() {
    let room = Room::new();
    beside_a_server(&room, || {
        let took_ns = ping::measure(&room.join(), 500).unwrap();
        assert_eq!(took_ns.len(), 500);
        let summary = ping::summary(took_ns);
        assert!(summary.starts_with("500 round trips: median "), "{summary}");
    });
    assert!(ping::summary(Vec::new()).starts_with("0 round trips"));
}

#[test]
fn the_interpose_example_prints_what_passes_and_nobody_else_notices() {
    let room = Room::new();
    beside_a_server(&room, || {
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let between = scope.spawn(|| {
                let segment = room.join();
                let mut printed = Vec::new();
                interpose::watch(&segment, 0, 10, &mut printed).unwrap();
                is_done.store(true, Ordering::Relaxed);
                String::from_utf8(printed).unwrap()
            });
            // Clients go on before, while and after somebody listens.
            while !is_done.load(Ordering::Relaxed) {
                assert_eq!(ping::measure(&room.join(), 5).unwrap().len(), 5);
            }
            let printed = between.join().unwrap();
            let answers = printed.lines().filter(|line| line.contains("<- errno 0"));
            assert_eq!(answers.count(), 10, "{printed}");
            let requests = printed.lines().filter(|line| line.contains("-> 0: write"));
            assert!(requests.count() >= 10, "{printed}");
        });
        assert_eq!(room.segment.route(room.port(0)).unwrap(), None);
        assert_eq!(ping::measure(&room.join(), 5).unwrap().len(), 5);
    });
}
