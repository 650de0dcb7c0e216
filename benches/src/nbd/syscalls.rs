//! How many system calls a server makes, as perf counts them: next to nothing is slowed down by that.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// Runs the command that is appended, and counts as long as it runs.
pub fn counting(processes: &BTreeSet<u32>, output: &Path) -> Command {
    let pids: Vec<String> = processes.iter().map(u32::to_string).collect();
    let mut perf = Command::new("perf");
    perf.args(["stat", "--field-separator=;"])
        .args(["--event=raw_syscalls:sys_enter", "--pid", &pids.join(",")])
        .arg("--output")
        .arg(output)
        .arg("--");
    perf
}

/// What was counted.
pub fn counted(output: &Path) -> Result<f64> {
    let told = std::fs::read_to_string(output)?;
    parse(&told).with_context(|| format!("perf does not count system calls (root may): {told}"))
}

/// The first field of the event's line; what cannot be counted has text there.
fn parse(told: &str) -> Option<f64> {
    let line = told
        .lines()
        .find(|line| line.contains(";raw_syscalls:sys_enter;"))?;
    line.split(';').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_taken_from_among_what_perf_says() {
        let told = "a note\n8812;;raw_syscalls:sys_enter;1000183;100.00;;\n";
        assert_eq!(parse(told), Some(8812.0));
        assert_eq!(
            parse("<not supported>;;raw_syscalls:sys_enter;0;100.00;;\n"),
            None
        );
        assert_eq!(parse(""), None);
    }
}
