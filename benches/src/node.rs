//! A node of a benchmark's own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::programs::own_directory;

pub struct Node {
    directory: TempDir,
    programs: PathBuf,
}

impl Node {
    /// Starts one in a directory below `below`, with these settings besides its own: `hosts.isolate = true`.
    pub fn start(below: &Path, settings: &[&str]) -> Result<Self> {
        let directories = "role.blockerb.archip_dir = \"{dir}/blocks\"\nrole.blockerm.archip_dir = \"{dir}/maps\"";
        Self::with_stores(below, directories, settings)
    }

    /// The same with the settings of its stores; `{dir}` in them is its directory.
    pub fn with_stores(below: &Path, stores: &str, settings: &[&str]) -> Result<Self> {
        let programs = own_directory()?;
        let directory = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(below)?;
        let dir = directory.path().display();
        // A directory's name is nobody else's, so the segment has it too: several nodes may run at a time.
        let name = directory.path().file_name().unwrap_or_default().display();
        let stores = stores.replace("{dir}", &dir.to_string());
        let mut text = format!(
            "run_dir = \"{dir}/run\"\nlog_dir = \"{dir}/log\"\nsegment.name = \"archipelago-{name}\"\n{stores}\n",
        );
        for setting in settings {
            text.push_str(setting);
            text.push('\n');
        }
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
        let begun = Instant::now();
        output(self.command(program).args(args))?;
        Ok(begun.elapsed())
    }

    /// What vlmc answers.
    pub fn ask(&self, args: &[&str]) -> Result<Value> {
        let told = output(self.command("vlmc").arg("--json").args(args))?;
        serde_json::from_slice(&told).with_context(|| format!("vlmc --json {args:?}"))
    }

    /// Writes 1 MiB at the end of a volume, as a client does.
    pub fn write_at_end(&self, volume: &str, bytes: u64) -> Result<Duration> {
        let write = format!("write -P 7 {} 1M", bytes - (1 << 20));
        let uri = self.uri(volume);
        let begun = Instant::now();
        output(Command::new("qemu-io").args(["-f", "raw", "-c", &write, "-c", "flush", &uri]))?;
        Ok(begun.elapsed())
    }

    /// By which NBD clients find a volume.
    pub fn uri(&self, volume: &str) -> String {
        let socket = self.directory.path().join("run/nbd.sock");
        format!("nbd+unix:///{volume}?socket={}", socket.display())
    }

    /// All of its processes: the supervisor, and each host once.
    pub fn processes(&self) -> Result<BTreeSet<u32>> {
        let told = output(self.command("archipelago").args(["status", "--json"]))?;
        let status = serde_json::from_slice(&told).context("archipelago status --json")?;
        let found = processes(&status);
        if found.is_empty() {
            bail!("archipelago status --json names no process: {status}");
        }
        Ok(found)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .arg("--config")
            .arg(self.directory.path().join("archipelago.toml"));
        command
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.time("archipelago", &["stop", "--force"]); // the directory goes either way
    }
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

fn processes(status: &Value) -> BTreeSet<u32> {
    let roles = status["roles"].as_array().map_or(&[][..], Vec::as_slice);
    let pids = roles.iter().map(|role| &role["pid"]);
    pids.chain([&status["supervisor_pid"]])
        .filter_map(|pid| u32::try_from(pid.as_u64()?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_two_roles_counts_once() {
        let status = serde_json::json!({
            "supervisor_pid": 7,
            "roles": [{"pid": 9}, {"pid": 9}, {"pid": null}, {"pid": 8}],
        });
        assert_eq!(processes(&status), BTreeSet::from([7, 8, 9]));
        assert_eq!(processes(&serde_json::json!({})), BTreeSet::new());
    }
}
