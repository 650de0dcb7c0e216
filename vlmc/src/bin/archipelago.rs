//! `archipelago`: the node and its roles.

use std::process::ExitCode;

use archipelago::cli::complete::{self, Program, Words};
use archipelago::cli::{ArchipelagoArgs, archipelago as command, on_streams, parse};
use archipelago::config::{self, Environment};
use archipelago::host::ThisNode;

fn main() -> ExitCode {
    complete::provide(Words {
        volumes: Vec::new,
        roles: role_names,
    });
    complete::answer_shell(Program::Archipelago);
    on_streams(|output| {
        let args: ArchipelagoArgs = match parse(std::env::args_os().collect(), output) {
            Ok(args) => args,
            Err(code) => return code,
        };
        let environment = Environment::of_process();
        let program = std::env::current_exe().unwrap_or_else(|_| "archipelago".into());
        let mut node = ThisNode::new(environment.clone(), program, args.config.clone());
        output.is_json = args.json;
        let result = command::run(args, &environment, &mut node);
        output.finish(result)
    })
}

/// For completions.
fn role_names() -> Vec<String> {
    let config = config::load(None, &Environment::of_process());
    let roles = config.map(|config| config.roles).unwrap_or_default();
    roles.into_iter().map(|role| role.name).collect()
}
