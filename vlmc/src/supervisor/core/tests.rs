//! The machine against stories, and against chance.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn core(names: &[&str]) -> Core {
    Core::new(
        names.iter().map(|name| (*name).to_owned()),
        Limits::default(),
    )
}

fn spawn(name: &str) -> Action {
    Action::Spawn(name.into())
}

#[test]
fn hosts_start_in_order_each_when_the_one_before_it_is_ready() {
    let mut core = core(&["a", "b"]);
    core.start(None);
    assert_eq!(core.actions(ms(0)), [spawn("a")]);
    assert_eq!(core.actions(ms(10)), []);
    core.ready("a");
    assert_eq!(core.actions(ms(20)), [spawn("b")]);
    core.ready("b");
    assert_eq!(core.phase("b"), Some(Phase::Running));

    let mut core = self::core(&["slow", "b"]);
    core.start(None);
    core.actions(ms(0));
    assert_eq!(core.next_due(), Some(ms(5000)));
    assert_eq!(core.actions(ms(5000)), [spawn("b")]);
}

/// SUP-2, S8
#[test]
fn what_dies_is_spawned_again_at_once_and_within_a_second_ever_after() {
    let mut core = core(&["a"]);
    core.start(None);
    core.actions(ms(0));
    core.ready("a");
    core.exited("a", "signal 9", ms(100));
    assert_eq!(core.actions(ms(100)), [spawn("a")]);
    let mut now = 100;
    for _ in 0..100 {
        now += 2600;
        core.exited("a", "signal 9", ms(now));
        let due = core.next_due().expect("waits");
        assert!(due <= ms(now + 1000));
        assert_eq!(core.actions(due), [spawn("a")]);
    }
}

/// SUP-3, F20
#[test]
fn a_host_in_a_crash_loop_is_left_down_with_a_message_until_started_by_hand() {
    let mut core = core(&["a"]);
    core.start(None);
    let mut now = ms(0);
    let mut spawned = 0;
    for _ in 0..20 {
        spawned += core.actions(now).len();
        if core.phase("a").is_some_and(Phase::is_alive) {
            core.exited("a", "exit code 3", now + ms(10));
        }
        now = core.next_due().unwrap_or(now) + ms(10);
    }
    assert_eq!(spawned, 5);
    assert_eq!(core.phase("a"), Some(Phase::Failed));
    let message = core
        .hosts()
        .next()
        .and_then(|(.., message)| message.map(str::to_owned));
    let message = message.expect("a message");
    assert!(
        message.contains("died 5 times within 10 s, the last time by exit code 3"),
        "{message}"
    );
    core.start(Some("a"));
    assert_eq!(core.actions(now), [spawn("a")]);
}

/// SUP-3: only a fault of its own that it would repeat leaves a host down.
#[test]
fn a_host_that_serves_may_be_killed_as_often_as_one_likes() {
    let mut core = core(&["a"]);
    core.start(None);
    for round in 0..50 {
        let now = ms(round * 10);
        assert_eq!(core.actions(now), [spawn("a")], "round {round}");
        core.ready("a");
        core.killed("a", now);
    }
    // Killed before it serves: that may be a fault.
    for round in 0..5 {
        core.actions(ms(1000 + round * 1000));
        core.killed("a", ms(1000 + round * 1000));
    }
    assert_eq!(core.phase("a"), Some(Phase::Failed));
}

/// SUP-4
#[test]
fn hosts_stop_in_reverse_and_are_killed_when_they_do_not() {
    let mut core = core(&["a", "b"]);
    core.start(None);
    core.actions(ms(0));
    core.ready("a");
    core.actions(ms(0));
    core.ready("b");
    core.end();
    assert_eq!(core.actions(ms(1)), [Action::Terminate("b".into())]);
    assert_eq!(core.actions(ms(2)), []);
    assert_eq!(core.actions(ms(15_001)), [Action::Kill("b".into())]);
    assert_eq!(core.actions(ms(15_002)), []);
    assert!(!core.is_over());
    core.exited("b", "signal 9", ms(15_003));
    assert_eq!(core.actions(ms(15_003)), [Action::Terminate("a".into())]);
    core.start(None);
    core.exited("a", "exit code 0", ms(15_004));
    assert_eq!(core.actions(ms(15_005)), []);
    assert!(core.is_over());
}

#[test]
fn a_host_can_be_stopped_and_started_alone() {
    let mut core = core(&["a", "b"]);
    core.start(None);
    core.adopted("a", ms(0));
    core.adopted("b", ms(0));
    core.ready("a");
    core.ready("b");
    assert_eq!(core.actions(ms(1)), []);
    core.stop("a");
    assert_eq!(core.actions(ms(1)), [Action::Terminate("a".into())]);
    core.start(Some("a"));
    assert_eq!(core.actions(ms(2)), []);
    core.exited("a", "exit code 0", ms(3));
    assert_eq!(core.actions(ms(3)), [spawn("a")]);
    assert!(!core.is_over());
}

/// SUP-5
#[test]
fn hosts_that_begin_anew_are_all_killed_first_and_start_in_order() {
    let mut core = core(&["a", "b", "c"]);
    core.start(None);
    for name in ["a", "b", "c"] {
        core.adopted(name, ms(0));
        core.ready(name);
    }
    core.exited("b", "exit code 79", ms(1));
    core.renew();
    let kill = |name: &str| Action::Kill(name.into());
    assert_eq!(core.actions(ms(1)), [kill("a"), kill("c")]);
    assert_eq!(core.actions(ms(2)), []);
    core.killed("c", ms(3));
    assert_eq!(core.actions(ms(3)), [], "one lives");
    core.killed("a", ms(4));
    assert_eq!(core.actions(ms(4)), [spawn("a")]);
    core.ready("a");
    assert_eq!(core.actions(ms(5)), [spawn("b")]);
    core.ready("b");
    assert_eq!(core.actions(ms(6)), [spawn("c")]);
    assert_eq!(core.actions(ms(7)), []);
}

proptest! {
    /// SUP-1, SUP-3, SUP-4
    #[test]
    fn whatever_happens_there_is_one_process_a_host_and_the_order_holds(
        steps in prop::collection::vec((0u8..8, 0usize..3, 0u64..4000), 0..200),
    ) {
        let names = ["a", "b", "c"];
        let mut core = core(&names);
        let mut alive = [false; 3];
        let mut told = [false; 3];
        let mut deaths: [Vec<u64>; 3] = Default::default();
        let mut now = 0;
        for (what, which, later) in steps {
            now += later;
            let name = names[which];
            match what {
                0 => core.start(Some(name)),
                1 => core.start(None),
                2 => core.stop(name),
                3 => core.ready(name),
                7 if now % 10 == 0 => core.end(),
                _ if alive[which] => {
                    core.exited(name, "chance", ms(now));
                    alive[which] = false;
                    if !told[which] {
                        deaths[which].push(now);
                    }
                    told[which] = false;
                }
                _ => {}
            }
            for action in core.actions(ms(now)) {
                let index = |name: &String| names.iter().position(|n| n == name).expect("known");
                match action {
                    Action::Spawn(name) => {
                        prop_assert!(!alive[index(&name)], "two processes of {}", name);
                        alive[index(&name)] = true;
                    }
                    Action::Terminate(name) => {
                        prop_assert!(alive[index(&name)] && !told[index(&name)]);
                        told[index(&name)] = true;
                    }
                    Action::Kill(name) => prop_assert!(told[index(&name)]),
                }
            }
            for (index, (_, phase, ..)) in core.hosts().enumerate() {
                prop_assert_eq!(phase.is_alive(), alive[index]);
                prop_assert_eq!(matches!(phase, Phase::Stopping { .. }), told[index]);
                if phase == Phase::Failed {
                    let last = *deaths[index].last().expect("it died");
                    let recent = deaths[index].iter().filter(|at| last - **at <= 10_000).count();
                    prop_assert!(recent >= 5);
                }
            }
        }
    }
}
