//! Where the time of processes goes, as perf samples it: by a clock, which virtual machines have, too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How perf samples; whom, and where to, follows.
pub const RECORD: [&str; 5] = [
    "record",
    "--quiet",
    "--event=cpu-clock",
    "--freq=999",
    "--output",
];

/// How it tells what it has seen; the file follows.
pub const REPORT: [&str; 6] = [
    "report",
    "--stdio",
    "--sort=comm,symbol",
    "--percent-limit=0.05",
    "--fields=overhead,comm,symbol",
    "--input",
];

/// So many of the places where most of the time goes.
const PLACES_MAX: usize = 16;

/// Processes that are watched.
pub struct Profile {
    perf: Child,
    output: PathBuf,
}

impl Profile {
    pub fn begin(processes: &BTreeSet<u32>, directory: &Path) -> Result<Self> {
        let pids: Vec<String> = processes.iter().map(u32::to_string).collect();
        let output = directory.join("profile");
        let mut perf = Command::new("perf");
        perf.args(RECORD).arg(&output);
        perf.args(["--pid", &pids.join(",")]);
        perf.stdout(Stdio::null()).stderr(Stdio::null());
        let perf = perf
            .spawn()
            .context("perf, of the Debian package linux-perf")?;
        Ok(Self { perf, output })
    }

    pub fn end(mut self) -> Result<String> {
        let pid = Pid::from_child(&self.perf);
        kill_process(pid, Signal::INT).context("perf has ended early (root may sample)")?;
        self.perf.wait()?;
        let mut report = Command::new("perf");
        let told = report.args(REPORT).arg(&self.output).output()?;
        places(&String::from_utf8_lossy(&told.stdout))
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        let _ = self.perf.kill(); // as a rule it has ended
        let _ = self.perf.wait();
    }
}

/// The hottest of them, out of what perf reports, as shares of all that it reports but of the processors' idleness.
pub fn places(report: &str) -> Result<String> {
    let mut places: Vec<(f64, String)> = report.lines().filter_map(place).collect();
    places.sort_by(|(left, _), (right, _)| right.total_cmp(left)); // perf sorts by thread first
    let all: f64 = places.iter().map(|(share, _)| share).sum();
    if places.is_empty() {
        bail!("perf has seen nothing (root may sample): {report}");
    }
    let told = |(share, what): &(f64, String)| format!("{:5.1} %  {what}", 100.0 * share / all);
    let told: Vec<String> = places.iter().take(PLACES_MAX).map(told).collect();
    Ok(told.join("\n"))
}

/// A share, and of what: the thread's name, whether it was in the kernel, and the function.
fn place(line: &str) -> Option<(f64, String)> {
    let (share, what) = line.trim().split_once('%')?;
    let words: Vec<&str> = what
        .split_whitespace()
        .filter(|word| *word != "-")
        .collect();
    let is_idle = words.first() == Some(&"swapper");
    let share = share.parse().ok().filter(|_| !is_idle)?;
    Some((share, words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_from_what_is_written_around_them() {
        let report = "# Overhead  Command  Symbol\n#\n 60.00%  swapper  [k] idle\n 10.00%  archipelago  [k] copy\n\n \
            30.00%  fio    [.] main   - -\n";
        assert_eq!(
            places(report).unwrap(),
            " 75.0 %  fio [.] main\n 25.0 %  archipelago [k] copy"
        );
        assert!(places("# nothing\n").is_err());
    }
}
