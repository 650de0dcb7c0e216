//! Completions: scripts for shells, and the words that only the running system knows.
//!
//! The scripts ask the programs themselves at each TAB; [`answer_shell`] is what answers, the first act of `main`.

use std::sync::OnceLock;

use clap::CommandFactory;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};

use super::archipelago_args::{ArchipelagoArgs, Shell};
use super::vlmc_args::VlmcArgs;

/// The variable by which a script asks.
const VARIABLE: &str = "COMPLETE";

/// Where names come from. They must come fast, and nothing comes if something is wrong: completion never complains.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    pub volumes: fn() -> Vec<String>,
    pub roles: fn() -> Vec<String>,
}

static WORDS: OnceLock<Words> = OnceLock::new();

/// To be called before [`answer_shell`]; the first call counts.
pub fn provide(words: Words) {
    WORDS.get_or_init(|| words);
}

/// If a shell asks, answers and exits.
pub fn answer_shell(program: Program) {
    match program {
        Program::Vlmc => CompleteEnv::with_factory(VlmcArgs::command).complete(),
        Program::Archipelago => CompleteEnv::with_factory(ArchipelagoArgs::command).complete(),
    }
}

/// The two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Vlmc,
    Archipelago,
}

impl Program {
    pub const ALL: [Self; 2] = [Self::Archipelago, Self::Vlmc];

    pub fn name(self) -> &'static str {
        match self {
            Self::Vlmc => "vlmc",
            Self::Archipelago => "archipelago",
        }
    }

    pub fn command(self) -> clap::Command {
        match self {
            Self::Vlmc => VlmcArgs::command(),
            Self::Archipelago => ArchipelagoArgs::command(),
        }
    }
}

/// The script for a shell, for both programs.
pub fn script(shell: Shell) -> std::io::Result<String> {
    let shells = Shells::builtins();
    let completer = shells
        .completer(shell.name())
        .expect("each shell of the list is built in");
    let mut script = Vec::new();
    for program in Program::ALL {
        let name = program.name();
        completer.write_registration(VARIABLE, name, name, name, &mut script)?;
    }
    String::from_utf8(script).map_err(std::io::Error::other)
}

pub(super) fn volume_candidates() -> Vec<CompletionCandidate> {
    WORDS
        .get()
        .map_or_else(Vec::new, |words| candidates((words.volumes)()))
}

pub(super) fn role_candidates() -> Vec<CompletionCandidate> {
    WORDS
        .get()
        .map_or_else(Vec::new, |words| candidates((words.roles)()))
}

fn candidates(words: Vec<String>) -> Vec<CompletionCandidate> {
    words.into_iter().map(CompletionCandidate::new).collect()
}
