//! What nodes do whose store lies on an NFS server, and what becomes of it: run by `nfs.rs`, in a guest. Elsewhere there is no server,
//! and each of these is over at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::kills::kill;
use crate::nbd::{Ask, Client, Outcome};
use crate::nfs_machines::{Machine, Server};
use crate::nodes_storm::storm;
use crate::random::number;
use crate::support::{Node, Said, until};

/// Set where these are to run.
pub const IN_GUEST: &str = "NFS_IN_GUEST";

const BLOCK_BYTES: u32 = 4096;
/// Nothing was written there: that it is zeros a node knows without asking anybody.
const NOWHERE: u64 = 1 << 20;
/// The server gives nothing away before the lease of who is cut off has run out, one thing after the other.
const PATIENCE: Duration = Duration::from_secs(300);

/// A machine with a node, which goes first.
struct Host {
    node: Node,
    machine: Machine,
}

impl Host {
    fn new(test: &str, machine: &str, name: &str, boot: u32) -> Self {
        let machine = Machine::begin(machine, test, boot);
        let node = machine.node(name);
        Self { node, machine }
    }

    fn started(test: &str, name: &str, boot: u32) -> Self {
        let host = Self::new(test, name, name, boot);
        host.node.archipelago(&["start"]).ok();
        host
    }

    fn vlmc(&self, args: &[&str]) -> Said {
        self.node.vlmc(args)
    }

    fn client(&self, volume: &str) -> Client {
        let client = Client::connect(&self.node.path("run/nbd.sock"), volume);
        client.unwrap().patient(PATIENCE)
    }

    /// Durable when this returns: another machine sees it.
    #[track_caller]
    fn writes(&self, byte: u8) {
        self.writes_at(0, byte);
    }

    #[track_caller]
    fn writes_at(&self, at: u64, byte: u8) {
        let mut client = self.client("disk");
        let data = vec![byte; BLOCK_BYTES as usize];
        for ask in [Ask::Write { at, data }, Ask::Flush] {
            let outcome = ask_one(&mut client, ask);
            assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        }
        client.leave();
    }

    #[track_caller]
    fn reads(&self, volume: &str, byte: u8) {
        let mut client = self.client(volume);
        assert_eq!(read_by(&mut client), byte);
        client.leave();
    }

    fn signal(&self, signal: Signal) {
        // Those of its hosts, by themselves: `archipelago status` tells them.
        for pid in self.node.pids() {
            kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
        }
    }
}

/// Two machines that have nothing in common but the server; none outside of the guest.
fn pair(test: &str) -> Option<(Host, Host)> {
    let host = |name, boot| Host::started(test, name, boot);
    is_in_guest().then(|| (host("one", 1), host("two", 2)))
}

fn is_in_guest() -> bool {
    std::env::var_os(IN_GUEST).is_some()
}

fn ask_one(client: &mut Client, ask: Ask) -> Outcome {
    client.ask_all(&[ask]).pop().expect("an outcome for each")
}

fn write(byte: u8) -> Ask {
    Ask::Write {
        at: 0,
        data: vec![byte; BLOCK_BYTES as usize],
    }
}

#[track_caller]
fn read_by(client: &mut Client) -> u8 {
    read_at(client, 0)
}

#[track_caller]
fn read_at(client: &mut Client, at: u64) -> u8 {
    let bytes = BLOCK_BYTES;
    let data = match ask_one(client, Ask::Read { at, bytes }) {
        Outcome::Done(data) => data,
        other => panic!("{other:?}"),
    };
    assert!(data.iter().all(|byte| *byte == data[0]), "torn");
    data[0]
}

/// A request of a client that is not waited for.
fn begin(mut client: Client, ask: Ask) -> JoinHandle<Outcome> {
    std::thread::spawn(move || ask_one(&mut client, ask))
}

fn message_of(said: &Said) -> String {
    let message = &said.json()["error"]["message"];
    message.as_str().unwrap_or_default().to_owned()
}

/// BENEATH-3, L1, L2, L4: what is flushed on one is read on the other; management is refused by name.
#[test]
fn a_volume_goes_from_machine_to_machine() {
    let Some((one, two)) = pair("hand-over") else {
        return;
    };
    let findings = one.node.archipelago(&["--json", "doctor"]).json()["findings"].clone();
    let findings = findings.as_array().unwrap();
    let mount = findings
        .iter()
        .find(|one| one["check"] == "NFS of blockerb");
    assert_eq!(mount.unwrap()["grade"], "good", "{mount:?}");
    one.vlmc(&["create", "disk", "--size", "64"]).ok();
    assert_eq!(two.node.names(), ["disk"]);
    for round in 1..=3_u8 {
        let (here, there) = match round % 2 {
            1 => (&one, &two),
            _ => (&two, &one),
        };
        here.vlmc(&["open", "disk"]).ok();
        here.writes(round);
        there.reads("disk", round);
        let said = there.vlmc(&["--json", "open", "disk"]);
        said.fails(5, "locked");
        let owner = ["two", "one"][usize::from(round % 2)];
        let message = message_of(&said);
        assert!(
            message.contains(&format!(" on {owner} since ")),
            "{message}"
        );
        here.vlmc(&["close", "disk"]).ok();
    }
    one.vlmc(&["snapshot", "disk", "monday"]).ok();
    one.writes(5);
    two.vlmc(&["create", "twin", "--snap", "monday"]).ok();
    two.reads("twin", 3);
    one.reads("twin", 3);
    two.reads("disk", 5);
    // Whoever waits for the lock gets it when it is given back.
    let waits = begin(two.client("disk"), write(6));
    one.vlmc(&["close", "disk"]).ok();
    let outcome = waits.join().unwrap();
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
}

/// L3, F16, F46, F49, F52: the server's locks say who lives, and of which name.
#[test]
fn who_lives_is_known_to_the_other_machine() {
    let Some((one, two)) = pair("who-lives") else {
        return;
    };
    one.vlmc(&["create", "disk", "--size", "64"]).ok();
    one.writes(1);
    let pids = one.node.pids();
    let is_refused = || {
        let said = two.vlmc(&["--json", "unlock", "-f", "disk"]);
        said.fails(5, "locked");
        let message = message_of(&said);
        assert!(message.ends_with(", which runs"), "{message}");
    };
    is_refused();
    one.signal(Signal::STOP);
    is_refused();
    for pid in &pids {
        kill_process(Pid::from_raw(*pid).unwrap(), Signal::CONT).unwrap();
    }
    // PRESENCE-1: another machine's node gives itself this name. (The machine's own is another one: the server believes that.)
    let copy = Host::new("who-lives", "three", "one", 3);
    let segment_of = |host: &Host| {
        let config = std::fs::read_to_string(host.node.config()).unwrap();
        let line = config.lines().find(|line| line.starts_with("name = "));
        (config.clone(), line.unwrap().to_owned())
    };
    let (config, own) = segment_of(&copy);
    let config = config.replace(&own, &segment_of(&one).1);
    std::fs::write(copy.node.config(), config).unwrap();
    std::thread::scope(|scope| {
        let begun = scope.spawn(|| copy.node.archipelago(&["start"]));
        until("it is refused, and says so", || {
            copy.node.logs().contains("calls itself")
        });
        copy.node.archipelago(&["stop", "--force"]);
        let said = begun.join().unwrap();
        assert_ne!(said.code, 0, "{said:?}");
    });
    drop(copy);
    one.writes(2);
    // F46: all of it is dead, and nobody is cut off; what it may have answered is waited for all the same (FENCE-2).
    let status = one.node.archipelago(&["--json", "status"]).json();
    kill(status["supervisor_pid"].as_i64().unwrap() as i32);
    one.node.pids().into_iter().for_each(kill);
    until("it is dead", || {
        let broken = two.vlmc(&["--json", "unlock", "-f", "disk"]);
        broken.code == 0 || message_of(&broken).contains("is not locked")
    });
    two.reads("disk", 2);
    two.writes(3);
    one.node.archipelago(&["start"]).ok();
    one.reads("disk", 3);
}

/// UNDER-1, UNDER-2, FENCE-1: what a node was asked when it stood still is not answered as done by the time that another one has the lock.
#[test]
fn a_node_that_stands_still_is_fenced() {
    let Some((one, two)) = pair("stands-still") else {
        return;
    };
    one.vlmc(&["create", "disk", "--size", "64"]).ok();
    one.writes(1);
    let client = one.client("disk");
    let pids = one.node.pids();
    one.signal(Signal::STOP);
    let asked = begin(client, write(2));
    two.vlmc(&["unlock", "--fence", "disk"]).ok();
    two.writes(3);
    for pid in pids {
        kill_process(Pid::from_raw(pid).unwrap(), Signal::CONT).unwrap();
    }
    let outcome = asked.join().unwrap();
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    one.reads("disk", 3);
    two.reads("disk", 3);
}

/// KEEP-1, LEASES-3, UNDER-1, F47: it goes by what the server has told it, as long as it may; and comes back to a volume of another one.
#[test]
fn a_machine_that_is_cut_off_answers_nothing_that_is_not_true_any_more() {
    let Some((one, two)) = pair("cut-off") else {
        return;
    };
    one.vlmc(&["create", "disk", "--size", "64"]).ok();
    one.writes(1);
    let (mut reader, writer) = (one.client("disk"), one.client("disk"));
    for _ in 0..3 {
        assert_eq!(read_at(&mut reader, NOWHERE), 0);
    }
    one.machine.cut_off();
    let written = begin(writer, write(2));
    let is_written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reads = scope.spawn(|| {
            loop {
                let is_later = is_written.load(Ordering::SeqCst);
                let byte = read_at(&mut reader, NOWHERE);
                if is_later {
                    return byte;
                }
                sleep(Duration::from_millis(20));
            }
        });
        two.vlmc(&["--timeout", "200", "unlock", "--fence", "disk"])
            .ok();
        two.writes(3);
        two.writes_at(NOWHERE, 3);
        is_written.store(true, Ordering::SeqCst);
        sleep(Duration::from_secs(5)); // or longer: it has no reason to answer
        one.machine.connect_again();
        assert_eq!(reads.join().unwrap(), 3); // UNDER-1
    });
    let outcome = written.join().unwrap();
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}"); // UNDER-2
    one.reads("disk", 3);
    two.reads("disk", 3);
    two.vlmc(&["close", "disk"]).ok();
    drop(reader);
    until("nobody is there any more who used it", || {
        one.vlmc(&["--json", "locks"]).json()["lost"] == serde_json::json!([])
    });
    one.writes(4);
    two.reads("disk", 4);
}

/// F38, STAGED-1: the server is gone for a while; what was asked meanwhile is done, and once.
#[test]
fn a_server_that_is_started_again_costs_time_and_nothing_else() {
    let Some((one, two)) = pair("restarts") else {
        return;
    };
    one.vlmc(&["create", "disk", "--size", "64"]).ok();
    let is_over = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let writes = scope.spawn(|| {
            let mut client = one.client("disk");
            let mut byte = 0_u8;
            while !is_over.load(Ordering::SeqCst) {
                byte = byte % 250 + 1;
                for ask in [write(byte), Ask::Flush] {
                    let outcome = ask_one(&mut client, ask);
                    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
                }
            }
            byte
        });
        sleep(Duration::from_millis(500));
        let one = &one;
        let snapshot = ["--timeout", "200", "snapshot", "disk", "monday"];
        let made = scope.spawn(move || one.vlmc(&snapshot));
        Server::get().restart(|| sleep(Duration::from_secs(3)));
        made.join().unwrap().ok();
        is_over.store(true, Ordering::SeqCst);
        writes.join().unwrap()
    });
    two.reads("disk", last);
    let mut names = two.node.names();
    names.sort();
    assert_eq!(names, ["disk", "monday"]);
    let said = two.vlmc(&["--json", "unlock", "-f", "disk"]);
    said.fails(5, "locked"); // its locks were claimed again
    one.vlmc(&["close", "disk"]).ok();
    two.writes(251);
    one.reads("disk", 251);
}

/// As over one directory of one machine: these believe that they are on one (M6), as what is answered and not flushed counts.
#[test]
fn what_clients_of_several_machines_see_could_be_seen_of_one_disk() {
    if !is_in_guest() {
        return;
    }
    let name = |number: u64| number.to_string();
    let hosts = (0..number("NODES", 2)).map(|number| Host::started("storm", &name(number), 1));
    let (mut nodes, mut machines) = (Vec::new(), Vec::new());
    for Host { node, machine } in hosts {
        nodes.push(node);
        machines.push(machine);
    }
    drop(storm(nodes, number("NODES_ROUNDS", 4)));
    drop(machines);
}
