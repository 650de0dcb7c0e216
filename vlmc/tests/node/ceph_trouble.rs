//! A cluster in trouble, as a node on it sees it: I/O waits and goes on, or fails if so wished, and nobody restarts anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use archipelago_ceph::Cluster;

use crate::ceph::cluster;
use crate::nbd::{Ask, Client, Outcome};
use crate::random::{number, seed};
use crate::stores;
use crate::support::{Node, until};
use crate::worker::Worker;

const OSDS: [&str; 3] = ["osd.0", "osd.1", "osd.2"];
const MONITOR: &str = "mon.a";
const EIO: u32 = 5;
const BYTES: usize = 4096;
const LOOKS: usize = 100;

fn node(cluster: &Cluster, settings: &str, of_blockers: &str) -> Node {
    let conf = cluster.conf().display().to_string();
    let node = Node::with_blockers(settings, |place| {
        format!("{}\n{of_blockers}", stores::rados_settings(place, &conf))
    });
    node.archipelago(&["start"]).ok();
    node
}

/// The states of the roles that have a store.
fn states(node: &Node) -> Vec<String> {
    let status = node.archipelago(&["--json", "status"]).json();
    let roles = status["roles"].as_array().unwrap().clone();
    let of_stores = roles.iter().filter(|role| role["type"] == "rados_blocker");
    of_stores
        .map(|role| {
            let state = role["state"].as_str().unwrap().to_owned();
            assert_eq!(state == "paused", role["paused_since"].is_u64(), "{role}");
            state
        })
        .collect()
}

fn ask(client: &mut Client, ask: Ask) -> Outcome {
    client.ask_all(&[ask]).pop().expect("an outcome for each")
}

fn write(client: &mut Client, value: u8) -> Outcome {
    let data = vec![value; BYTES];
    ask(client, Ask::Write { at: 0, data })
}

fn read(client: &mut Client) -> Outcome {
    let bytes = BYTES as u32;
    ask(client, Ask::Read { at: 0, bytes })
}

fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done(_))
}

#[test]
fn a_node_outlives_the_trouble_of_its_cluster() {
    // How long each trouble lasts beyond its being noticed; `cargo xtask crash cluster` has more patience than the suite.
    let hold = Duration::from_secs(number("NODE_TROUBLE_SECONDS", 0));
    let mut cluster = cluster();
    let waits = node(&cluster, "node = \"waits\"\ntimeout = \"120s\"\n", "");
    let fails = node(
        &cluster,
        "node = \"fails\"\n",
        "on_backend_loss = \"error\"\nbackend_timeout = \"5s\"\n",
    );
    until("there is a volume", || {
        fails.vlmc(&["create", "disk", "--size", "8"]).code == 0 || fails.names() == ["disk"]
    });
    let mut client = None;
    until("it can be used", || {
        client = Client::connect(&fails.path("run/nbd.sock"), "disk").ok();
        client.is_some()
    });
    let mut impatient = client.expect("it can be used");
    until("it is written", || is_done(&write(&mut impatient, 1)));
    let (seed, is_over) = (seed(), AtomicBool::new(false));
    let tally = std::thread::scope(|scope| {
        let work = || {
            let mut worker = Worker::new(&waits, "v", 4, seed);
            while !is_over.load(Ordering::SeqCst) {
                worker.step();
            }
            worker.check_all();
            worker.remove_all();
            worker.tally
        };
        let worker = scope.spawn(work);
        let ends = End(&is_over);
        daemons_die(&mut cluster, hold);
        all_hang(&cluster, (&waits, &fails), &mut impatient, hold);
        drop(ends);
        worker.join().unwrap()
    });
    println!("{tally:?}");
    // Nobody saw anything but time.
    assert_eq!((tally.unknown, tally.reconnects), (0, 0), "{tally:?}");
    assert!(tally.requests > 0, "{tally:?}");
    impatient.leave();
    until("all is well", || fails.archipelago(&["status"]).code == 0);
}

fn daemons_die(cluster: &mut Cluster, hold: Duration) {
    for daemon in OSDS.into_iter().chain([MONITOR]) {
        cluster.kill(daemon).unwrap();
        sleep(hold);
        cluster.revive(daemon).unwrap();
    }
}

fn all_hang(
    cluster: &Cluster,
    (waits, fails): (&Node, &Node),
    impatient: &mut Client,
    hold: Duration,
) {
    let daemons = || OSDS.into_iter().chain([MONITOR]);
    daemons().for_each(|daemon| cluster.pause(daemon).unwrap());
    until("it is said that the store is paused", || {
        states(waits).contains(&"paused".to_owned())
    });
    let status = waits.archipelago(&["status"]);
    assert_ne!(status.code, 0, "{status:?}");
    assert!(
        status.stdout.contains("has answered nothing since 2"),
        "{status:?}"
    );
    let doctor = waits.archipelago(&["doctor"]);
    assert!(
        doctor.stdout.contains("has answered nothing since 2"),
        "{doctor:?}"
    );
    until("the impatient get an error", || {
        matches!(write(impatient, 2), Outcome::Refused(EIO))
    });
    // Until it is known what became of it no flush says that all is well (D3).
    assert!(matches!(ask(impatient, Ask::Flush), Outcome::Refused(EIO)));
    let pids = fails.pids();
    sleep(hold);
    daemons().for_each(|daemon| cluster.resume(daemon).unwrap());
    until("it goes on", || states(waits) == ["running", "running"]);
    // Nobody closes, opens or restarts anything, and the connection is the same; what was refused is either there or not.
    let mut found = Outcome::Unknown;
    until("it can be read", || {
        found = read(impatient);
        is_done(&found)
    });
    let either = [[1; BYTES], [2; BYTES]];
    assert!(matches!(found, Outcome::Done(bytes) if either.iter().any(|one| bytes == *one)));
    until("it can be written", || is_done(&write(impatient, 3)));
    until("it can be flushed", || is_done(&ask(impatient, Ask::Flush)));
    for _ in 0..LOOKS {
        // Nor does it come later.
        assert!(matches!(read(impatient), Outcome::Done(bytes) if bytes == [3; BYTES]));
    }
    until("nothing is said any more", || {
        states(fails) == ["running", "running"]
    });
    assert_eq!(fails.pids(), pids);
}

/// The worker ends, also when the rest fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
