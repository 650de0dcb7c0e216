//! Starts and stops that meet: each ends well, and says what is true.

use super::*;

/// A node whose supervisor is a process of its own, of this part.
struct Arena {
    dir: tempfile::TempDir,
    part: &'static str,
    client: Client,
}

impl Arena {
    fn new(part: &'static str, host: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let patience = Patience {
            stop: Duration::from_secs(2),
            ..Patience::default()
        };
        let client = Client::new(RunDir::new(dir.path()), vec![host.into()], patience);
        Self { dir, part, client }
    }

    fn start(&self) -> Result<Report, SupervisorError> {
        let log_file = self.dir.path().join("log");
        let mut spawn = || spawn_detached(player(self.part, self.dir.path()), &log_file, &[]);
        self.client.start(None, &mut spawn, &log_file)
    }

    fn wait_for(&self, what: impl Fn(&Report) -> bool) -> Report {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let report = self.client.report();
            if let Ok(report) = &report
                && what(report)
            {
                return report.clone();
            }
            assert!(Instant::now() < deadline, "{report:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let stopped = self.client.stop(None);
        assert!(stopped.is_ok() || std::thread::panicking());
    }
}

fn is_down(report: &Report) -> bool {
    report.supervisor_pid.is_none()
        && report
            .hosts
            .iter()
            .all(|host| host.phase == Phase::Down && host.pid.is_none())
}

/// START-1, STOP-1
#[test]
fn a_start_that_meets_an_ending_supervisor_waits_for_its_end_and_makes_another() {
    let arena = Arena::new("deaf-supervisor", "deaf");
    let first = arena.start().expect("started");
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| arena.client.stop(None));
        arena.wait_for(|report| report.is_ending);
        let second = arena.start().expect("started anew");
        assert_eq!(second.hosts[0].phase, Phase::Running);
        assert_ne!(second.supervisor(), first.supervisor());
        assert_ne!(second.hosts[0].pid, first.hosts[0].pid);
        let stopped = stop.join().expect("no panic").expect("stopped");
        assert!(is_down(&stopped), "{stopped:?}");
        let now = arena.client.report().expect("an answer");
        assert_eq!(now.supervisor(), second.supervisor());
        assert_eq!(now.hosts[0].pid, second.hosts[0].pid, "it was left alone");
    });
}

/// START-1
#[test]
fn a_start_that_is_interrupted_by_a_stop_begins_anew() {
    let arena = Arena::new("hesitant-supervisor", "hesitant");
    std::thread::scope(|scope| {
        let start = scope.spawn(|| arena.start());
        let first = arena
            .wait_for(|report| report.supervisor_pid.is_some() && report.hosts[0].phase.is_alive());
        let stopped = arena.client.stop(None).expect("stopped");
        assert!(is_down(&stopped), "{stopped:?}");
        fs::write(arena.dir.path().join("go"), "").expect("written");
        let second = start.join().expect("no panic").expect("started");
        assert_eq!(second.hosts[0].phase, Phase::Running);
        assert_ne!(second.supervisor(), first.supervisor());
    });
}

/// START-1, STOP-1
#[test]
fn stops_beside_starts_all_end_well() {
    let arena = Arena::new("hesitant-supervisor", "hesitant");
    fs::write(arena.dir.path().join("go"), "").expect("written");
    std::thread::scope(|scope| {
        let starts: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| (0..4).map(|_| arena.start()).collect::<Vec<_>>()))
            .collect();
        for _ in 0..6 {
            let stopped = arena.client.stop(None).expect("stopped");
            assert!(is_down(&stopped), "{stopped:?}");
        }
        for start in starts {
            for started in start.join().expect("no panic") {
                let report = started.expect("started");
                assert_eq!(report.hosts[0].phase, Phase::Running);
            }
        }
    });
}

/// STOP-1
#[test]
fn a_stop_whose_supervisor_is_killed_meanwhile_stops_its_hosts_by_itself() {
    let arena = Arena::new("deaf-supervisor", "deaf");
    let first = arena.start().expect("started");
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| arena.client.stop(None));
        arena.wait_for(|report| report.is_ending);
        kill(first.supervisor_pid.expect("runs"));
        let stopped = stop.join().expect("no panic").expect("stopped");
        assert!(is_down(&stopped), "{stopped:?}");
    });
    assert!(is_down(&arena.client.report().expect("looked")));
}
