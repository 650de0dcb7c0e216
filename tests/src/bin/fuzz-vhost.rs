//! `fuzz-vhost`: front ends and guests that make sense up to a point, at a device that must not mind.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use archipelago_tests::rng::Rng;
use archipelago_tests::vhost_fuzz::{self, Options};
use clap::Parser;

#[derive(Debug, Parser)]
#[command(about = "Speaks vhost-user to a device, and means no good")]
struct Cli {
    /// For how long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// So many cases at most.
    #[arg(long, default_value_t = u64::MAX)]
    cases: u64,
    /// Repeats the choices of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// The case of the seed to begin with.
    #[arg(long, default_value_t = 0, requires = "seed")]
    from: u64,
    /// Changes rings and descriptors while they are read; then a seed repeats no case.
    #[arg(long)]
    race: bool,
    /// Prints the result as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let seed = cli.seed.unwrap_or_else(Rng::fresh_seed);
    eprintln!("seed {seed}");
    let books = vhost_fuzz::run(&Options {
        seed,
        from: cli.from,
        cases: cli.cases,
        seconds: cli.seconds,
        is_raced: cli.race,
    });
    match books {
        Ok(books) => {
            if cli.json {
                println!("{}", books.to_json());
            } else {
                print!("{books}");
            }
            ExitCode::from(u8::from(books.failure.is_some()))
        }
        Err(error) => {
            eprintln!("fuzz-vhost: {error:#}");
            ExitCode::from(2)
        }
    }
}
