//! Hosts are killed again and again under verified loads: nothing that was answered is lost (S8).
//!
//! `NODE_KILLS` says how many kills; `cargo xtask crash node` says more than the tests do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::kills::kill;
use crate::random::{Random, number, seed};
use crate::support::{Node, until};
use crate::worker::{Tally, Worker};

/// Owners of volumes that work at the same time.
const WORKERS: u64 = 3;
/// A supervisor leaves a host down that dies five times in ten seconds (F20).
const BETWEEN_DEATHS: Duration = Duration::from_millis(2600);

/// Kills hosts, one after the other, each when it has served for a while; how often each died.
fn kill_again_and_again(node: &Node, roles: &[&str], random: &mut Random) -> Vec<u64> {
    let mut deaths = vec![0; roles.len()];
    let mut died = vec![Instant::now(); roles.len()];
    for _ in 0..number("NODE_KILLS", 20) {
        let victim = random.below(roles.len() as u64) as usize;
        let role = roles[victim];
        let at_least = BETWEEN_DEATHS.saturating_sub(died[victim].elapsed());
        std::thread::sleep(at_least.max(Duration::from_millis(random.between(100, 700))));
        let pid = node.pid_of(role).expect("it serves");
        kill(pid);
        died[victim] = Instant::now();
        deaths[victim] += 1;
        until("another host serves", || {
            node.pid_of(role).is_some_and(|now| now != pid)
        });
    }
    deaths
}

/// Owners of volumes work while hosts die; what they did, and how often each host died.
fn work_while_hosts_die(node: &Node, roles: &[&str]) -> (Vec<Tally>, Vec<u64>) {
    let mut random = Random::new(seed());
    let seeds: Vec<u64> = (0..WORKERS).map(|_| random.below(u64::MAX)).collect();
    let is_over = AtomicBool::new(false);
    let (tallies, deaths) = std::thread::scope(|scope| {
        let workers: Vec<_> = seeds
            .into_iter()
            .enumerate()
            .map(|(number, seed)| {
                let is_over = &is_over;
                scope.spawn(move || {
                    let mut worker = Worker::new(node, &format!("v{number}"), 5, seed);
                    while !is_over.load(Ordering::Relaxed) {
                        worker.step();
                    }
                    worker.check_all();
                    worker.remove_all();
                    worker.tally
                })
            })
            .collect();
        let deaths = kill_again_and_again(node, roles, &mut random);
        is_over.store(true, Ordering::Relaxed);
        let tallies = workers.into_iter().map(|worker| worker.join());
        let tallies: Vec<Tally> = tallies
            .map(|tally| tally.expect("a worker failed"))
            .collect();
        (tallies, deaths)
    });
    for tally in &tallies {
        println!("{tally:?}");
    }
    println!("deaths: {deaths:?} of {roles:?}");
    // A grant that died leaves an object that nobody names (F4).
    until("all space is given back", || {
        node.vlmc(&["gc"]).ok();
        node.objects("blocks").is_empty() && node.objects("maps").is_empty()
    });
    (tallies, deaths)
}

/// S6, S8, WORK-1, WORK-2: all roles in one process, which dies again and again: clients connect anew.
#[test]
fn volumes_equal_their_models_when_the_one_host_is_killed_again_and_again() {
    let node = Node::started("trash_ttl = \"0s\"\n");
    let (tallies, _) = work_while_hosts_die(&node, &["mapperd"]);
    assert!(tallies.iter().all(|tally| tally.requests > 0));
}

/// S6, S8, WORK-1, WORK-2: who talks to a host that lives sees no error at all, only latency.
#[test]
fn clients_of_a_host_that_lives_see_no_error_when_any_other_is_killed() {
    let node = Node::started("trash_ttl = \"0s\"\n[hosts]\nisolate = true\n");
    let (tallies, _) = work_while_hosts_die(&node, &["blockerb", "blockerm", "mapperd"]);
    for tally in tallies {
        assert_eq!((tally.unknown, tally.reconnects), (0, 0));
    }
}

/// S6, S7, S8, WORK-1, WORK-2: the host with the clients' sockets is killed too; each of its deaths is a reconnect.
#[test]
fn a_death_of_the_clients_own_host_costs_a_reconnect() {
    let node = Node::started("trash_ttl = \"0s\"\n[hosts]\nisolate = true\n");
    let roles = ["vlmcd", "blockerb", "blockerm", "mapperd"];
    let (tallies, deaths) = work_while_hosts_die(&node, &roles);
    for tally in tallies {
        assert!(tally.reconnects <= deaths[0], "{tally:?}, {deaths:?}");
    }
}
