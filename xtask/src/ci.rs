//! All that CI checks: quick and cheap steps first, each with its time.
//!
//! A failed step does not keep the later ones from running: one run tells all that is wrong.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::command::{self, Outcome, cargo};
use crate::drills::{Crash, Fuzz};
use crate::{models, prerequisites, suite, tidy, tsan};

/// A step: what it is called, and what it does.
type Step = (&'static str, fn() -> Result<Outcome>);

const STEPS: &[Step] = &[
    ("fmt", fmt),
    ("tidy", tidy::run),
    // All features need a library.
    ("prerequisites", prerequisites_of_tests),
    ("clippy", clippy),
    ("features", features),
    ("deny", deny),
    ("test", suite::tests),
    ("doctests", suite::doctests),
    ("doc", doc),
    ("loom", || models::run(true)),
    ("tsan", || tsan::run(&[])),
    ("crash", || Crash::short().run()),
    ("fuzz", || Fuzz::short().run()),
    ("fuzz vhost", || Fuzz::short_vhost().run()),
    ("fuzz nbd", || Fuzz::clients().run()),
];

/// A step that is over.
struct Report {
    name: &'static str,
    took: Duration,
    outcome: Result<Outcome>,
}

/// Runs all steps; fails if one of them failed.
pub fn run() -> Result<Outcome> {
    let reports: Vec<Report> = STEPS.iter().map(take).collect();
    println!("\n== summary");
    for report in &reports {
        println!("{}", summary_line(report));
    }
    let failed: Vec<_> = reports
        .iter()
        .filter(|report| report.outcome.is_err())
        .map(|report| report.name)
        .collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(Outcome::Passed)
}

fn take(&(name, action): &Step) -> Report {
    println!("\n== {name}");
    let start = Instant::now();
    let outcome = action();
    let report = Report {
        name,
        took: start.elapsed(),
        outcome,
    };
    println!("== {}", summary_line(&report));
    report
}

fn summary_line(report: &Report) -> String {
    let Report {
        name,
        took,
        outcome,
    } = report;
    let result = match outcome {
        Ok(Outcome::Passed) => "passed".to_owned(),
        Ok(Outcome::Skipped(why)) => format!("skipped: {why}"),
        Err(error) => format!("FAILED: {error:#}"),
    };
    format!("{name:<14}{:>7.1} s  {result}", took.as_secs_f64())
}

fn fmt() -> Result<Outcome> {
    passed(cargo(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<Outcome> {
    let mut command = cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
    ]);
    command.args(["-D", "warnings"]);
    passed(command)
}

/// What is built by default, and what is left out where features are.
fn features() -> Result<Outcome> {
    passed(cargo([
        "clippy",
        "--package=archipelago-nbd",
        "--all-targets",
        "--no-default-features",
        "--",
        "-Dwarnings",
    ]))?;
    passed(cargo([
        "test",
        "--package=archipelago",
        "--lib",
        "config::",
    ]))
}

fn deny() -> Result<Outcome> {
    if command::find("cargo-deny").is_none() {
        return Ok(Outcome::Skipped("cargo-deny is not installed".to_owned()));
    }
    passed(cargo(["deny", "check"]))
}

fn prerequisites_of_tests() -> Result<Outcome> {
    prerequisites::ensure()?;
    Ok(Outcome::Passed)
}

fn doc() -> Result<Outcome> {
    let mut command = cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    passed(command)
}

fn passed(mut command: std::process::Command) -> Result<Outcome> {
    command::run(&mut command)?;
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Result<Outcome>) -> String {
        summary_line(&Report {
            name: "tsan",
            took: Duration::from_millis(1250),
            outcome,
        })
    }

    #[test]
    fn the_summary_says_what_passed_what_was_skipped_and_why_the_rest_failed() {
        assert_eq!(
            report(Ok(Outcome::Passed)),
            "tsan              1.2 s  passed"
        );
        assert_eq!(
            report(Ok(Outcome::Skipped("no nightly".to_owned()))),
            "tsan              1.2 s  skipped: no nightly"
        );
        assert_eq!(
            report(Err(anyhow::anyhow!("race"))),
            "tsan              1.2 s  FAILED: race"
        );
    }
}
