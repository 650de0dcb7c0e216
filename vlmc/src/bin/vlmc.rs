//! `vlmc`: volumes and snapshots.

use std::process::ExitCode;
use std::time::Duration;

use archipelago::cli::complete::{self, Program, Words};
use archipelago::cli::{Output, VlmcArgs, Volumes, config_report, on_streams, parse, vlmc};
use archipelago::config::{self, Config, Environment};
use archipelago::volumes::PortVolumes;

/// A shell does not wait longer for the names of volumes.
const COMPLETE_WITHIN: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    complete::provide(Words {
        volumes: volume_names,
        roles: Vec::new,
    });
    complete::answer_shell(Program::Vlmc);
    on_streams(run)
}

fn run(output: &mut Output<'_>) -> u8 {
    let args: VlmcArgs = match parse(std::env::args_os().collect(), output) {
        Ok(args) => args,
        Err(code) => return code,
    };
    let config = match config::load(args.config.as_deref(), &Environment::of_process()) {
        Ok(config) => config,
        Err(error) => return output.finish(Err(config_report(&error))),
    };
    let mut volumes = PortVolumes::new(&config, timeout(&args, &config));
    let result = vlmc::run(args.command, &mut volumes);
    output.finish(result)
}

fn timeout(args: &VlmcArgs, config: &Config) -> Duration {
    args.timeout.map_or(config.timeout, Duration::from_secs)
}

/// For completions: what can be told in a moment.
fn volume_names() -> Vec<String> {
    let Ok(config) = config::load(None, &Environment::of_process()) else {
        return Vec::new();
    };
    let listed = PortVolumes::new(&config, COMPLETE_WITHIN)
        .list()
        .map(|listed| listed.volumes);
    let volumes = listed.unwrap_or_default().into_iter();
    volumes.map(|volume| volume.name).collect()
}
