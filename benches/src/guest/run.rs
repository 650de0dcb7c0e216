//! All cells, one after the other.

use anyhow::{Context, Result};

use super::disk::Disk;
use super::load;
use super::options::Options;
use super::report::Tallies;
use super::shell::Shell;
use crate::cell::{Caching, Cell};

pub fn measure(options: &Options, shell: &mut Shell, disks: &[Disk]) -> Result<Tallies> {
    for disk in disks {
        let Disk {
            contender, caching, ..
        } = disk;
        eprintln!("{caching:?}: the disk of {contender} is written");
        shell.run(&load::fill_command(disk))?;
    }
    let cells = Caching::ALL.map(|caching| Cell::chosen(&options.cell, caching));
    let mut tallies = Tallies::new();
    for repetition in 0..options.repetitions {
        for &cell in cells.iter().flatten() {
            let mut turns: Vec<&Disk> = disks
                .iter()
                .filter(|disk| disk.caching == cell.caching)
                .collect();
            if turns.is_empty() {
                continue;
            }
            let first = repetition as usize % turns.len();
            turns.rotate_left(first);
            eprintln!("repetition {}: {cell}", repetition + 1);
            let command = load::command(cell.load, &turns, options.seconds, repetition);
            let report = shell.run(&command).with_context(|| cell.to_string())?;
            let tally = tallies.entry(cell).or_default();
            for (contender, outcome) in load::outcomes(&report, cell.load, &turns)? {
                tally.entry(contender).or_default().push(outcome);
            }
        }
    }
    Ok(tallies)
}
