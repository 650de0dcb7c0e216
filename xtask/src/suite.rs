//! The test suite: everything that `cargo xtask test` runs.

use anyhow::Result;

use crate::command::{self, Outcome, cargo};
use crate::prerequisites;

/// What the tests need, then the tests, then the doctests.
pub fn run() -> Result<Outcome> {
    prerequisites::ensure()?;
    tests()?;
    doctests()
}

/// All tests but the doctests: by nextest if it is installed (a process for each test), else by cargo.
pub fn tests() -> Result<Outcome> {
    let mut command = if command::find("cargo-nextest").is_some() {
        cargo([
            "nextest",
            "run",
            "--workspace",
            "--all-features",
            "--no-fail-fast",
        ])
    } else {
        println!("cargo-nextest is not installed: `cargo test` will do");
        cargo([
            "test",
            "--workspace",
            "--all-features",
            "--lib",
            "--bins",
            "--examples",
            "--tests",
        ])
    };
    command::run(&mut command)?;
    Ok(Outcome::Passed)
}

/// The examples in the documentation, which nextest does not know.
pub fn doctests() -> Result<Outcome> {
    command::run(&mut cargo([
        "test",
        "--doc",
        "--workspace",
        "--all-features",
    ]))?;
    Ok(Outcome::Passed)
}
