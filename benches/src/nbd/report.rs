//! Medians of what was measured, and our ratios to the best rival: more than 1 is ahead.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

use super::contender::Contender;
use super::measurement::Measurement;
use crate::cell::Cell;
use crate::median::median;

/// All repetitions of one contender in one cell.
#[derive(Debug, Default)]
pub struct Tally {
    pub measurements: Vec<Measurement>,
    pub syscalls_per_io: Option<f64>,
}

/// By cell and contender.
pub type Tallies = BTreeMap<Cell, BTreeMap<Contender, Tally>>;

/// Medians over the repetitions.
#[derive(Debug, Serialize)]
struct Medians {
    contender: Contender,
    iops: f64,
    mib_per_second: f64,
    p99_us: f64,
    cpu_us_per_io: f64,
    wakeups_per_io: f64,
    syscalls_per_io: Option<f64>,
    /// Each repetition, to show how far they lie apart.
    iops_each: Vec<f64>,
}

/// Ours beside the best of the rivals.
#[derive(Debug, Serialize)]
struct Ratio {
    ratio: f64,
    ours: f64,
    best: f64,
    rival: Contender,
}

/// One cell of the table.
#[derive(Debug, Serialize)]
struct Row {
    bench: &'static str,
    cell: Cell,
    /// None if we or all rivals were left out.
    iops: Option<Ratio>,
    p99_us: Option<Ratio>,
    cpu_us_per_io: Option<Ratio>,
    contenders: Vec<Medians>,
}

impl Medians {
    fn of(contender: Contender, tally: &Tally) -> Self {
        let of = |value: fn(&Measurement) -> f64| {
            median(tally.measurements.iter().map(value)).unwrap_or_default()
        };
        Self {
            contender,
            iops: of(|one| one.iops),
            mib_per_second: of(|one| one.mib_per_second),
            p99_us: of(|one| one.p99_us),
            cpu_us_per_io: of(|one| one.cpu_us_per_io),
            wakeups_per_io: of(|one| one.wakeups_per_io),
            syscalls_per_io: tally.syscalls_per_io,
            iops_each: tally.measurements.iter().map(|one| one.iops).collect(),
        }
    }
}

impl Row {
    fn of(cell: Cell, tallies: &BTreeMap<Contender, Tally>) -> Self {
        let tallies = tallies.iter();
        let contenders: Vec<_> = tallies
            .map(|(contender, tally)| Medians::of(*contender, tally))
            .collect();
        Self {
            bench: "nbd",
            cell,
            iops: most(&contenders, |one| one.iops),
            p99_us: least(&contenders, |one| one.p99_us),
            cpu_us_per_io: least(&contenders, |one| one.cpu_us_per_io),
            contenders,
        }
    }
}

/// The rival with most of it is the best.
fn most(contenders: &[Medians], value: fn(&Medians) -> f64) -> Option<Ratio> {
    let (ours, rivals) = sides(contenders)?;
    let best = rivals.max_by(|a, b| value(a).total_cmp(&value(b)))?;
    Some(Ratio {
        ratio: value(ours) / value(best),
        ours: value(ours),
        best: value(best),
        rival: best.contender,
    })
}

/// The rival with least of it is the best.
fn least(contenders: &[Medians], value: fn(&Medians) -> f64) -> Option<Ratio> {
    let (ours, rivals) = sides(contenders)?;
    let best = rivals.min_by(|a, b| value(a).total_cmp(&value(b)))?;
    Some(Ratio {
        ratio: value(best) / value(ours),
        ours: value(ours),
        best: value(best),
        rival: best.contender,
    })
}

/// Ours is what users have if they configure nothing.
fn sides(contenders: &[Medians]) -> Option<(&Medians, impl Iterator<Item = &Medians>)> {
    let ours = contenders
        .iter()
        .find(|one| one.contender == Contender::Archipelago)?;
    let rivals = contenders.iter().filter(|one| one.contender.is_rival());
    Some((ours, rivals))
}

pub fn print(tallies: &Tallies, is_json: bool) -> Result<()> {
    let rows: Vec<Row> = tallies
        .iter()
        .map(|(cell, tallies)| Row::of(*cell, tallies))
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
    write_details(&mut out, &rows)?;
    Ok(())
}

fn write_ratios(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    writeln!(
        out,
        "archipelago beside the best rival; a ratio above 1 is ahead"
    )?;
    writeln!(
        out,
        "{:<26} {:>6} {:>9} {:>9} {:<20} {:>6} {:>9} {:>9} {:<20}",
        "cell", "IOPS", "ours", "best", "", "p99", "ours, us", "best, us", ""
    )?;
    for row in rows {
        let (Some(iops), Some(p99)) = (&row.iops, &row.p99_us) else {
            continue;
        };
        writeln!(
            out,
            "{:<26} {:>6.2} {:>9.0} {:>9.0} {:<20} {:>6.2} {:>9.0} {:>9.0} {:<20}",
            row.cell,
            iops.ratio,
            iops.ours,
            iops.best,
            iops.rival,
            p99.ratio,
            p99.ours,
            p99.best,
            p99.rival
        )?;
    }
    Ok(())
}

fn write_details(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    writeln!(
        out,
        "{:<26} {:<20} {:>9} {:>7} {:>9} {:>10} {:>11} {:>11}",
        "cell", "contender", "IOPS", "MiB/s", "p99, us", "CPU, us/IO", "wakeups/IO", "syscalls/IO"
    )?;
    for row in rows {
        for one in &row.contenders {
            let syscalls = one
                .syscalls_per_io
                .map_or("-".to_owned(), |count| format!("{count:.2}"));
            writeln!(
                out,
                "{:<26} {:<20} {:>9.0} {:>7.0} {:>9.0} {:>10.1} {:>11.2} {:>11}",
                row.cell,
                one.contender,
                one.iops,
                one.mib_per_second,
                one.p99_us,
                one.cpu_us_per_io,
                one.wakeups_per_io,
                syscalls
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
