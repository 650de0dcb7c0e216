//! Processes that can be killed: the test binary runs itself, with the name of a task in its environment.
//!
//! ```text
//! test process --spawn--> entry() --> the task --say--> line by line over a socket
//!              <-----------------------------------------/   (its standard input)
//! ```

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;
use xseg::{JoinOptions, Place, Segment};

use super::tasks::TASKS;

const TASK: &str = "XSEG_TEST_TASK";
const PLACE: &str = "XSEG_TEST_PLACE";
const ARGS: &str = "XSEG_TEST_ARGS";

/// A user without rights.
pub const NOBODY: u32 = 65534;

/// The task of a worker runs here; in the test run itself it is a test that has nothing to do.
#[test]
fn entry() {
    let Ok(name) = std::env::var(TASK) else {
        return;
    };
    let task = TASKS.iter().find(|(known, _)| *known == name);
    let (_, task) = task.unwrap_or_else(|| panic!("no task {name}"));
    task(&mut Parent::connect());
}

/// The worker's side.
pub struct Parent {
    lines: Lines,
    args: Vec<String>,
    place: Option<Place>,
}

impl Parent {
    fn connect() -> Self {
        let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
        let args = std::env::var(ARGS).unwrap_or_default();
        let place = std::env::var_os(PLACE).map(PathBuf::from).map(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap();
            Place::within(path.parent().unwrap(), name).unwrap()
        });
        Self {
            lines: Lines::new(UnixStream::from(socket)),
            args: args.lines().map(str::to_owned).collect(),
            place,
        }
    }

    pub fn args(&self) -> Vec<&str> {
        self.args.iter().map(String::as_str).collect()
    }

    pub fn place(&self) -> &Place {
        self.place.as_ref().expect("the parent names a place")
    }

    pub fn join(&self) -> Segment {
        JoinOptions::new().join(self.place()).unwrap()
    }

    pub fn say(&mut self, line: impl Display) {
        self.lines.say(&line.to_string());
    }

    /// Ends this process when the parent is gone.
    pub fn hear(&mut self) -> String {
        self.lines.hear().unwrap_or_else(|| std::process::exit(0))
    }

    /// Does nothing more until it is killed.
    pub fn wait_for_death(&mut self) -> ! {
        loop {
            self.hear();
        }
    }
}

/// How to start a worker.
#[derive(Default)]
pub struct WorkerOptions {
    place: Option<PathBuf>,
    args: Vec<String>,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl WorkerOptions {
    pub fn at(segment: &Segment) -> Self {
        Self::in_place(segment.place())
    }

    pub fn in_place(place: &Place) -> Self {
        Self {
            place: Some(place.path().into()),
            ..Self::default()
        }
    }

    pub fn arg(mut self, arg: impl Display) -> Self {
        self.args.push(arg.to_string());
        self
    }

    /// Runs it as another user, of the group that has the user's number.
    pub fn user(mut self, uid: u32) -> Self {
        (self.uid, self.gid) = (Some(uid), Some(uid));
        self
    }

    pub fn start(self, task: &str) -> Worker {
        let (program, copy) = program(self.uid.is_some());
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new(program);
        command
            .args([concat!(module_path!(), "::entry")
                .split_once("::")
                .unwrap()
                .1])
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .env(TASK, task)
            .env(ARGS, self.args.join("\n"))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null());
        if let Some(place) = self.place {
            command.env(PLACE, place);
        }
        if let Some(gid) = self.gid {
            command.gid(gid);
        }
        if let Some(uid) = self.uid {
            command.uid(uid);
        }
        Worker {
            child: command.spawn().unwrap(),
            lines: Lines::new(ours),
            _copy: copy,
        }
    }
}

/// This binary; for another user a copy, since they may have no way to the original.
fn program(for_others: bool) -> (PathBuf, Option<TempDir>) {
    let own = std::env::current_exe().unwrap();
    if !for_others {
        return (own, None);
    }
    let directory = tempfile::tempdir().unwrap();
    let open_to_all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open_to_all.clone()).unwrap();
    let copy = directory.path().join("worker");
    std::fs::copy(own, &copy).unwrap();
    std::fs::set_permissions(&copy, open_to_all).unwrap();
    (copy, Some(directory))
}

/// A running worker, as the test sees it. Killed when dropped.
pub struct Worker {
    child: Child,
    lines: Lines,
    _copy: Option<TempDir>,
}

impl Worker {
    pub fn start(task: &str, segment: &Segment) -> Self {
        WorkerOptions::at(segment).start(task)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn say(&mut self, line: impl Display) {
        self.lines.say(&line.to_string());
    }

    /// What it says next.
    #[track_caller]
    pub fn hear(&mut self) -> String {
        let line = self.lines.hear();
        line.unwrap_or_else(|| panic!("the worker ended: {:?}", self.child.wait()))
    }

    /// The next thing that it says is this.
    #[track_caller]
    pub fn expect(&mut self, line: &str) {
        assert_eq!(self.hear(), line);
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// What the kernel says that its first thread does: `S` sleeps, `T` is stopped.
    fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        after_name.trim_start().chars().next().unwrap()
    }

    /// Stops it in its sleep, and waits until it is stopped.
    pub fn stop_asleep(&self) {
        super::until("it sleeps", || self.state() == 'S');
        self.signal(rustix::process::Signal::STOP);
        super::until("it is stopped", || self.state() == 'T');
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[cfg(feature = "kill-points")]
    pub fn is_dead(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its own end, which must be a good one.
    #[track_caller]
    pub fn finish(mut self) {
        let status: ExitStatus = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only if it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Lines {
    reader: BufReader<UnixStream>,
}

impl Lines {
    fn new(socket: UnixStream) -> Self {
        Self {
            reader: BufReader::new(socket),
        }
    }

    fn say(&mut self, line: &str) {
        // The other side may be dead already: then nobody needs to know.
        let _ = writeln!(self.reader.get_mut(), "{line}");
    }

    fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }
}
