//! A peer dies while others still work on parts of what it held: what they may yet write to is given to nobody.

use std::time::Duration;

use xseg::{BindOptions, Event, OpCode};

use crate::harness::{Site, segment_of_starter, wait_until};

/// A composer at port 0: sends a part of what it gets to port 1, and then hangs. A process of its own, which the test
/// below starts; in the test run itself it does nothing.
#[test]
fn composer() {
    let Some(segment) = segment_of_starter() else {
        return;
    };
    let port = segment
        .bind(0, &BindOptions::default())
        .expect("it is free");
    let below = segment.geometry().port(1).expect("it exists");
    loop {
        port.wait(Some(Duration::from_secs(1)));
        if let Some(Event::Request(whole)) = port.poll() {
            let mut part = port.draft(OpCode::READ).expect("there are requests");
            part.view(&whole, 0, 1).expect("it has data");
            part.send(below).expect("somebody is there");
            loop {
                std::thread::park();
            }
        }
    }
}

#[test]
fn what_others_may_still_write_to_is_answered_only_when_they_are_done() {
    let site = Site::with_segment();
    let blocker = site.serve(1, &["--stall"]);
    let composer = site.start_test("orphans::composer");
    wait_until("it is bound", || {
        site.object(&["report", "0"])["state"] == "alive"
    });
    let client = site.waiting_client(&["read", "0", "x", "--length", "4K"], "held");
    wait_until("the part is below", || site.count_in(1, "held") == 1);
    composer.kill();
    let records = site.run_json(&["inspect", "0"]).objects();
    let held = records.iter().find(|record| record["place"] == "held");
    let index = held.expect("it is held")["request"].to_string();
    for args in [&["recoverport", "0"][..], &["failreq", &index]] {
        let run = site.run_json(&[args, &["--timeout", "0.1"]].concat());
        run.fails(5, "busy");
        assert_eq!(site.count_in(0, "held"), 1);
    }
    blocker.kill();
    assert_eq!(site.object(&["recoverport", "1"])["held"], 1);
    assert_eq!(site.object(&["recoverport", "0"])["held"], 1);
    client.finish().fails(1, "io");
    site.run(&["verify"]).ok();
    let report = site.object(&["report"]);
    assert_eq!(report["requests"]["free"], 64);
    assert_eq!(report["buffers"][0]["free"], 32);
}
