//! A node of the benchmark's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

pub struct Node {
    directory: TempDir,
    programs: PathBuf,
}

impl Node {
    /// Starts one in a directory below `below`.
    pub fn start(below: &Path) -> Result<Self> {
        let own = std::env::current_exe().context("where is this program?")?;
        let programs = own.parent().unwrap_or(Path::new(".")).to_owned();
        for program in ["archipelago", "vlmc"] {
            if !programs.join(program).exists() {
                bail!(
                    "{program} is not in {}: `cargo build --release` puts it there",
                    programs.display()
                );
            }
        }
        let directory = tempfile::Builder::new()
            .prefix("bench-meta-")
            .tempdir_in(below)?;
        let dir = directory.path().display();
        let text = format!(
            "run_dir = \"{dir}/run\"\nlog_dir = \"{dir}/log\"\n[segment]\nname = \"archipelago-bench-{}\"\n\
             [role.blockerb]\narchip_dir = \"{dir}/blocks\"\n[role.blockerm]\narchip_dir = \"{dir}/maps\"\n",
            std::process::id()
        );
        std::fs::write(directory.path().join("archipelago.toml"), text)?;
        let node = Self {
            directory,
            programs,
        };
        node.time("archipelago", &["start"])?;
        Ok(node)
    }

    /// Runs a command to its end.
    pub fn time(&self, program: &str, args: &[&str]) -> Result<Duration> {
        let mut command = Command::new(self.programs.join(program));
        command
            .arg("--config")
            .arg(self.directory.path().join("archipelago.toml"))
            .args(args);
        time(&mut command)
    }

    /// Writes 1 MiB at the end of a volume, as a client does.
    pub fn write_at_end(&self, volume: &str, bytes: u64) -> Result<Duration> {
        let socket = self.directory.path().join("run/nbd.sock");
        let write = format!("write -P 7 {} 1M", bytes - (1 << 20));
        let uri = format!("nbd+unix:///{volume}?socket={}", socket.display());
        let mut command = Command::new("qemu-io");
        command.args(["-f", "raw", "-c", &write, "-c", "flush", &uri]);
        time(&mut command)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.time("archipelago", &["stop", "--force"]); // the directory goes either way
    }
}

fn time(command: &mut Command) -> Result<Duration> {
    let begun = Instant::now();
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let took = begun.elapsed();
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(took)
}
