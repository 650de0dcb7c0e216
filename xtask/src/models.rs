//! The loom models of xseg: every interleaving (up to a bound) of small programs over its lock-free code.
//!
//! They are built with `--cfg loom` into a directory of their own, then run as one test binary. What this
//! module knows about them are the names below; [`mutants`] knows the rest.

mod mutants;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::{self, Outcome, cargo};
use crate::tree;

const PACKAGE: &str = "xseg";
/// What the path of every model contains, and of no other test.
const FILTER: &str = "loom";
/// The end of the path of the test that lists the named orderings: no model itself.
const LISTING: &str = "orderings::list";

/// How often loom lets one thread interrupt another, per execution. With three, some model notices each of the
/// orderings that `--mutants` weakens.
const MAX_PREEMPTIONS: (&str, &str) = ("LOOM_MAX_PREEMPTIONS", "3");

/// Builds and runs the models, with `weakened` once more for each weakened ordering.
pub fn run(weakened: bool) -> Result<Outcome> {
    let binary = build()?;
    let models = models(&binary)?;
    if models.is_empty() {
        bail!("{PACKAGE} has no test with `{FILTER}` in its path: no model was run");
    }
    command::run(test_binary(&binary).arg(FILTER))?;
    if weakened {
        mutants::run(&binary, &models)?;
    }
    Ok(Outcome::Passed)
}

fn build() -> Result<PathBuf> {
    let mut build = cargo(["test", "--package", PACKAGE, "--release", "--lib"]);
    build
        .args(["--no-run", "--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(tree::target_directory("loom"))
        .env("RUSTFLAGS", with_loom(env::var("RUSTFLAGS").ok()))
        .env_remove("CARGO_ENCODED_RUSTFLAGS") // would win over RUSTFLAGS
        .stdout(Stdio::piped());
    eprintln!("$ {}", command::shown(&build));
    let output = build
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the models of {PACKAGE} do not build");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    test_executable(&messages).context("cargo named no test binary")
}

fn with_loom(flags: Option<String>) -> String {
    let flags = flags.unwrap_or_default();
    format!("{flags} --cfg loom").trim_start().to_owned()
}

/// The test binary among cargo's messages, one JSON object a line.
fn test_executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["profile"]["test"] == true)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// The test binary, run where cargo would run it.
fn test_binary(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    command.current_dir(tree::top().join(PACKAGE));
    if env::var_os(MAX_PREEMPTIONS.0).is_none() {
        command.env(MAX_PREEMPTIONS.0, MAX_PREEMPTIONS.1);
    }
    command
}

/// The paths of all models.
fn models(binary: &Path) -> Result<Vec<String>> {
    let listed = output_of(test_binary(binary).args([FILTER, "--list"]))?;
    Ok(models_in(&listed))
}

fn models_in(listed: &str) -> Vec<String> {
    listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .filter(|path| !path.ends_with(LISTING))
        .map(str::to_owned)
        .collect()
}

fn output_of(command: &mut Command) -> Result<String> {
    let output = command.output().context("cannot start the test binary")?;
    if !output.status.success() {
        bail!("`{}` failed ({})", command::shown(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_binary_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","profile":{"test":false},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","profile":{"test":true},"executable":"/t/deps/xseg-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(
            test_executable(messages),
            Some(PathBuf::from("/t/deps/xseg-1"))
        );
    }

    #[test]
    fn the_listing_of_orderings_is_no_model() {
        let listed = "loom_models::orderings::list: test\nloom_models::lane: test\n\n2 tests, 0 benchmarks\n";
        assert_eq!(models_in(listed), ["loom_models::lane"]);
    }

    #[test]
    fn flags_of_the_user_are_kept() {
        assert_eq!(with_loom(None), "--cfg loom");
        assert_eq!(with_loom(Some("-g".to_owned())), "-g --cfg loom");
    }
}
