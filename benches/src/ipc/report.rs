//! What the measurements amount to: medians over the repetitions, and multiples of the
//! baseline that was measured in the same repetition and the same way of waiting.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

use super::samples::Samples;
use super::{Waiting, bare};
use crate::median::median;

/// All repetitions of one contender in one mode.
#[derive(Debug)]
pub struct Tally {
    pub contender: &'static str,
    pub mode: Waiting,
    p50: Vec<f64>,
    p99: Vec<f64>,
    pub one_to_one: Vec<f64>,
    pub four_to_one: Vec<f64>,
}

impl Tally {
    pub fn new(contender: &'static str, mode: Waiting) -> Self {
        Self {
            contender,
            mode,
            p50: Vec::new(),
            p99: Vec::new(),
            one_to_one: Vec::new(),
            four_to_one: Vec::new(),
        }
    }

    pub fn add_round_trips(&mut self, samples: &Samples) {
        self.p50.push(samples.percentile(50) as f64);
        self.p99.push(samples.percentile(99) as f64);
    }
}

/// One line of the report; rates are messages per second.
#[derive(Debug, Serialize)]
pub struct Row {
    contender: &'static str,
    mode: Waiting,
    p50_ns: f64,
    p99_ns: f64,
    ratio: Option<f64>,
    throughput_1_to_1: Option<f64>,
    throughput_4_to_1: Option<f64>,
    /// The median of each repetition, to show how far they lie apart.
    p50_ns_each: Vec<f64>,
}

/// Sums up every tally.
pub fn rows(tallies: &[Tally]) -> Vec<Row> {
    tallies
        .iter()
        .map(|tally| {
            let baseline = tallies
                .iter()
                .find(|other| other.contender == bare::NAME && other.mode == tally.mode);
            Row {
                contender: tally.contender,
                mode: tally.mode,
                p50_ns: median(tally.p50.iter().copied()).unwrap_or_default(),
                p99_ns: median(tally.p99.iter().copied()).unwrap_or_default(),
                ratio: baseline.and_then(|baseline| ratio(tally, baseline)),
                throughput_1_to_1: median(tally.one_to_one.iter().copied()),
                throughput_4_to_1: median(tally.four_to_one.iter().copied()),
                p50_ns_each: tally.p50.clone(),
            }
        })
        .collect()
}

/// How many times as long as the baseline, repetition by repetition.
fn ratio(tally: &Tally, baseline: &Tally) -> Option<f64> {
    median(
        tally
            .p50
            .iter()
            .zip(&baseline.p50)
            .map(|(own, base)| own / base),
    )
}

/// Prints the rows to standard output.
pub fn print(rows: &[Row], json: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    if json {
        for row in rows {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
        return Ok(());
    }
    for line in table(rows) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn table(rows: &[Row]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<12} {:<9} {:>9} {:>9} {:>7} {:>10} {:>10}",
        "contender", "mode", "p50 ns", "p99 ns", "ratio", "1:1 msg/s", "4:1 msg/s"
    )];
    lines.extend(rows.iter().map(|row| {
        format!(
            "{:<12} {:<9} {:>9.0} {:>9.0} {:>7} {:>10} {:>10}",
            row.contender,
            row.mode,
            row.p50_ns,
            row.p99_ns,
            or_dash(row.ratio, 2),
            or_dash(row.throughput_1_to_1, 0),
            or_dash(row.throughput_4_to_1, 0),
        )
    }));
    lines
}

fn or_dash(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(contender: &'static str, mode: Waiting, p50: &[f64]) -> Tally {
        Tally {
            p50: p50.to_vec(),
            p99: p50.to_vec(),
            ..Tally::new(contender, mode)
        }
    }

    #[test]
    fn ratio_compares_like_with_like() {
        let rows = rows(&[
            tally(bare::NAME, Waiting::Sleeping, &[1000.0, 2000.0, 1000.0]),
            tally(bare::NAME, Waiting::Spinning, &[100.0, 100.0, 100.0]),
            tally("pipe", Waiting::Sleeping, &[1500.0, 3000.0, 9000.0]),
        ]);
        assert_eq!(rows[0].ratio, Some(1.0));
        assert_eq!(rows[2].ratio, Some(1.5));
        assert!((rows[2].p50_ns - 3000.0).abs() < f64::EPSILON);
    }

    #[test]
    fn no_baseline_no_ratio() {
        let rows = rows(&[tally("pipe", Waiting::Sleeping, &[1.0])]);
        assert_eq!(rows[0].ratio, None);
        assert_eq!(rows[0].throughput_1_to_1, None);
        assert!(table(&rows)[1].ends_with('-'));
    }

    #[test]
    fn columns_line_up() {
        let mut long = tally("unix socket", Waiting::Sleeping, &[123_456.0]);
        long.one_to_one.push(12_345_678.0);
        let lines = table(&rows(&[long, tally("pipe", Waiting::Spinning, &[1.0])]));
        assert!(lines.iter().all(|line| line.len() == lines[0].len()));
    }
}
