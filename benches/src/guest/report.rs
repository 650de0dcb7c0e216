//! Our ratios to the best rival, and everybody's to us, of medians over the repetitions: more than 1 is ahead.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

use super::contender::{Contender, Side};
use crate::cell::Cell;
use crate::median::median;
use crate::outcome::Outcome;

/// All repetitions, by cell and contender.
pub type Tallies = BTreeMap<Cell, BTreeMap<Contender, Vec<Outcome>>>;

/// One contender in one cell, beside the first of the cell.
#[derive(Debug, Serialize)]
struct Standing {
    contender: Contender,
    iops: f64,
    p99: f64,
    /// How far the repetitions lie apart: the most IOPS by the least.
    iops_spread: f64,
}

/// Ours beside the best of the rivals.
#[derive(Debug, Serialize)]
struct Ratio {
    ratio: f64,
    rival: Contender,
}

#[derive(Debug, Serialize)]
struct Row {
    bench: &'static str,
    cell: Cell,
    /// None if we or all rivals were left out.
    iops: Option<Ratio>,
    p99: Option<Ratio>,
    /// Ours comes first, and is 1.
    standings: Vec<Standing>,
}

/// Medians of a contender in a cell, of which more is better.
#[derive(Clone, Copy)]
struct Medians {
    contender: Contender,
    iops: f64,
    /// The inverse of the 99th percentile of latencies.
    p99: f64,
    iops_spread: f64,
}

impl Medians {
    fn of((contender, outcomes): (&Contender, &Vec<Outcome>)) -> Option<Self> {
        let iops = outcomes.iter().map(|one| one.iops);
        let most = iops.clone().max_by(f64::total_cmp)?;
        let least = iops.clone().min_by(f64::total_cmp)?;
        Some(Self {
            contender: *contender,
            iops: median(iops)?,
            p99: median(outcomes.iter().map(|one| one.p99_us))?.recip(),
            iops_spread: most / least,
        })
    }
}

impl Row {
    fn of(
        bench: &'static str,
        cell: Cell,
        tally: &BTreeMap<Contender, Vec<Outcome>>,
    ) -> Option<Self> {
        let all: Vec<Medians> = tally.iter().filter_map(Medians::of).collect();
        let first = *all.first()?;
        let standings = all.iter().map(|one| Standing {
            contender: one.contender,
            iops: one.iops / first.iops,
            p99: one.p99 / first.p99,
            iops_spread: one.iops_spread,
        });
        Some(Self {
            bench,
            cell,
            iops: ratio(&all, |one| one.iops),
            p99: ratio(&all, |one| one.p99),
            standings: standings.collect(),
        })
    }
}

fn ratio(all: &[Medians], value: fn(&Medians) -> f64) -> Option<Ratio> {
    let on = |side| all.iter().filter(move |one| one.contender.side == side);
    let ours = on(Side::Ours).next()?;
    let best = on(Side::Rival).max_by(|a, b| value(a).total_cmp(&value(b)))?;
    Some(Ratio {
        ratio: value(ours) / value(best),
        rival: best.contender,
    })
}

pub fn print(bench: &'static str, tallies: &Tallies, is_json: bool) -> Result<()> {
    let rows = tallies.iter();
    let rows: Vec<Row> = rows
        .filter_map(|(cell, tally)| Row::of(bench, *cell, tally))
        .collect();
    let mut out = io::stdout().lock();
    if is_json {
        for row in &rows {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
        return Ok(());
    }
    write_ratios(&mut out, &rows)?;
    writeln!(out)?;
    write_standings(&mut out, &rows)?;
    Ok(())
}

fn write_ratios(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    writeln!(
        out,
        "archipelago beside the best rival, in an emulated guest: a ratio above 1 is ahead"
    )?;
    writeln!(
        out,
        "{:<26} {:>6} {:<20} {:>6} {:<20}",
        "cell", "IOPS", "best", "p99", "best"
    )?;
    for row in rows {
        let (Some(iops), Some(p99)) = (&row.iops, &row.p99) else {
            continue;
        };
        writeln!(
            out,
            "{:<26} {:>6.2} {:<20} {:>6.2} {:<20}",
            row.cell, iops.ratio, iops.rival, p99.ratio, p99.rival
        )?;
    }
    Ok(())
}

fn write_standings(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    writeln!(
        out,
        "each beside the first of its cell; spread: the most IOPS of a repetition by the least"
    )?;
    writeln!(
        out,
        "{:<26} {:<20} {:>6} {:>6} {:>7}",
        "cell", "contender", "IOPS", "p99", "spread"
    )?;
    for row in rows {
        for one in &row.standings {
            writeln!(
                out,
                "{:<26} {:<20} {:>6.2} {:>6.2} {:>7.2}",
                row.cell, one.contender, one.iops, one.p99, one.iops_spread
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Caching, LOADS};

    const CELL: Cell = Cell {
        load: LOADS[0],
        caching: Caching::Buffered,
    };

    fn outcomes(values: &[(f64, f64)]) -> Vec<Outcome> {
        let outcome = |&(iops, p99_us): &(f64, f64)| Outcome {
            ios: iops,
            iops,
            p99_us,
            mib_per_second: 1.0,
        };
        values.iter().map(outcome).collect()
    }

    fn contender(side: Side, name: &'static str) -> Contender {
        Contender { side, name }
    }

    /// Our other one is better than all, and is no rival.
    fn row() -> Row {
        let ours = [(100.0, 50.0), (3.0, 9.0), (200.0, 60.0)];
        let tally = BTreeMap::from([
            (contender(Side::Rival, "a"), outcomes(&[(50.0, 25.0)])),
            (contender(Side::Rival, "b"), outcomes(&[(80.0, 75.0)])),
            (contender(Side::AlsoOurs, "c"), outcomes(&[(900.0, 1.0)])),
            (contender(Side::Ours, "z"), outcomes(&ours)),
        ]);
        Row::of("ublk", CELL, &tally).unwrap()
    }

    #[test]
    fn ratios_are_of_medians_to_the_best_rival_of_each_kind_and_above_1_is_ahead() {
        let row = row();
        let (iops, p99) = (row.iops.unwrap(), row.p99.unwrap());
        assert_eq!((iops.rival.name, p99.rival.name), ("b", "a"));
        assert!((iops.ratio - 100.0 / 80.0).abs() < 1e-9);
        assert!((p99.ratio - 25.0 / 50.0).abs() < 1e-9);
    }

    #[test]
    fn all_are_told_beside_ours_and_how_far_repetitions_lie_apart() {
        let row = row();
        assert_eq!(row.standings[0].contender.name, "z");
        assert!((row.standings[0].iops_spread - 200.0 / 3.0).abs() < 1e-9);
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(json["standings"][3]["contender"], "b");
        assert_eq!(json["standings"][3]["iops"], 0.8);
        let mut text = Vec::new();
        write_ratios(&mut text, std::slice::from_ref(&row)).unwrap();
        write_standings(&mut text, &[row]).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.contains("randread-4k-q1-buffered      1.25 b"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 3 + 6);
    }

    #[test]
    fn without_a_rival_or_without_us_there_is_no_ratio() {
        for side in [Side::Ours, Side::Rival] {
            let tally = BTreeMap::from([(contender(side, "one"), outcomes(&[(1.0, 1.0)]))]);
            assert!(Row::of("ublk", CELL, &tally).unwrap().iops.is_none());
        }
    }
}
