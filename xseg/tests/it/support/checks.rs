//! Waiting for what must come, and looking whether all is free again.

use std::time::Duration;

use xseg::{Event, Incoming, Life, Port, Reply, Segment};

/// How long a test waits before it says that something does not come. No test passes or fails by time otherwise.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What lies in the port's inbox now.
#[track_caller]
pub fn first(port: &Port) -> Event {
    port.poll().expect("something has arrived")
}

/// The next thing that arrives.
#[track_caller]
pub fn next_event(port: &Port) -> Event {
    loop {
        if let Some(event) = port.poll() {
            return event;
        }
        assert!(port.wait(Some(PATIENCE)), "nothing arrives");
    }
}

#[track_caller]
pub fn next_request(port: &Port) -> Incoming {
    match next_event(port) {
        Event::Request(incoming) => incoming,
        other => panic!("no request but {other:?}"),
    }
}

#[track_caller]
pub fn next_reply(port: &Port) -> Reply {
    match next_event(port) {
        Event::Reply(reply) => reply,
        other => panic!("no answer but {other:?}"),
    }
}

/// Looks again until it is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < patience, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// No request, no buffer, no dynamic port is taken, nothing lies in an inbox, and nothing is damaged.
#[track_caller]
pub fn assert_all_free(segment: &Segment) {
    let report = segment.report();
    let geometry = segment.geometry();
    assert_eq!(segment.verify(), [], "findings");
    assert_eq!(report.requests_free, geometry.requests(), "{report:#?}");
    assert_eq!(report.buffers_free, geometry.buffer_counts(), "{report:#?}");
    for port in &report.ports {
        let is_given_back = matches!(port.life, Life::Free { .. });
        assert!(port.is_static || is_given_back, "{port:#?}");
        for lane in &port.lanes {
            assert_eq!(lane.records, [], "{port:#?}");
        }
    }
}

/// The name of an error's variant.
pub fn variant(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(']).next().unwrap().to_owned()
}
