//! Where the time goes, cell by cell, after all was measured.

use anyhow::{Context, Result};

use super::disk::Disk;
use super::load;
use super::options::Options;
use super::shell::Shell;
use crate::cell::Cell;
use crate::profile::{RECORD, REPORT, places};

/// Each cell that a disk takes part in, and the command that loads the disk so.
pub fn loads(options: &Options, disk: &Disk) -> Vec<(Cell, String)> {
    let cells = Cell::chosen(&options.cell, disk.caching).into_iter();
    let loaded = |cell: Cell| {
        let command = load::command(cell.load, &[disk], options.seconds, 0);
        (cell, command)
    };
    cells.map(loaded).collect()
}

/// All of the guest while one disk is loaded, but for what the processors do when there is nothing to do.
pub fn print_of_guest(options: &Options, shell: &mut Shell, disk: &Disk) -> Result<()> {
    let (record, report) = (RECORD.join(" "), REPORT.join(" "));
    for (cell, command) in loads(options, disk) {
        let quoted = command.replace('\'', "'\\''");
        let sampled = format!(
            "perf {record} /tmp/profile --all-cpus -- sh -c '{quoted}' >/dev/null && perf {report} /tmp/profile"
        );
        let told = shell.run(&sampled).with_context(|| cell.to_string())?;
        print(disk, cell, &places(&told)?);
    }
    Ok(())
}

/// Beside the table, which may be for programs.
pub fn print(disk: &Disk, cell: Cell, places: &str) {
    eprintln!(
        "where the time of {} goes, {cell}:\n{places}",
        disk.contender
    );
}
