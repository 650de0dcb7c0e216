//! A settler: settles whatever is dead, all the time, with no port of its own. Several race each other.

use std::time::Duration;

use xseg::Segment;

use super::link::Link;
use crate::channel::{Command, Report, Violation};
use crate::rng::Rng;

pub(super) fn run(segment: &Segment, link: &mut Link, mut rng: Rng) -> anyhow::Result<()> {
    link.report(&Report::Ready {
        port: segment.geometry().ports(),
    });
    loop {
        link.beat();
        if link.command() == Some(Command::Leave) {
            return Ok(());
        }
        if let Err(error) = segment.settle_all() {
            link.violation(Violation::Finding, format!("settling: {error}"));
        }
        std::thread::sleep(Duration::from_micros(rng.between(200, 3000)));
    }
}
