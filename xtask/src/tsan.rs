//! ThreadSanitizer over the unit tests of xseg, some of which run threads against each other in one mapping.
//!
//! The standard library that comes with a toolchain is not instrumented. So the sanitizer does not see the
//! synchronisation inside it, and cries wolf over data that is handed over by a contended `Mutex`, a `Condvar`,
//! a `Barrier`, a `OnceLock`, or by leaving a `thread::scope` without joining its threads. Tests that run here
//! use our atomics, channels, `thread::park` and explicit joins, which it does see. Fences it never understands.
//! What is inside channels, reference counts and the test harness is silenced by name: `tsan/suppressions.txt`.
//!
//! A detector that reports nothing must show that it could: before the tests, two small programs are run, of
//! which one races and one does not.

use std::env::{self, consts};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{self, Outcome};
use crate::tree;

/// Programs that turn addresses into names, without which nothing can be silenced by name. One will do.
const SYMBOLIZERS: &[&str] = &["llvm-symbolizer", "addr2line"];

const PACKAGE: &str = "xseg";
const TOOLCHAIN: &str = "nightly";

/// The second flag lets instrumented code call the standard library that is not.
const FLAGS: &[&str] = &[
    "-Zsanitizer=thread",
    "-Cunsafe-allow-abi-mismatch=sanitizer",
];

/// How a program ends in which the sanitizer saw a race.
const RACE_EXIT_CODE: i32 = 66;

/// Runs the tests of xseg that match a filter, or all of them.
pub fn run(filters: &[OsString]) -> Result<Outcome> {
    if let Some(missing) = missing()? {
        return Ok(Outcome::Skipped(missing));
    }
    let directory = tree::target_directory("tsan");
    check_detector(&directory)?;
    let mut tests = nightly("cargo");
    tests
        .args(["test", "--package", PACKAGE, "--lib"])
        .args(["--target", &target()])
        .arg("--target-dir")
        .arg(&directory)
        .arg("--")
        .args(filters)
        .env("RUSTFLAGS", FLAGS.join(" "))
        .env_remove("CARGO_ENCODED_RUSTFLAGS") // would win over RUSTFLAGS
        .env("TSAN_OPTIONS", options());
    command::run(&mut tests)?;
    Ok(Outcome::Passed)
}

/// What is not installed that this needs.
fn missing() -> Result<Option<String>> {
    if command::find("rustup").is_none() {
        return Ok(Some("no rustup, so no nightly toolchain".to_owned()));
    }
    let toolchains = printed(Command::new("rustup").args(["toolchain", "list"]))?;
    if !toolchains.lines().any(|line| line.starts_with(TOOLCHAIN)) {
        return Ok(Some("no nightly toolchain is installed".to_owned()));
    }
    if !SYMBOLIZERS.iter().any(|name| command::find(name).is_some()) {
        return Ok(Some(format!(
            "none of {} is installed",
            SYMBOLIZERS.join(", ")
        )));
    }
    let sysroot = printed(nightly("rustc").args(["--print", "sysroot"]))?;
    let runtime = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(target())
        .join("lib/librustc-nightly_rt.tsan.a");
    if !runtime.exists() {
        return Ok(Some(
            "the nightly toolchain has no ThreadSanitizer".to_owned(),
        ));
    }
    Ok(None)
}

/// One of the toolchain's programs, at the top of the checkout.
fn nightly(program: &str) -> Command {
    let mut command = Command::new("rustup");
    command
        .args(["run", TOOLCHAIN, program])
        .current_dir(tree::top());
    command
}

fn target() -> String {
    format!("{}-unknown-linux-gnu", consts::ARCH)
}

fn printed(command: &mut Command) -> Result<String> {
    let shown = command::shown(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed ({})", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Our silenced places, and what the user asks for besides.
fn options() -> OsString {
    let mut options = OsString::from("suppressions=\"");
    options.push(sources().join("suppressions.txt"));
    options.push("\"");
    if let Some(more) = env::var_os("TSAN_OPTIONS") {
        options.push(" ");
        options.push(more);
    }
    options
}

fn sources() -> PathBuf {
    tree::top().join("xtask/tsan")
}

/// A race must be reported, and correct use of atomics, joins and channels must not.
fn check_detector(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let raced = exit_code_of("race", directory)?;
    if raced != Some(RACE_EXIT_CODE) {
        bail!("ThreadSanitizer does not see the race in tsan/race.rs (exit code {raced:?})");
    }
    let clean = exit_code_of("clean", directory)?;
    if clean != Some(0) {
        bail!("ThreadSanitizer reports a race in tsan/clean.rs (exit code {clean:?})");
    }
    println!("the detector works: it reports tsan/race.rs and accepts tsan/clean.rs");
    Ok(())
}

fn exit_code_of(name: &str, directory: &Path) -> Result<Option<i32>> {
    let program = directory.join(name);
    let mut compile = nightly("rustc");
    compile
        .args(["--edition", "2024", "--target", &target()])
        .args(FLAGS)
        .arg("-o")
        .arg(&program)
        .arg(sources().join(name).with_extension("rs"));
    printed(&mut compile)?;
    let output = Command::new(&program)
        .env("TSAN_OPTIONS", options())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(output.status.code())
}
