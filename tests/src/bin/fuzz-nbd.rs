//! `fuzz-nbd`: lets odd clients speak to the machines of the NBD server, and shows that they keep their promises.

#![forbid(unsafe_code)]

use archipelago_tests::nbd::{self, Options};
use archipelago_tests::rng::Rng;
use clap::Parser;

#[derive(Debug, Parser)]
#[command(about = "Lets odd clients speak to the machines of the NBD server")]
struct Cli {
    /// So many cases.
    #[arg(long, default_value_t = 1_000_000)]
    cases: u64,
    /// No longer than this.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Repeats the choices of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Runs one case of the seed only.
    #[arg(long, requires = "seed")]
    case: Option<u64>,
}

fn main() {
    let cli = Cli::parse();
    let seed = cli.seed.unwrap_or_else(Rng::fresh_seed);
    eprintln!("seed {seed}");
    let tally = nbd::run(&Options {
        seed,
        cases: cli.cases,
        seconds: cli.seconds,
        case: cli.case,
    });
    println!(
        "{} cases of {} bytes, each as a handshake ({} chose an export) and as requests ({} admitted): none broke a promise",
        tally.cases, tally.bytes, tally.chosen, tally.admitted
    );
}
