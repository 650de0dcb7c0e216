//! `fuzz-segment`: damages the tables of a segment while it is used, and shows that nobody crashes or hangs.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use archipelago_tests::fuzz::{self, Options};
use archipelago_tests::rng::Rng;
use archipelago_tests::worker::{self, WorkerArgs};
use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Damages the tables of a segment while it is used")]
struct Cli {
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    role: Option<Part>,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// For how long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Repeats the choices of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Runs one round of the seed only.
    #[arg(long, requires = "seed")]
    round: Option<u64>,
    /// Prints the result as JSON, one object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Runs as one of the workers.
    #[command(hide = true)]
    Worker(WorkerArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.role {
        Some(Part::Worker(args)) => worker::run(args).map(|()| true),
        None => control(&cli.run),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("fuzz-segment: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn control(args: &RunArgs) -> anyhow::Result<bool> {
    let seed = args.seed.unwrap_or_else(Rng::fresh_seed);
    eprintln!("seed {seed}");
    let books = fuzz::run(&Options {
        seconds: args.seconds,
        seed,
        round: args.round,
    })?;
    if args.json {
        println!("{}", books.to_json());
    } else {
        print!("{books}");
    }
    Ok(books.is_clean())
}
