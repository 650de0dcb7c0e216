//! Our ratios to each rival, of medians over the repetitions: more than 1 is ahead.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

use super::contender::Contender;
use crate::cell::Load;
use crate::median::median;
use crate::outcome::Outcome;

/// All repetitions, by load and contender.
pub type Tallies = BTreeMap<Load, BTreeMap<Contender, Vec<Outcome>>>;

/// Medians of one contender under one load, and ours beside them.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    bench: &'static str,
    cell: String,
    contender: Contender,
    /// None if we were left out.
    iops_ratio: Option<f64>,
    p99_ratio: Option<f64>,
    iops: f64,
    mib_per_second: f64,
    p99_us: f64,
    /// The most IOPS of a repetition by the least.
    iops_spread: f64,
}

pub fn name(load: Load) -> String {
    let Load {
        pattern,
        block,
        depth,
    } = load;
    format!("{pattern}-{block}-q{depth}")
}

fn rows_of(load: Load, tally: &BTreeMap<Contender, Vec<Outcome>>) -> Vec<Row> {
    let of = |outcomes: &[Outcome], value: fn(&Outcome) -> f64| {
        median(outcomes.iter().map(value)).unwrap_or(f64::NAN)
    };
    let iops = |outcomes: &[Outcome]| of(outcomes, |one| one.iops);
    let p99 = |outcomes: &[Outcome]| of(outcomes, |one| one.p99_us);
    let ours = tally.get(&Contender::Archipelago);
    let measured = tally.iter().filter(|(_, outcomes)| !outcomes.is_empty());
    let row = |(contender, outcomes): (&Contender, &Vec<Outcome>)| {
        let all = outcomes.iter().map(|one| one.iops);
        let most = all.clone().fold(f64::MIN, f64::max);
        let least = all.fold(f64::MAX, f64::min);
        Row {
            bench: "rados",
            cell: name(load),
            contender: *contender,
            iops_ratio: ours.map(|ours| iops(ours) / iops(outcomes)),
            p99_ratio: ours.map(|ours| p99(outcomes) / p99(ours)),
            iops: iops(outcomes),
            mib_per_second: of(outcomes, |one| one.mib_per_second),
            p99_us: p99(outcomes),
            iops_spread: most / least,
        }
    };
    measured.map(row).collect()
}

pub fn print(tallies: &Tallies, is_json: bool) -> Result<()> {
    let rows = tallies
        .iter()
        .flat_map(|(load, tally)| rows_of(*load, tally));
    let mut out = io::stdout().lock();
    if is_json {
        for row in rows {
            writeln!(out, "{}", serde_json::to_string(&row)?)?;
        }
        return Ok(());
    }
    writeln!(
        out,
        "archipelago beside each: a ratio above 1 is ahead; cluster, clients and servers share this machine"
    )?;
    writeln!(
        out,
        "{:<16} {:<14} {:>6} {:>6} {:>9} {:>8} {:>9} {:>7}",
        "cell", "contender", "IOPS", "p99", "IOPS", "MiB/s", "p99 us", "spread"
    )?;
    for row in rows {
        let ratio = |ratio: Option<f64>| ratio.map_or_else(String::new, |one| format!("{one:.2}"));
        writeln!(
            out,
            "{:<16} {:<14} {:>6} {:>6} {:>9.0} {:>8.1} {:>9.0} {:>7.2}",
            row.cell,
            row.contender,
            ratio(row.iops_ratio),
            ratio(row.p99_ratio),
            row.iops,
            row.mib_per_second,
            row.p99_us,
            row.iops_spread
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::LOADS;

    fn outcome(iops: f64, p99_us: f64) -> Outcome {
        Outcome {
            ios: 1.0,
            iops,
            p99_us,
            mib_per_second: 1.0,
        }
    }

    #[test]
    fn more_iops_and_less_latency_are_ahead() {
        let ours = vec![
            outcome(100.0, 10.0),
            outcome(300.0, 30.0),
            outcome(200.0, 20.0),
        ];
        let theirs = vec![outcome(100.0, 40.0)];
        let tally = BTreeMap::from([(Contender::Archipelago, ours), (Contender::FioRbd, theirs)]);
        let rows = rows_of(LOADS[0], &tally);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].iops_ratio, rows[0].iops_spread), (Some(1.0), 3.0));
        assert_eq!(
            (rows[1].iops_ratio, rows[1].p99_ratio),
            (Some(2.0), Some(2.0))
        );
        assert_eq!(rows[1].cell, "randread-4k-q1");
    }
}
