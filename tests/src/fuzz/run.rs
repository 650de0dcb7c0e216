//! A run of the fuzzer: round after round.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::books::Books;
use super::round::Round;
use crate::rng::mix;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub seconds: u64,
    pub seed: u64,
    /// Only this round of the seed.
    pub round: Option<u64>,
}

/// Rounds with failures after which the run ends.
const FAILURES_MAX: u64 = 10;

pub fn run(options: &Options) -> anyhow::Result<Books> {
    let begun = Instant::now();
    let mut books = Books {
        seed: options.seed,
        ..Books::default()
    };
    let mut number = options.round.unwrap_or(0);
    loop {
        let directory = tempfile::Builder::new()
            .prefix("archipelago-fuzz-")
            .tempdir_in(xseg::DEFAULT_DIRECTORY)
            .context("making a directory for the segment")?;
        let seed = mix(options.seed ^ mix(number));
        Round::new(&mut books, directory.path(), number, seed).run()?;
        books.rounds += 1;
        number += 1;
        let is_over = begun.elapsed() >= Duration::from_secs(options.seconds);
        let is_enough = books.ended + books.hung >= FAILURES_MAX;
        if is_over || is_enough || options.round.is_some() {
            break;
        }
    }
    books.seconds = begun.elapsed().as_secs_f64();
    Ok(books)
}
