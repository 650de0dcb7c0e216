//! The supervisor with real processes: this test program itself plays the hosts, and where it must be killed, the
//! supervisor.

mod configured;
mod fenced;
mod races;

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{Environment, load};

const PART: &str = "ARCHIPELAGO_TEST_PART";
const RUN_DIR: &str = "ARCHIPELAGO_TEST_RUN_DIR";
const CONFIG: &str = "ARCHIPELAGO_TEST_CONFIG";
const PROGRAM: &str = "ARCHIPELAGO_TEST_PROGRAM";
const HOST: &str = "ARCHIPELAGO_TEST_HOST";

/// This program again, in a part.
fn player(part: &str, run_dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("runs"));
    command
        .args([
            "--exact",
            "supervisor::tests::a_player_plays_its_part",
            "--nocapture",
        ])
        .env(PART, part)
        .env(RUN_DIR, run_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Without a part there is nothing to play, and the host's name is free.
#[test]
fn a_player_plays_its_part() {
    let Some(part) = std::env::var_os(PART) else {
        let dir = tempfile::tempdir().expect("a directory");
        let seen = look(&RunDir::new(dir.path()), "front").expect("looked");
        assert!(matches!(seen, Liveness::Dead));
        return;
    };
    let run_dir = RunDir::new(std::env::var_os(RUN_DIR).expect("given"));
    // Whoever is forgotten by a test that failed goes by itself.
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(60));
        std::process::exit(1);
    });
    match part.to_str().expect("plain") {
        "supervisor" => supervise(run_dir, &["front", "back"]),
        "deaf-supervisor" => supervise(run_dir, &["deaf"]),
        "hesitant-supervisor" => supervise(run_dir, &["hesitant"]),
        "configured-supervisor" => {
            let program = std::env::var_os(PROGRAM).expect("given").into();
            let file = std::env::var_os(CONFIG).map(PathBuf::from);
            let environment = environment();
            let config = load(file.as_deref(), &environment).expect("fine");
            let node = LocalNode::new(environment, program, file);
            let host = std::env::var(HOST).ok();
            node.supervise(&config, (host.as_deref(), false), None, || Ok(()))
                .expect("ends well");
        }
        "broken" => {
            let _ = writeln!(io::stderr(), "first line\nno segment here");
            std::process::exit(7);
        }
        name => {
            let mut lock = HostLock::take(&run_dir, name).expect("free");
            if name == "crash" {
                std::process::exit(3);
            }
            let fenced = format!("{:x}", tenure(&run_dir));
            if name == "touchy"
                && fs::read_to_string(run_dir.path().join("fenced")).is_ok_and(|at| at == fenced)
            {
                std::process::exit(FENCED_EXIT_CODE);
            }
            while name == "hesitant" && !run_dir.path().join("go").exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            lock.ready().expect("written");
            std::thread::sleep(Duration::from_secs(60));
        }
    }
}

/// What ends it is a stop, or its killing; one that was too late for that leaves another its place.
fn supervise(run_dir: RunDir, hosts: &[&str]) {
    detach_session();
    let names: Vec<String> = hosts.iter().map(|name| (*name).to_owned()).collect();
    let limits = Limits {
        stop_max: Duration::from_millis(500),
        ..Limits::default()
    };
    let launcher = Players(run_dir.clone());
    match Supervisor::new(run_dir, &names, limits, launcher) {
        Ok(supervisor) => supervisor.run(None, None).expect("ends well"),
        Err(error) => std::process::exit(error.code().exit_code().into()),
    }
}

/// Launches players; the host `deaf` does not hear SIGTERM, `none` cannot be launched.
#[derive(Debug)]
struct Players(RunDir);

impl Launcher for Players {
    fn launch(&mut self, host: &str) -> io::Result<Child> {
        match host {
            "none" => Err(io::Error::other("no such program")),
            "deaf" => {
                let player = player(host, self.0.path());
                let mut shell = Command::new("sh");
                shell.args(["-c", "trap '' TERM; exec \"$0\" \"$@\""]);
                shell.arg(player.get_program()).args(player.get_args());
                for (name, value) in player.get_envs() {
                    shell.env(name, value.unwrap_or_default());
                }
                shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
            }
            _ => player(host, self.0.path()).spawn(),
        }
    }
}

/// The end of a stream is the order to end.
struct Told(UnixStream);

impl Orders for Told {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn take(&self) -> Option<Order> {
        Some(Order::End)
    }
}

/// A supervisor in a thread; dropped, it stops its hosts.
struct Stage {
    run_dir: RunDir,
    client: Client,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Stage {
    fn new(hosts: &[&str]) -> Self {
        Self::within(tempfile::tempdir().expect("a directory"), hosts)
    }

    fn within(dir: tempfile::TempDir, hosts: &[&str]) -> Self {
        let run_dir = RunDir::new(dir.path());
        let names: Vec<String> = hosts.iter().map(|name| (*name).to_owned()).collect();
        let limits = Limits {
            stop_max: Duration::from_millis(300),
            ..Limits::default()
        };
        let launcher = Players(run_dir.clone());
        let supervisor = Supervisor::new(run_dir.clone(), &names, limits, launcher).expect("free");
        let (stop, told) = UnixStream::pair().expect("a pair");
        let thread = std::thread::spawn(move || {
            supervisor.run(None, Some(&Told(told))).expect("ends well");
        });
        Self {
            client: Client::new(run_dir.clone(), names, Patience::default()),
            run_dir,
            stop: Some(stop),
            thread: Some(thread),
            _dir: dir,
        }
    }

    fn host(&self, name: &str) -> HostReport {
        let report = self.client.report().expect("an answer");
        report
            .hosts
            .into_iter()
            .find(|host| host.name == name)
            .expect("known")
    }

    fn wait_for(&self, name: &str, what: impl Fn(&HostReport) -> bool) -> HostReport {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let host = self.host(name);
            if what(&host) {
                return host;
            }
            assert!(Instant::now() < deadline, "still {host:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait_running(&self, name: &str) -> HostReport {
        self.wait_for(name, |host| host.phase == Phase::Running)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
}

/// SUP-2, S8
#[test]
fn a_killed_host_is_back_within_a_second() {
    let stage = Stage::new(&["front", "back"]);
    let before = stage.wait_running("back");
    let front = stage.wait_running("front");
    kill(before.pid.expect("alive"));
    let killed = Instant::now();
    let after = stage.wait_for("back", |host| {
        host.phase == Phase::Running && host.pid != before.pid
    });
    assert!(
        killed.elapsed() < Duration::from_secs(1),
        "{:?}",
        killed.elapsed()
    );
    assert_eq!(after.restarts, 1);
    assert_eq!(after.message.as_deref(), Some("restarted after signal 9"));
    assert_eq!(stage.host("front").pid, front.pid);
}

/// F19
#[test]
fn a_second_supervisor_and_a_second_host_are_refused_and_the_first_are_unharmed() {
    let stage = Stage::new(&["front"]);
    let front = stage.wait_running("front");
    let launcher = Players(stage.run_dir.clone());
    let names = ["front".to_owned()];
    let second = Supervisor::new(stage.run_dir.clone(), &names, Limits::default(), launcher);
    let error = second.expect_err("refused");
    assert!(
        matches!(error, SupervisorError::AlreadyRunning { pid: Some(_), .. }),
        "{error}"
    );
    let error = HostLock::take(&stage.run_dir, "front").expect_err("refused");
    assert!(error.to_string().contains("runs already (pid"), "{error}");
    assert_eq!(stage.host("front").pid, front.pid);
}

#[test]
fn what_the_dead_left_behind_does_not_matter() {
    let dir = tempfile::tempdir().expect("a directory");
    let run_dir = RunDir::new(dir.path());
    fs::write(run_dir.gate(), "1").expect("written");
    fs::write(run_dir.socket(), "no socket").expect("written");
    let stale = r#"{"pid":1,"start_ticks":0,"started_ms":0,"is_ready":true}"#;
    fs::write(run_dir.host_lock("front"), stale).expect("written");
    let client = Client::new(run_dir, vec!["front".into()], Patience::default());
    assert_eq!(client.report().expect("looked").hosts[0].phase, Phase::Down);
    assert_eq!(client.supervisor_pid().expect("looked"), None);
    let stage = Stage::within(dir, &["front"]);
    assert!(stage.wait_running("front").pid.is_some_and(|pid| pid > 1));
}

/// HOST-1
#[test]
fn a_number_that_another_process_has_now_names_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let run_dir = RunDir::new(dir.path());
    let _lock = HostLock::take(&run_dir, "front").expect("free");
    let Liveness::Alive(live) = look(&run_dir, "front").expect("looked") else {
        panic!("this process holds it");
    };
    assert_eq!((live.pid, live.is_ready), (std::process::id(), false));
    for text in [
        "",
        "{",
        r#"{"pid":1,"start_ticks":7,"started_ms":0,"is_ready":true}"#,
    ] {
        fs::write(run_dir.host_lock("front"), text).expect("written");
        let seen = look(&run_dir, "front").expect("looked");
        assert!(matches!(seen, Liveness::Unnamed), "{text}: {seen:?}");
    }
}

/// S8, F15
#[test]
fn hosts_outlive_a_killed_supervisor_and_the_next_one_adopts_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let run_dir = RunDir::new(dir.path());
    let names = vec!["front".to_owned(), "back".to_owned()];
    let client = Client::new(run_dir.clone(), names, Patience::default());
    let log_file = dir.path().join("log");
    let mut spawned = 0;
    let mut spawn = || {
        spawned += 1;
        spawn_detached(player("supervisor", dir.path()), &log_file, &[])
    };
    let pids = |report: &Report| report.hosts.iter().map(|host| host.pid).collect::<Vec<_>>();
    let first = client.start(None, &mut spawn, &log_file).expect("started");
    assert!(
        first.hosts.iter().all(|host| host.phase == Phase::Running),
        "{first:?}"
    );
    let again = client
        .start(None, &mut spawn, &log_file)
        .expect("runs already");
    assert_eq!(again.supervisor_pid, first.supervisor_pid);

    kill(first.supervisor_pid.expect("runs"));
    while client.supervisor_pid().expect("looked").is_some() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let orphans = client.report().expect("looked");
    assert_eq!(
        (orphans.supervisor_pid, pids(&orphans)),
        (None, pids(&first))
    );
    assert!(
        orphans
            .hosts
            .iter()
            .all(|host| host.phase == Phase::Running)
    );

    let second = client.start(None, &mut spawn, &log_file).expect("started");
    assert_ne!(second.supervisor_pid, first.supervisor_pid);
    assert_eq!(pids(&second), pids(&first));

    // An adopted host is watched like a child.
    kill(second.hosts[1].pid.expect("alive"));
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let report = client.report().expect("an answer");
        if report.hosts[1].phase == Phase::Running && report.hosts[1].pid != second.hosts[1].pid {
            break;
        }
        assert!(Instant::now() < deadline, "{report:?}");
        std::thread::sleep(Duration::from_millis(5));
    }

    // And without a supervisor they can be stopped all the same.
    kill(second.supervisor_pid.expect("runs"));
    let stopped = client.stop(None).expect("stopped");
    assert!(
        stopped.hosts.iter().all(|host| host.phase == Phase::Down),
        "{stopped:?}"
    );
    assert_eq!(spawned, 2);
}

#[test]
fn stop_ends_all_hosts_and_then_the_supervisor() {
    let stage = Stage::new(&["front", "back"]);
    stage.wait_running("back");
    let report = stage.client.stop(None).expect("stopped");
    assert_eq!(report.supervisor_pid, None);
    assert!(
        report
            .hosts
            .iter()
            .all(|host| host.phase == Phase::Down && host.pid.is_none())
    );
    assert!(!stage.run_dir.socket().exists());
}

#[test]
fn one_host_is_stopped_and_started_while_the_others_run() {
    let stage = Stage::new(&["front", "back"]);
    let back = stage.wait_running("back");
    let report = stage.client.stop(Some("front")).expect("stopped");
    assert_eq!(report.hosts[0].phase, Phase::Down);
    assert_eq!(report.hosts[1].pid, back.pid);
    let mut spawn = || Err(io::Error::other("there is a supervisor"));
    let started = stage
        .client
        .start(Some("front"), &mut spawn, Path::new("/dev/null"));
    assert_eq!(started.expect("started").hosts[0].phase, Phase::Running);
    let error = stage.client.stop(Some("nobody")).expect_err("unknown");
    assert!(
        matches!(error, SupervisorError::UnknownHost { .. }),
        "{error}"
    );
}

/// SUP-4, F89
#[test]
fn a_host_that_does_not_hear_is_killed_after_its_time() {
    let stage = Stage::new(&["deaf"]);
    let deaf = stage.wait_running("deaf");
    let began = Instant::now();
    let report = stage.client.stop(Some("deaf")).expect("stopped");
    assert_eq!(report.hosts[0].phase, Phase::Down, "{deaf:?}");
    assert!(
        began.elapsed() >= Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );
}

/// SUP-3, F20
#[test]
fn a_crash_loop_ends_with_a_message_and_the_others_run() {
    let stage = Stage::new(&["crash", "none", "front"]);
    let crashed = stage.wait_for("crash", |host| host.phase == Phase::Failed);
    let message = crashed.message.expect("a message");
    assert!(
        message.contains("died 5 times within 10 s, the last time by exit code 3"),
        "{message}"
    );
    let none = stage.wait_for("none", |host| host.phase == Phase::Failed);
    let message = none.message.expect("a message");
    assert!(
        message.contains("a failed start (no such program)"),
        "{message}"
    );
    stage.wait_running("front");
}

#[test]
fn a_supervisor_that_cannot_start_leaves_its_last_words() {
    let dir = tempfile::tempdir().expect("a directory");
    let client = Client::new(
        RunDir::new(dir.path()),
        vec!["front".into()],
        Patience::default(),
    );
    let log_file = dir.path().join("log");
    let mut spawn = || spawn_detached(player("broken", dir.path()), &log_file, &[]);
    let error = client
        .start(None, &mut spawn, &log_file)
        .expect_err("it ended");
    let text = error.to_string();
    assert!(
        text.contains("exit status: 7") && text.contains("no segment here"),
        "{text}"
    );
}

/// Commands that say nothing, or nonsense, cost themselves only.
#[test]
fn strange_clients_do_not_disturb_the_supervisor() {
    let stage = Stage::new(&["front"]);
    let front = stage.wait_running("front");
    let silent: Vec<UnixStream> = (0..3)
        .map(|_| UnixStream::connect(stage.run_dir.socket()).expect("connected"))
        .collect();
    for nonsense in [
        "\n",
        "{}\n",
        "{\"command\":\"report\",\"x\":1}\n",
        "[[[[\n",
        "\u{0}\n",
    ] {
        let mut stream = UnixStream::connect(stage.run_dir.socket()).expect("connected");
        stream.write_all(nonsense.as_bytes()).expect("sent");
        let report: Report = message::receive(&stream, Duration::from_secs(5)).expect("an answer");
        assert!(report.refusal.is_some(), "{nonsense}");
    }
    drop(silent);
    assert_eq!(stage.host("front").pid, front.pid);
}

fn environment() -> Environment {
    Environment {
        uid: rustix::process::geteuid().as_raw().max(1),
        etc_dir: "/nowhere".into(),
        passwd_file: "/nowhere".into(),
        group_file: "/nowhere".into(),
        config_home: "/nowhere".into(),
        state_home: "/nowhere".into(),
        runtime_dir: None,
    }
}
