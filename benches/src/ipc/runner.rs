//! Runs every contender once per repetition, so that none has the quiet minute for itself.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::alone::Alone;
use super::peer::{Launcher, PeerArguments, Pinning};
use super::report::{self, Tally};
use super::watchdog::Watchdog;
use super::xseg::Xseg;
use super::{Contender, Waiting, contenders};

/// Options of the `ipc` subcommand.
#[derive(Args, Debug)]
pub struct Options {
    /// Print one JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// Measure every contender this many times, all in turn; report the medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// Round trips timed in each measurement.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    iterations: u64,
    /// One-way messages in each measurement of throughput.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(4..))]
    messages: u64,
    /// A tenth of the iterations and messages: enough to see that all works.
    #[arg(long)]
    quick: bool,
    /// Bind each process to one processor; without a value, each to another one.
    /// Bound together, they are only measured sleeping.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "apart")]
    pin: Option<Pinning>,
    /// Measure only this contender; may be repeated.
    #[arg(long, value_name = "CONTENDER")]
    only: Vec<String>,
}

impl Options {
    fn scaled(&self, count: u64) -> u64 {
        if self.quick {
            count.div_ceil(10)
        } else {
            count
        }
    }

    /// Spinning only keeps the other process from running if both share a processor.
    fn includes(&self, mode: Waiting) -> bool {
        mode == Waiting::Sleeping || self.pin != Some(Pinning::Together)
    }

    /// Far longer than all jobs of one contender in one mode may take.
    fn job_limit(&self) -> Duration {
        const EACH_ITERATION: Duration = Duration::from_millis(1);
        const EACH_MESSAGE: Duration = Duration::from_micros(100);
        let iterations = EACH_ITERATION.as_secs_f64() * self.iterations as f64;
        let messages = EACH_MESSAGE.as_secs_f64() * self.messages as f64;
        Duration::from_secs(30) + Duration::from_secs_f64(iterations + messages)
    }

    fn chosen(&self) -> Result<Vec<Box<dyn Contender>>> {
        let mut chosen = contenders();
        let names: Vec<_> = chosen.iter().map(|contender| contender.name()).collect();
        for only in &self.only {
            ensure!(
                names.contains(&only.as_str()),
                "no contender {only:?}; there are {names:?}"
            );
        }
        if !self.only.is_empty() {
            chosen.retain(|contender| self.only.iter().any(|only| only == contender.name()));
        }
        Ok(chosen)
    }
}

/// Measures all contenders and prints what came out.
pub fn run(options: &Options) -> Result<()> {
    let chosen = options.chosen()?;
    let launcher = Launcher::new(options.pin)?;
    let watchdog = Watchdog::start(options.job_limit());
    let mut entries: Vec<(&dyn Contender, Tally)> = Vec::new();
    for contender in &chosen {
        let modes = contender.modes().iter().copied();
        for mode in modes.filter(|&mode| options.includes(mode)) {
            entries.push((contender.as_ref(), Tally::new(contender.name(), mode)));
        }
    }
    let modes: Vec<Waiting> = Xseg
        .modes()
        .iter()
        .copied()
        .filter(|&mode| options.includes(mode))
        .collect();
    let has_xseg = chosen
        .iter()
        .any(|contender| contender.name() == Xseg.name());
    let mut alone = Alone::default();
    for repetition in 1..=options.repetitions {
        if has_xseg {
            watchdog.job_starts("xseg alone".to_owned());
            alone.measure(&launcher, &modes, options.scaled(options.iterations))?;
        }
        for (contender, tally) in &mut entries {
            let subject = format!("{}, {}", contender.name(), tally.mode);
            watchdog.job_starts(subject.clone());
            measure(*contender, tally, &launcher, options)
                .with_context(|| format!("{subject}, repetition {repetition}"))?;
        }
    }
    let tallies: Vec<Tally> = entries.into_iter().map(|(_, tally)| tally).collect();
    report::print(&report::rows(&tallies), options.json)?;
    if has_xseg {
        alone.print(options.json)?;
    }
    Ok(())
}

/// Does each job once.
fn measure(
    contender: &dyn Contender,
    tally: &mut Tally,
    launcher: &Launcher,
    options: &Options,
) -> Result<()> {
    let mode: Waiting = tally.mode;
    let iterations = options.scaled(options.iterations);
    let messages = options.scaled(options.messages);
    tally.add_round_trips(&contender.round_trip(launcher, mode, iterations)?);
    tally
        .one_to_one
        .extend(contender.throughput(launcher, mode, 1, messages)?);
    tally
        .four_to_one
        .extend(contender.throughput(launcher, mode, 4, messages)?);
    Ok(())
}

/// Does the work of a peer process.
pub fn run_peer(arguments: &PeerArguments) -> Result<()> {
    arguments.settle()?;
    let task = &arguments.task;
    contenders()
        .iter()
        .find(|contender| contender.name() == task.contender)
        .with_context(|| format!("no contender {:?} in this build", task.contender))?
        .serve(task)
        .with_context(|| format!("a peer of {}", task.contender))
}
