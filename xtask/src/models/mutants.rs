//! Mutants: the models, with one named memory ordering weakened to Relaxed.
//!
//! An ordering that no model misses is either not needed or not tested; both are worth an error. The library
//! lists its orderings when [`LIST`] is set, and weakens the one that [`WEAKEN`] names.
//!
//! Models run one by one, in processes of their own, until one fails: so the table names it even when a failing
//! model takes its process along.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{LISTING, output_of, test_binary};
use crate::command;

const LIST: &str = "XSEG_LIST_ORDERINGS";
const WEAKEN: &str = "XSEG_WEAKEN";
/// What stands before each name in the listing.
const LISTED: &str = "ordering: ";

/// A model that runs so long under a mutant neither passes nor fails.
const MODEL_LIMIT: Duration = Duration::from_secs(900);

#[derive(Debug, PartialEq, Eq)]
enum Fate<'a> {
    KilledBy(&'a str),
    Survived,
    /// This model did not end in time, and none before it failed.
    Endless(&'a str),
}

/// Weakens each ordering in turn; fails if the models let one pass.
pub fn run(binary: &Path, models: &[String]) -> Result<()> {
    let orderings = orderings(binary)?;
    if orderings.is_empty() {
        bail!("`{LISTING}` of the models lists no ordering when {LIST} is set");
    }
    println!("{:<24} killed by", "weakened ordering");
    let mut alive = 0;
    for ordering in &orderings {
        let fate = fate(binary, ordering, models)?;
        println!("{ordering:<24} {}", told(&fate));
        alive += usize::from(!matches!(fate, Fate::KilledBy(_)));
    }
    if alive > 0 {
        bail!(
            "{alive} of {} weakened orderings were not noticed by any model",
            orderings.len()
        );
    }
    Ok(())
}

fn orderings(binary: &Path) -> Result<Vec<String>> {
    let mut listing = test_binary(binary);
    listing.args([LISTING, "--nocapture"]).env(LIST, "1");
    Ok(orderings_in(&output_of(&mut listing)?))
}

/// The names in what the listing printed. The test harness may have begun the line.
fn orderings_in(printed: &str) -> Vec<String> {
    printed
        .lines()
        .filter_map(|line| line.split_once(LISTED))
        .filter_map(|(_, name)| name.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn fate<'a>(binary: &Path, ordering: &str, models: &'a [String]) -> Result<Fate<'a>> {
    for model in likeliest_first(ordering, models) {
        let mut run = test_binary(binary);
        run.args([model, "--exact"])
            .env(WEAKEN, ordering)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = run.spawn().context("cannot start the test binary")?;
        match command::wait_within(&mut child, MODEL_LIMIT)? {
            Some(status) if status.success() => {}
            Some(_) => return Ok(Fate::KilledBy(model)),
            None => return Ok(Fate::Endless(model)),
        }
    }
    Ok(Fate::Survived)
}

/// All models; those first whose name contains the ordering's first word (`lane` of `lane.push`).
fn likeliest_first<'a>(ordering: &str, models: &'a [String]) -> Vec<&'a str> {
    let subject = ordering.split('.').next().unwrap_or(ordering);
    let mut sorted: Vec<&str> = models.iter().map(String::as_str).collect();
    sorted.sort_by_key(|model| !model.contains(subject));
    sorted
}

fn told(fate: &Fate<'_>) -> String {
    match fate {
        Fate::KilledBy(model) => (*model).to_owned(),
        Fate::Survived => "- SURVIVED: no model fails without it".to_owned(),
        Fate::Endless(model) => format!("- {model} did not end in {} s", MODEL_LIMIT.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orderings_are_read_wherever_the_harness_lets_the_line_begin() {
        let printed = "\nrunning 1 test\n\
            test loom_models::orderings::list ... ordering: lane.push\n\
            ordering: claim.give-back\n\
            ok\n\ntest result: ok. 1 passed\n";
        assert_eq!(orderings_in(printed), ["lane.push", "claim.give-back"]);
    }

    #[test]
    fn models_of_the_same_subject_come_first() {
        let models = ["loom::bell_a", "loom::lane_a", "loom::lane_b"].map(str::to_owned);
        assert_eq!(
            likeliest_first("lane.push", &models),
            ["loom::lane_a", "loom::lane_b", "loom::bell_a"]
        );
    }
}
