//! Ports of several threads over one mapping: what ThreadSanitizer looks at (it sees two mappings of one file as two
//! memories, so processes would hide everything from it).
//!
//! Threads are joined explicitly and wait by looking, since the sanitizer knows neither fences nor futexes.

use std::thread;

use crate::{BindOptions, CreateOptions, Event, Geometry, OpCode, Port, PortId, Segment};

const ROUNDS: u64 = 2000;
const BYTES: usize = 256;

fn segment() -> Segment {
    let geometry = Geometry::new(8, 2, 32).unwrap();
    let geometry = geometry.with_buffers(4096, 16).unwrap();
    CreateOptions::new(geometry).create_private().unwrap()
}

fn next(port: &Port) -> Event {
    loop {
        if let Some(event) = port.poll() {
            return event;
        }
        thread::yield_now();
    }
}

/// Adds one to every byte of `count` requests.
fn serve(port: &Port, count: u64) {
    for _ in 0..count {
        let Event::Request(request) = next(port) else {
            panic!("no request");
        };
        let mut bytes = [0; BYTES];
        let data = request.data().unwrap();
        data.read(0, &mut bytes).unwrap();
        let bytes = bytes.map(|byte| byte.wrapping_add(1));
        data.write(0, &bytes).unwrap();
        request.answer(BYTES as u64);
    }
}

/// Sends `ROUNDS` requests one after the other and checks every byte that comes back.
fn ask(port: &Port, server: PortId) {
    for round in 0..ROUNDS {
        let sent = [round as u8; BYTES];
        let buffer = port.buffer(BYTES as u64).unwrap();
        buffer.data().write(0, &sent).unwrap();
        let mut draft = port.draft(OpCode::WRITE).unwrap();
        draft.attach(buffer, BYTES as u64).unwrap();
        draft.set_args([round, 0, 0, 0]);
        draft.send(server).unwrap();
        let Event::Reply(reply) = next(port) else {
            panic!("no answer");
        };
        assert_eq!(reply.result(), Ok(BYTES as u64));
        assert_eq!(reply.args()[0], round);
        let mut got = [0; BYTES];
        reply.data().unwrap().read(0, &mut got).unwrap();
        assert_eq!(got, sent.map(|byte| byte.wrapping_add(1)));
    }
}

#[test]
fn payloads_and_records_pass_between_threads_without_a_race() {
    let segment = segment();
    let server = segment.geometry().port(0).unwrap();
    let serving = {
        let segment = segment.clone();
        thread::spawn(move || {
            let port = segment.bind(0, &BindOptions::default()).unwrap();
            serve(&port, 2 * ROUNDS);
        })
    };
    let asking = [(); 2].map(|()| {
        let segment = segment.clone();
        thread::spawn(move || {
            let port = segment.bind_dynamic(&BindOptions::default()).unwrap();
            while !matches!(
                crate::delivery::life_of(&segment.shared().mapping, server),
                crate::Life::Bound { .. }
            ) {
                thread::yield_now();
            }
            ask(&port, server);
        })
    });
    for thread in asking {
        thread.join().unwrap();
    }
    serving.join().unwrap();
    let report = segment.report();
    assert_eq!(report.requests_free, segment.geometry().requests());
}

#[test]
fn records_and_buffers_change_hands_between_threads_without_a_race() {
    let segment = segment();
    let taking = [1_u8, 2, 3].map(|mark| {
        let segment = segment.clone();
        thread::spawn(move || {
            for _ in 0..ROUNDS / 10 {
                let port = segment.bind_dynamic(&BindOptions::default()).unwrap();
                let Ok(buffer) = port.buffer(BYTES as u64) else {
                    continue; // the others have them all at this moment
                };
                buffer.data().fill(mark);
                let mut bytes = [0; BYTES];
                buffer.data().read(0, &mut bytes).unwrap();
                assert_eq!(bytes, [mark; BYTES]);
            }
        })
    });
    for thread in taking {
        thread.join().unwrap();
    }
    assert_eq!(
        segment.report().requests_free,
        segment.geometry().requests()
    );
}
