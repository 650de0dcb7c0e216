//! Programs that are measured, or measure.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Says so if the program of a contender is not there. `program` is with the Debian package that has it.
fn is_there(contender: &impl Display, program: (&str, &str)) -> bool {
    let (program, package) = program;
    let mut command = Command::new(program);
    command.arg("--version");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let is_there = command.stderr(Stdio::null()).status().is_ok();
    if !is_there {
        eprintln!("left out: {contender}: no {program} here (Debian package {package})");
    }
    is_there
}

/// Those that are asked for, or the usual ones if none is, and whose programs are there; the others are named.
pub fn chosen<C: Copy + Display + PartialEq>(
    usual: &[C],
    asked_for: &[C],
    program: impl Fn(C) -> Option<(&'static str, &'static str)>,
) -> Vec<C> {
    let mut chosen = Vec::new();
    for &one in if asked_for.is_empty() {
        usual
    } else {
        asked_for
    } {
        let has_program = program(one).is_none_or(|program| is_there(&one, program));
        if has_program && !chosen.contains(&one) {
            chosen.push(one);
        }
    }
    chosen
}

/// Where our own programs are: beside this one.
pub fn own_directory() -> Result<PathBuf> {
    let own = std::env::current_exe().context("where is this program?")?;
    let directory = own.parent().unwrap_or(Path::new(".")).to_owned();
    for program in ["archipelago", "vlmc"] {
        if !directory.join(program).exists() {
            bail!(
                "{program} is not in {}: `cargo build --release` puts it there",
                directory.display()
            );
        }
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rival_without_its_program_is_left_out_and_who_is_named_twice_comes_once() {
        let program = |one| match one {
            "shell" => Some(("sh", "dash")),
            "nobody" => Some(("no-such-program", "none")),
            _ => None,
        };
        let usual = ["ours", "shell", "nobody"];
        assert_eq!(chosen(&usual, &[], program), ["ours", "shell"]);
        let asked_for = ["nobody", "shell", "other", "shell"];
        assert_eq!(chosen(&usual, &asked_for, program), ["shell", "other"]);
    }
}
