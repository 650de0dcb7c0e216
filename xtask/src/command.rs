//! Other programs: how they are found, named, run and waited for.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::tree;

/// How a chore ended that did not fail.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// Something optional is missing on this machine. The text says what.
    Skipped(String),
}

/// Where programs are looked for beside PATH: an ordinary user's PATH lacks these on Debian.
const SYSTEM_DIRECTORIES: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Cargo, started at the top of the checkout.
pub fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    // By name, not by the CARGO variable: the name reaches a toolchain manager, which honours RUSTUP_TOOLCHAIN.
    let mut command = Command::new("cargo");
    command.args(args).current_dir(tree::top());
    command.env("PATH", search_path());
    command
}

/// PATH, and the directories beside it: what the tests start is found as [`find`] finds it.
fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let beside = SYSTEM_DIRECTORIES.iter().map(PathBuf::from);
    let whole = env::join_paths(env::split_paths(&path).chain(beside));
    whole.unwrap_or(path) // one that cannot be taken apart is left as it is
}

/// Shows the command, runs it with our own output, and fails unless it succeeds.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    eprintln!("$ {shown}");
    let status = command
        .status()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// The command as one would type it, short of quoting; the environment that we add comes first.
pub fn shown(command: &Command) -> String {
    let settings = command.get_envs().filter_map(|(name, value)| {
        let (name, value) = (name.to_string_lossy(), value?.to_string_lossy());
        Some(format!("{name}='{value}'"))
    });
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned());
    settings.chain(words).collect::<Vec<_>>().join(" ")
}

/// The program's file, if it is installed.
pub fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&search_path())
        .map(|directory| directory.join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Waits for the child at most so long; `None` if it had to be killed.
pub fn wait_within(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a child")? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill().context("cannot kill a child")?;
            child.wait().context("cannot wait for a killed child")?;
            return Ok(None);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("cargo");
        command
            .args(["doc", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            shown(&command),
            "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps"
        );
    }

    #[test]
    fn installed_programs_are_found_and_others_are_not() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }

    #[test]
    fn a_child_that_takes_too_long_is_killed() {
        let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
        let ended = wait_within(&mut sleeper, Duration::from_millis(10)).unwrap();
        assert_eq!(ended, None);
    }

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = run(&mut Command::new("false")).unwrap_err();
        assert!(error.to_string().starts_with("`false` failed"), "{error}");
    }
}
