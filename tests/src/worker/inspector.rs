//! An inspector: looks at everything in a segment that is being damaged, settles and joins all the time.

use std::time::Duration;

use xseg::{JoinOptions, Place, Segment};

use super::args::WorkerArgs;
use super::link::Link;
use crate::rng::Rng;

pub(super) fn run(args: &WorkerArgs, segment: &Segment, link: &mut Link) -> anyhow::Result<()> {
    let mut rng = Rng::new(args.seed);
    let place = Place::within(&args.directory, &args.name)?;
    loop {
        link.beat();
        look(segment);
        let port = rng.below(u64::from(segment.geometry().ports()) + 1) as u32;
        let _ = segment.settle(port); // refusals and errors are as good as successes here
        let _ = segment.settle_all();
        if let Ok(again) = JoinOptions::new().join(&place) {
            look(&again);
        }
        std::thread::sleep(Duration::from_micros(rng.between(100, 2000)));
    }
}

/// Everything that can be looked at from outside, formatted as a tool would.
pub fn look(segment: &Segment) {
    let report = segment.report();
    std::hint::black_box(format!("{report:?}"));
    for port in &report.ports {
        std::hint::black_box((port.stats.quantile_ns(0.99), port.life));
    }
    for finding in segment.verify() {
        std::hint::black_box(finding.to_string());
    }
    for (port, stats) in segment.stats() {
        std::hint::black_box(stats.quantile_ns(0.5));
        let _ = segment.route(port);
    }
    for number in 0..segment.geometry().ports() {
        if let Ok(records) = segment.inspect(number) {
            std::hint::black_box(format!("{records:?}"));
        }
    }
    for index in 0..segment.geometry().requests().min(64) {
        std::hint::black_box(segment.inspect_request(index));
    }
}
