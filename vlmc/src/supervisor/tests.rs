//! The supervisor with real processes: this test program itself plays the hosts, and where it must be killed, the
//! supervisor.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::*;
use crate::cli::{RoleState, Scope};
use crate::config::{Environment, load, load_text};

const PART: &str = "ARCHIPELAGO_TEST_PART";
const RUN_DIR: &str = "ARCHIPELAGO_TEST_RUN_DIR";
const CONFIG: &str = "ARCHIPELAGO_TEST_CONFIG";
const PROGRAM: &str = "ARCHIPELAGO_TEST_PROGRAM";

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
        "supervisor" => {
            detach_session();
            let names = ["front".to_owned(), "back".to_owned()];
            let launcher = Players(run_dir.clone());
            let supervisor = Supervisor::new(run_dir, &names, Limits::default(), launcher);
            supervisor.expect("free").run(None).expect("ends well");
        }
        "configured-supervisor" => {
            let program = std::env::var_os(PROGRAM).expect("given").into();
            let file = std::env::var_os(CONFIG).map(PathBuf::from);
            let environment = environment();
            let config = load(file.as_deref(), &environment).expect("fine");
            let node = LocalNode::new(environment, program, file);
            node.supervise(&config, None, || Ok(())).expect("ends well");
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
            lock.ready().expect("written");
            std::thread::sleep(Duration::from_secs(60));
        }
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
            supervisor.run(Some(&Told(told))).expect("ends well");
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
        spawn_detached(player("supervisor", dir.path()), &log_file)
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
    let mut spawn = || spawn_detached(player("broken", dir.path()), &log_file);
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

#[test]
fn roles_are_shown_by_their_hosts_and_shared_hosts_are_not_stopped_for_one_role() {
    let environment = environment();
    let text = "[hosts]\na = [\"blockerb\", \"blockerm\", \"mapperd\"]\nb = [\"vlmcd\"]";
    let config = load_text("a.toml", text, &environment).unwrap_or_else(|error| panic!("{error}"));
    let refused = host_for(&config, "mapperd", Purpose::Stop, false).expect_err("shared");
    assert!(
        refused
            .message
            .contains("shares the host a with blockerb, blockerm"),
        "{refused}"
    );
    assert_eq!(
        host_for(&config, "mapperd", Purpose::Stop, true),
        Ok("a".into())
    );
    assert_eq!(
        host_for(&config, "mapperd", Purpose::Restart, false),
        Ok("a".into())
    );
    assert_eq!(
        host_for(&config, "vlmcd", Purpose::Stop, false),
        Ok("b".into())
    );
    assert!(host_for(&config, "x", Purpose::Start, false).is_err());

    let host = |name: &str, phase| HostReport {
        name: name.into(),
        phase,
        pid: Some(7),
        uptime_ms: Some(5500),
        restarts: 2,
        message: None,
    };
    let report = Report {
        supervisor_pid: Some(1),
        hosts: vec![host("a", Phase::Running), host("b", Phase::Failed)],
        refusal: None,
    };
    let statuses = role_statuses(&config, &report, None);
    let states: Vec<RoleState> = statuses.iter().map(|status| status.state).collect();
    let running = RoleState::Running;
    assert_eq!(states, [running, running, running, RoleState::Failed]);
    assert_eq!(
        (statuses[0].uptime_seconds, statuses[0].restarts),
        (Some(5), 2)
    );
    assert_eq!(role_statuses(&config, &report, Some("b")).len(), 1);
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

/// The whole way of `archipelago start`, `status`, `restart` and `stop`, with a program of the test's own.
#[test]
fn a_configured_node_starts_twice_restarts_a_role_and_stops() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let text = format!(
        "run_dir = \"{0}/run\"\nlog_dir = \"{0}/log\"\n[role.blockerb]\narchip_dir = \"{0}/b\"\n\
         [role.blockerm]\narchip_dir = \"{0}/m\"\n[hosts]\nisolate = true\n",
        dir.path().display()
    );
    fs::write(at("a.toml"), text).expect("written");
    let mut command = player("$part", &at("run"));
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let script = format!(
        "#!/bin/sh\nfor word; do part=$word; done\n[ \"$part\" = supervise ] && part=configured-supervisor\n\
         export {PART}=$part {RUN_DIR}='{0}/run' {CONFIG}='{0}/a.toml' {PROGRAM}='{0}/program'\nexec {1}\n",
        dir.path().display(),
        words.join(" ")
    );
    command.env_clear();
    fs::write(at("program"), script).expect("written");
    fs::set_permissions(at("program"), fs::Permissions::from_mode(0o700)).expect("executable");

    let environment = environment();
    let config = load(Some(&at("a.toml")), &environment).unwrap_or_else(|error| panic!("{error}"));
    let node = LocalNode::new(environment, at("program"), Some(at("a.toml")));
    let everything = Scope::default();
    let mapperd = Scope {
        role: Some("mapperd".into()),
        ..Scope::default()
    };
    let started = node
        .start(&config, &everything)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(started.len(), 4);
    assert!(
        started.iter().all(|role| role.state == RoleState::Running),
        "{started:?}"
    );
    let pids =
        |roles: &[crate::cli::RoleStatus]| roles.iter().map(|role| role.pid).collect::<Vec<_>>();
    let again = node.start(&config, &everything).expect("runs already");
    assert_eq!(pids(&again), pids(&started));

    let restarted = node.restart(&config, &mapperd).expect("restarted");
    assert_eq!(restarted.len(), 1);
    assert_eq!(restarted[0].state, RoleState::Running);
    assert_ne!(restarted[0].pid, started[2].pid);
    let (supervisor_pid, status) = node.status(&config).expect("an answer");
    assert!(supervisor_pid.is_some());
    assert_eq!(
        (status[0].pid, status[2].pid),
        (started[0].pid, restarted[0].pid)
    );

    let stopped = node.stop(&config, &everything).expect("stopped");
    assert!(
        stopped.iter().all(|role| role.state == RoleState::Stopped),
        "{stopped:?}"
    );
    let (supervisor_pid, _) = node.status(&config).expect("looked");
    assert_eq!(supervisor_pid, None);
    assert_eq!(
        pids(&node.stop(&config, &everything).expect("stopped already")),
        [None; 4]
    );
}

#[test]
fn a_run_directory_of_somebody_else_is_not_spoken_to() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let text = format!("run_dir = \"{}\"", dir.path().display());
    let config = load_text("a.toml", &text, &environment()).expect("fine");
    assert!(LocalNode::client(&config).is_ok());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("opened");
    let refused = LocalNode::client(&config).expect_err("open to all");
    assert_eq!(refused.code, archipelago_protocol::ErrorCode::Permission);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("closed");
}
