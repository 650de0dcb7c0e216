//! fio as the client of all: by its nbd engine, or by its rbd engine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cell::Load;
use crate::outcome::{Outcome, jobs};

/// A disk as fio finds it.
#[derive(Debug)]
pub enum Target {
    Nbd {
        uri: String,
    },
    Rbd {
        conf: PathBuf,
        pool: &'static str,
        image: &'static str,
    },
}

impl Target {
    fn command(&self) -> Command {
        let mut command = Command::new("fio");
        command.args(["--name=bench", "--thread", "--output-format=json"]);
        match self {
            Self::Nbd { uri } => {
                command.arg("--ioengine=nbd").arg(format!("--uri={uri}"));
            }
            Self::Rbd { conf, pool, image } => {
                command.env("CEPH_CONF", conf);
                command.args(["--ioengine=rbd", "--clientname=admin"]);
                command.arg(format!("--pool={pool}"));
                command.arg(format!("--rbdname={image}"));
            }
        }
        command
    }

    /// Writes it in full, and makes it durable.
    pub fn fill(&self, directory: &Path) -> Result<()> {
        let args = ["--rw=write", "--bs=1m", "--iodepth=8", "--end_fsync=1"];
        said(self.command().args(args), directory).map(drop)
    }

    /// A load for so many seconds, after one more to warm up.
    pub fn measure(
        &self,
        load: Load,
        seconds: u64,
        seed: u64,
        directory: &Path,
    ) -> Result<Outcome> {
        let Load {
            pattern,
            block,
            depth,
        } = load;
        let args = [
            format!("--rw={pattern}"),
            format!("--bs={block}"),
            format!("--iodepth={depth}"),
            format!("--runtime={seconds}"),
            "--ramp_time=1".to_owned(),
            format!("--randseed={}", seed + 1),
            "--time_based".to_owned(),
            "--norandommap".to_owned(),
        ];
        let report = said(self.command().args(args), directory)?;
        let outcome = || Outcome::of(jobs(&report)?.first()?, load);
        outcome().with_context(|| format!("fio says something else: {report}"))
    }
}

fn said(command: &mut Command, directory: &Path) -> Result<String> {
    let output = command.current_dir(directory).output();
    let output = output.with_context(|| format!("{command:?} (Debian package fio)"))?;
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed: {errors}{report}");
    }
    Ok(report)
}
