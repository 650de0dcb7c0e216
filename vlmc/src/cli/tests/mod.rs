//! Whole command lines against fakes: what is asked of them, what comes out.
//!
//! Texts that people and scripts rely on are in `golden/`; `UPDATE_GOLDEN=1` rewrites them.

mod fake_node;
mod fake_volumes;
mod generated;
mod node_commands;
mod terminal;
mod volume_commands;

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use self::fake_node::FakeNode;
use self::fake_volumes::Fake;
use super::*;
use crate::config::Environment;

struct Ran {
    stdout: String,
    stderr: String,
    exit_code: u8,
    asked: Vec<String>,
}

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

/// Runs a command line as `main` would.
fn run<A: clap::Parser>(
    words: Vec<OsString>,
    command: impl FnOnce(A) -> Result<Answer, ErrorReport>,
) -> Ran {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut output = Output {
        stdout: &mut stdout,
        stderr: &mut stderr,
        is_json: false,
        is_coloured: false,
    };
    let exit_code = match parse::<A>(words, &mut output) {
        Ok(args) => output.finish(command(args)),
        Err(exit_code) => exit_code,
    };
    Ran {
        stdout: String::from_utf8(stdout).expect("text"),
        stderr: String::from_utf8(stderr).expect("text"),
        exit_code,
        asked: Vec::new(),
    }
}

fn vlmc_with(words: Vec<OsString>, mut fake: Fake) -> Ran {
    let ran = run(words, |args: VlmcArgs| vlmc::run(args.command, &mut fake));
    Ran {
        asked: fake.asked,
        ..ran
    }
}

fn vlmc(line: &str) -> Ran {
    vlmc_with(words(line), Fake::default())
}

fn archipelago_with(line: &str, dir: &Path, node: &mut FakeNode) -> Ran {
    let environment = Environment {
        uid: rustix::process::geteuid().as_raw().max(1),
        etc_dir: dir.join("etc"),
        passwd_file: dir.join("passwd"),
        group_file: dir.join("group"),
        config_home: dir.join("config"),
        state_home: dir.join("state"),
        runtime_dir: Some(dir.join("run")),
    };
    let ran = run(words(line), |args: ArchipelagoArgs| {
        archipelago::run(args, &environment, node)
    });
    Ran {
        asked: std::mem::take(&mut node.asked),
        ..ran
    }
}

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/cli/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).expect("written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == text, "{name} differs; now it is:\n{text}");
}
