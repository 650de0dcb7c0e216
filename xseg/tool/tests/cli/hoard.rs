//! A client dies with all that it had taken and not used.

use xseg::{BindOptions, OpCode};

use crate::harness::{Site, segment_of_starter, wait_until};

/// Takes every request of the segment, and hangs. A process of its own, which the test below starts; in the test run
/// itself it does nothing.
#[test]
fn hoarder() {
    let Some(segment) = segment_of_starter() else {
        return;
    };
    let total = segment.geometry().requests();
    let options = BindOptions::default().requests_max(total);
    let port = segment.bind_dynamic(&options).expect("one is free");
    let take = |_| port.draft(OpCode::INFO).expect("they are all free");
    let _drafts: Vec<_> = (0..total).map(take).collect();
    loop {
        std::thread::park();
    }
}

#[test]
fn what_the_dead_hoarded_is_found_when_it_is_needed() {
    let site = Site::with_segment();
    let hoarder = site.start_test("hoard::hoarder");
    let free = || site.object(&["report"])["requests"]["free"].clone();
    wait_until("it has them all", || free() == 0);
    let _server = site.serve(0, &[]);
    site.run_json(&["ping", "0"]).fails(6, "exhausted");
    hoarder.kill();
    site.run(&["ping", "0"]).ok();
    assert_eq!(free(), 64);
}
