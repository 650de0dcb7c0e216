//! What only the segment does: hops between ports of one thread, and bursts that wake their receiver once.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

use crate::median::median;

use super::Waiting;
use super::peer::Launcher;
use super::xseg::Xseg;

/// Requests of a burst.
const BURST: u64 = 64;
/// Round trips in a batch of hops: long enough that reading the clock does not show.
const BATCH: u64 = 512;

/// All repetitions of these jobs.
#[derive(Debug, Default)]
pub struct Alone {
    hop_ns: Vec<f64>,
    bursts: Vec<(Waiting, Vec<f64>)>,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Line {
    job: &'static str,
    mode: Option<Waiting>,
    /// The median over the repetitions of each one's median, for one hop or one request.
    ns_each: f64,
}

impl Alone {
    /// Does each job once.
    pub fn measure(
        &mut self,
        launcher: &Launcher,
        modes: &[Waiting],
        iterations: u64,
    ) -> Result<()> {
        let hops = Xseg::hops(iterations.div_ceil(64), BATCH)?;
        self.hop_ns.extend(median(hops));
        for &mode in modes {
            let samples = Xseg::bursts(launcher, mode, BURST, iterations.div_ceil(16))?;
            let each = samples.percentile(50) as f64 / BURST as f64;
            match self.bursts.iter_mut().find(|(known, _)| *known == mode) {
                Some((_, all)) => all.push(each),
                None => self.bursts.push((mode, vec![each])),
            }
        }
        Ok(())
    }

    fn lines(&self) -> Vec<Line> {
        let line = |job, mode, all: &Vec<f64>| Line {
            job,
            mode,
            ns_each: median(all.iter().copied()).unwrap_or_default(),
        };
        let mut lines = vec![line("hop on one reactor", None, &self.hop_ns)];
        let bursts = self.bursts.iter();
        lines.extend(bursts.map(|(mode, all)| line("request in a burst of 64", Some(*mode), all)));
        lines
    }

    /// Prints what came out to standard output.
    pub fn print(&self, json: bool) -> Result<()> {
        let mut out = io::stdout().lock();
        if !json {
            writeln!(out)?;
        }
        for line in self.lines() {
            if json {
                writeln!(out, "{}", serde_json::to_string(&line)?)?;
                continue;
            }
            let mode = line.mode.map(|mode| mode.to_string()).unwrap_or_default();
            writeln!(
                out,
                "xseg: {:<25} {mode:<9} {:>7.0} ns each",
                line.job, line.ns_each
            )?;
        }
        Ok(())
    }
}
