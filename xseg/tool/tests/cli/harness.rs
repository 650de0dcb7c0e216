//! Runs the program, and kills on drop what still runs.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use xseg::{JoinOptions, Place, Segment};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_xseg");

/// A small segment: enough for every test, quickly made.
pub const SMALL: [&str; 8] = [
    "--buffers",
    "4K=32,64K=8",
    "--ports",
    "16",
    "--static-ports",
    "8",
    "--requests",
    "64",
];

/// A directory for segments.
pub struct Site {
    directory: TempDir,
}

/// What a finished run left.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program prints text");
        Self {
            code: output.status.code().expect("the program ended by itself"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// It went well. What it printed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// It printed one JSON object a line.
    #[track_caller]
    pub fn objects(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).expect("each line is an object");
        self.stdout.lines().map(parse).collect()
    }

    /// It failed with this exit code, and with this code in the JSON error.
    #[track_caller]
    pub fn fails(&self, code: i32, json_code: &str) -> Value {
        assert_eq!(self.code, code, "{self:?}");
        let error: Value = serde_json::from_str(&self.stderr).expect("the error is an object");
        assert_eq!(error["error"]["code"], json_code, "{self:?}");
        error["error"].clone()
    }
}

impl Site {
    pub fn new() -> Self {
        Self {
            directory: TempDir::new().expect("a temporary directory"),
        }
    }

    /// With a small segment in it.
    pub fn with_segment() -> Self {
        let site = Self::new();
        site.create();
        site
    }

    pub fn create(&self) {
        self.run(&[&["create"], &SMALL[..]].concat()).ok();
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("test")
    }

    pub fn directory(&self) -> PathBuf {
        self.directory.path().into()
    }

    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .args(["--segment", "test", "--dir"])
            .arg(self.directory.path())
            .env_remove("ARCHIPELAGO_SEGMENT")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        let output = self.command(PROGRAM, args).output();
        Run::of(output.expect("the program starts"))
    }

    pub fn run_json(&self, args: &[&str]) -> Run {
        self.run(&[args, &["--json"]].concat())
    }

    /// The only object that it prints.
    #[track_caller]
    pub fn object(&self, args: &[&str]) -> Value {
        let run = self.run_json(args);
        assert_eq!(run.code, 0, "{run:?}");
        let objects = run.objects();
        assert_eq!(objects.len(), 1, "{run:?}");
        objects.into_iter().next().expect("there is one")
    }

    pub fn run_with_input(&self, args: &[&str], input: &[u8]) -> Run {
        let mut command = self.command(PROGRAM, args);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("it has an input");
        stdin.write_all(input).expect("it reads its input");
        drop(stdin);
        Run::of(child.wait_with_output().expect("it ends"))
    }

    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(PROGRAM, args))
    }

    /// One of these tests as a process of its own, which finds the segment by [`segment_of_starter`].
    pub fn start_test(&self, name: &str) -> Running {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args([name, "--exact"])
            .env(STARTER_DIRECTORY, self.directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Running::start(command)
    }

    /// A client that waits for an answer of port 0, whose request has come as far as `place`.
    pub fn waiting_client(&self, args: &[&str], place: &str) -> Running {
        let before = self.count_in(0, place);
        let client = self.start(&[args, &["--timeout", "300", "--json"]].concat());
        wait_until("its request is there", || self.count_in(0, place) > before);
        client
    }

    /// A stand-in for a peer, which is bound when this returns.
    pub fn serve(&self, port: u32, more: &[&str]) -> Running {
        let port = port.to_string();
        let mut running = self.start(&[&["serve", &port], more].concat());
        let child = running.child.as_mut().expect("it runs");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.as_mut().expect("it has an output"));
        stdout.read_line(&mut line).expect("it prints");
        assert_eq!(line, format!("serving port {port}\n"));
        running
    }

    /// How many requests `inspect` shows in such a place.
    pub fn count_in(&self, port: u32, place: &str) -> usize {
        let run = self.run_json(&["inspect", &port.to_string()]);
        let is_there = |record: &&Value| record["place"] == place;
        run.objects().iter().filter(is_there).count()
    }
}

/// A program in the background. Dropped, it is killed.
pub struct Running {
    child: Option<Child>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let child = Some(command.spawn().expect("it starts"));
        Self { child }
    }

    /// SIGKILL: no handler, no destructor, no flush.
    pub fn kill(mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it is gone");
    }

    pub fn finish(mut self) -> Run {
        let child = self.child.take().expect("it runs");
        Run::of(child.wait_with_output().expect("it ends"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill(); // it may have ended by itself
            let _ = child.wait();
        }
    }
}

const STARTER_DIRECTORY: &str = "XSEG_TEST_DIRECTORY";

/// For a process that [`Site::start_test`] started.
pub fn segment_of_starter() -> Option<Segment> {
    let directory = std::env::var_os(STARTER_DIRECTORY)?;
    let place = Place::within(Path::new(&directory), "test").expect("a good name");
    Some(JoinOptions::new().join(&place).expect("it is there"))
}

/// Waits until it is so. Long, since machines are slow; not for ever, since tests must end.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it never came to this: {what}");
}
