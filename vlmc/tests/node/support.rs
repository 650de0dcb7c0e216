//! A node of one's own, in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::stores;

static NODES: AtomicU32 = AtomicU32::new(0);

pub struct Node {
    directory: TempDir,
    /// What begins its programs, with their paths as its last argument.
    beginner: Vec<String>,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails with this exit code and this name, with a message; and says the way out if there is one.
    #[track_caller]
    pub fn fails(&self, code: i32, name: &str) {
        assert_eq!(self.code, code, "{self:?}");
        let error = &self.json()["error"];
        assert_eq!(error["code"], name, "{self:?}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{self:?}"
        );
    }
}

impl Node {
    /// A configured node that does not run.
    pub fn new(settings: &str) -> Self {
        Self::with_blockers(settings, stores::settings)
    }

    /// The same with settings of the blockers, by the places that they could have.
    pub fn with_blockers(settings: &str, blocker: impl Fn(&Path) -> String) -> Self {
        let directory = tempfile::Builder::new().prefix("node-").tempdir().unwrap();
        let beginner = Vec::new();
        let node = Self {
            directory,
            beginner,
        };
        let number = NODES.fetch_add(1, Ordering::Relaxed);
        let text = format!(
            "run_dir = \"{dir}/run\"\nlog_dir = \"{dir}/log\"\n{settings}\n\
             [segment]\nname = \"archipelago-test-{pid}-{number}\"\nsize = \"64MiB\"\n\
             [role.blockerb]\n{blocks}\n[role.blockerm]\n{maps}\n",
            dir = node.directory.path().display(),
            blocks = blocker(&node.path("blocks")),
            maps = blocker(&node.path("maps")),
            pid = std::process::id(),
        );
        std::fs::write(node.config(), text).unwrap();
        node
    }

    /// One that runs, and shares the stores of another one. It goes before that one.
    pub fn beside(other: &Self, name: &str, settings: &str) -> Self {
        let node = Self::new(&format!("node = \"{name}\"\n{settings}"));
        let config = std::fs::read_to_string(node.config()).unwrap();
        let place = |of: &Self, store: &str| stores::settings(&of.path(store));
        let mut shared = config;
        for store in ["blocks", "maps"] {
            shared = shared.replace(&place(&node, store), &place(other, store));
        }
        std::fs::write(node.config(), shared).unwrap();
        node.archipelago(&["start"]).ok();
        node
    }

    /// Its programs are begun by another one from now on: where that is, they are.
    pub fn begun_by(mut self, beginner: Vec<String>) -> Self {
        self.beginner = beginner;
        self
    }

    /// One that runs.
    pub fn started(settings: &str) -> Self {
        let node = Self::new(settings);
        node.archipelago(&["start"]).ok();
        node
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("archipelago.toml")
    }

    pub fn archipelago(&self, args: &[&str]) -> Said {
        self.run(env!("CARGO_BIN_EXE_archipelago"), args)
    }

    pub fn vlmc(&self, args: &[&str]) -> Said {
        self.run(env!("CARGO_BIN_EXE_vlmc"), args)
    }

    fn run(&self, program: &str, args: &[&str]) -> Said {
        let mut words = self.beginner.iter().map(String::as_str).chain([program]);
        let mut command = Command::new(words.next().expect("the program is one"));
        command.args(words);
        command.arg("--config").arg(self.config()).args(args);
        Said::of(&command.output().unwrap())
    }

    /// The export's address.
    pub fn uri(&self, volume: &str) -> String {
        let socket = self.path("run/nbd.sock");
        format!("nbd+unix:///{volume}?socket={}", socket.display())
    }

    pub fn names(&self) -> Vec<String> {
        let listed = self.vlmc(&["--json", "list"]);
        let volumes = listed.json()["volumes"].as_array().unwrap().clone();
        volumes
            .iter()
            .map(|volume| volume["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The pids of the hosts.
    pub fn pids(&self) -> Vec<i32> {
        let status = self.archipelago(&["--json", "status"]).json();
        let roles = status["roles"].as_array().unwrap().clone();
        let mut pids: Vec<i32> = roles
            .iter()
            .filter_map(|role| role["pid"].as_i64())
            .map(|pid| pid as i32)
            .collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    pub fn pid_of(&self, role: &str) -> Option<i32> {
        let status = self.archipelago(&["--json", "status"]).json();
        let roles = status["roles"].as_array()?.clone();
        let role = roles.iter().find(|status| status["role"] == role)?;
        role["pid"].as_i64().map(|pid| pid as i32)
    }

    /// The objects that a store keeps.
    pub fn objects(&self, store: &str) -> Vec<String> {
        stores::objects(&self.path(store))
    }

    pub fn object_paths(&self, store: &str) -> Vec<PathBuf> {
        stores::files(&self.path(store))
    }

    pub fn logs(&self) -> String {
        let mut all = String::new();
        for entry in std::fs::read_dir(self.path("log"))
            .into_iter()
            .flatten()
            .flatten()
        {
            all += &std::fs::read_to_string(entry.path()).unwrap_or_default();
        }
        all
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let stopped = self.archipelago(&["stop", "--force"]);
        if std::thread::panicking() {
            eprintln!("{stopped:?}\n{}", self.logs());
        }
    }
}

/// A program that must end well.
#[track_caller]
pub fn must(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program}: {error}: `cargo xtask test` installs what the tests need")
    });
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits for something that a machine with much else to do may bring late.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(200);
    while !is_so() {
        assert!(Instant::now() < give_up, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
