//! `crash-xseg`: kills the users of a segment, thousands of times, and shows that nothing is lost, doubled, damaged or
//! leaked.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use archipelago_tests::crash::{self, Options};
use archipelago_tests::crowd;
use archipelago_tests::rng::Rng;
use archipelago_tests::worker::{self, WorkerArgs};
use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Kills the users of a segment and checks that nothing is lost")]
struct Cli {
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    role: Option<Part>,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// How many workers to kill.
    #[arg(long, default_value_t = 2000)]
    kills: u64,
    /// Repeats the choices of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Prints the result as JSON, one object a line.
    #[arg(long)]
    json: bool,
    /// Kills no more after so long.
    #[arg(long)]
    seconds_max: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Has many processes use many ports, kills nobody, and checks that they leave nothing behind.
    Crowd {
        #[arg(long, default_value_t = 64)]
        members: u32,
        #[arg(long, default_value_t = 2000)]
        ports: u32,
    },
    /// Runs as one of the workers.
    #[command(hide = true)]
    Worker(WorkerArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.role {
        Some(Part::Worker(args)) => worker::run(args).map(|()| true),
        Some(Part::Crowd { members, ports }) => gather(&cli.run, *members, *ports),
        None => control(&cli.run),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("crash-xseg: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn control(args: &RunArgs) -> anyhow::Result<bool> {
    let seed = args.seed.unwrap_or_else(Rng::fresh_seed);
    eprintln!("seed {seed}");
    let options = Options {
        kills: args.kills,
        seed,
        seconds_max: args.seconds_max,
    };
    let (books, ended) = crash::run(&options)?;
    if args.json {
        println!("{}", books.to_json());
    } else {
        print!("{books}");
    }
    if let Err(error) = &ended {
        eprintln!("crash-xseg: {error:#}");
    }
    Ok(ended.is_ok() && books.is_clean())
}

fn gather(args: &RunArgs, members: u32, ports: u32) -> anyhow::Result<bool> {
    let summary = crowd::run(&crowd::Options {
        members,
        ports,
        seed: args.seed.unwrap_or_else(Rng::fresh_seed),
    })?;
    println!("{}", summary.to_json());
    Ok(true)
}
