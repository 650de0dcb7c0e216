//! fio's nbd engine as the client of all servers: one connection, so many requests in flight.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cell::Load;
use crate::outcome::{Outcome, jobs};

/// A run that takes so much longer than it should has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Filling a disk has no end of its own; slower than this (10 MiB a second for the default of 1 GiB) it makes no sense.
const FILL_PATIENCE: Duration = Duration::from_secs(100);

/// A load for a while, measured after it has warmed up.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    pub load: Load,
    pub uri: &'a str,
    pub seconds: u64,
    pub ramp_seconds: u64,
    /// The same for all contenders of a repetition.
    pub seed: usize,
}

/// fio at work.
pub struct Running {
    child: Child,
    errors: PathBuf,
    output: PathBuf,
    until: Instant,
}

impl Job<'_> {
    pub fn start(&self, directory: &Path) -> Result<Running> {
        self.start_by(Command::new("fio"), directory)
    }

    /// By a program that is given the command as its last arguments.
    pub fn start_under(&self, mut program: Command, directory: &Path) -> Result<Running> {
        program.arg("fio");
        self.start_by(program, directory)
    }

    fn start_by(&self, command: Command, directory: &Path) -> Result<Running> {
        let Load {
            pattern,
            block,
            depth,
        } = self.load;
        let args = [
            format!("--rw={pattern}"),
            format!("--bs={block}"),
            format!("--iodepth={depth}"),
            format!("--runtime={}", self.seconds),
            format!("--ramp_time={}", self.ramp_seconds),
            format!("--randseed={}", self.seed + 1),
            "--time_based".to_owned(),
            "--norandommap".to_owned(),
        ];
        let lasts = Duration::from_secs(self.seconds + self.ramp_seconds);
        Running::start(command, directory, self.uri, &args, lasts + PATIENCE)
    }
}

/// Writes a disk in full, and makes it durable.
pub fn fill(directory: &Path, uri: &str) -> Result<()> {
    let args = ["--rw=write", "--bs=1m", "--iodepth=8", "--end_fsync=1"];
    let args = args.map(str::to_owned);
    let running = Running::start(Command::new("fio"), directory, uri, &args, FILL_PATIENCE)?;
    running.report().map(drop)
}

impl Running {
    fn start(
        mut command: Command,
        directory: &Path,
        uri: &str,
        args: &[String],
        patience: Duration,
    ) -> Result<Self> {
        let (output, errors) = (directory.join("fio.json"), directory.join("fio.errors"));
        let child = command
            .args([
                "--name=bench",
                "--ioengine=nbd",
                "--thread",
                "--output-format=json",
            ])
            .arg(format!("--uri={uri}"))
            .args(args)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .stderr(File::create(&errors)?)
            .spawn()
            .with_context(|| format!("{command:?} (Debian packages fio, linux-perf)"))?;
        Ok(Self {
            child,
            errors,
            output,
            until: Instant::now() + patience,
        })
    }

    /// When it has ended, what it says.
    pub fn outcome(self, load: Load) -> Result<Outcome> {
        let report = self.report()?;
        let outcome = || Outcome::of(jobs(&report)?.first()?, load);
        outcome().with_context(|| format!("fio says something else: {report}"))
    }

    fn report(mut self) -> Result<String> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > self.until {
                bail!("fio does not come to an end: the server does not answer");
            }
            sleep(Duration::from_millis(5));
        };
        let report = fs::read_to_string(&self.output)?;
        if !status.success() {
            let errors = fs::read_to_string(&self.errors)?;
            bail!("fio failed ({status}): {errors}{report}");
        }
        Ok(report)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it has ended, mostly
        let _ = self.child.wait();
    }
}
