//! What processes have used up so far, by what `/proc` says of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

/// The counts of all processes of a server at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    at: Instant,
    /// User and system.
    cpu_ticks: u64,
    /// How often a thread went to sleep, and so had to be woken.
    sleeps: u64,
}

/// What is used up in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    pub cpu_seconds: f64,
    pub wakeups: f64,
}

impl Counters {
    /// A process that is gone is an error: its server has failed.
    pub fn of(processes: &BTreeSet<u32>) -> Result<Self> {
        let mut counters = Self {
            at: Instant::now(),
            cpu_ticks: 0,
            sleeps: 0,
        };
        for pid in processes {
            let process = Path::new("/proc").join(pid.to_string());
            let stat = fs::read_to_string(process.join("stat"))
                .with_context(|| format!("process {pid} of the server"))?;
            counters.cpu_ticks +=
                cpu_ticks(&stat).with_context(|| format!("/proc/{pid}/stat: {stat}"))?;
            for task in fs::read_dir(process.join("task"))? {
                // Threads come and go; one that is gone by now has slept without us.
                let status = fs::read_to_string(task?.path().join("status"));
                counters.sleeps += sleeps(&status.unwrap_or_default());
            }
        }
        Ok(counters)
    }

    pub fn since(&self, earlier: &Self) -> Rates {
        let seconds = (self.at - earlier.at).as_secs_f64();
        let ticks = self.cpu_ticks.saturating_sub(earlier.cpu_ticks) as f64;
        let sleeps = self.sleeps.saturating_sub(earlier.sleeps) as f64;
        Rates {
            cpu_seconds: ticks / rustix::param::clock_ticks_per_second() as f64 / seconds,
            wakeups: sleeps / seconds,
        }
    }
}

/// Of a whole process, threads that have ended included. Its name may have spaces and brackets in it.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

fn sleeps(status: &str) -> u64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_name_with_brackets() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 90 0 1 0 30 12 5 6 20 0 4 0 100";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn sleeps_are_not_taken_for_preemptions() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t900\n";
        assert_eq!(sleeps(status), 12);
        assert_eq!(sleeps("Name:\tx\n"), 0);
    }

    #[test]
    fn what_this_process_uses_is_counted() {
        let own = BTreeSet::from([std::process::id()]);
        let before = Counters::of(&own).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
        let after = Counters::of(&own).unwrap();
        assert!(after.sleeps > before.sleeps);
        assert!(after.since(&before).wakeups > 0.0);
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        let pid = gone.id();
        gone.wait().unwrap();
        Counters::of(&BTreeSet::from([pid])).unwrap_err();
    }
}
