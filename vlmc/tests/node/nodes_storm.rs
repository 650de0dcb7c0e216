//! Nodes over one store, a volume that all of them use, and somebody who stops them, kills them, closes the volume and breaks its
//! lock: what the clients saw could have been seen of one disk.
//!
//! Locks of those who live are broken as well, stopped or not: by a cluster that refuses them, or by their lease (FENCE-1). Whatever they
//! were told late is part of the history: an answer to a write that nobody else sees is a violation (UNDER-1).
//!
//! Processes die here and the machine does not, so what was answered is there, flushed or not (D1); and what the dead were asked for
//! and did not answer does not come back (ASKER-1).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use archipelago_history::{Begun, Outcome as Fate, Recorder, Work};
use rustix::process::{Pid, Signal, kill_process};

use crate::kills::kill;
use crate::nbd::{Ask, Client, Outcome};
use crate::random::{Random, number, seed};
use crate::stores;
use crate::support::{Node, Said, until};

const BLOCK_BYTES: usize = 4096;
const BLOCKS: u64 = 24;
/// Some blocks share an object, some do not.
const STRIDE_BYTES: u64 = 1 << 20;
/// Longer than those take who look whether the lock is free.
const HAND_OVER: Duration = Duration::from_millis(450);
const RETRY: Duration = Duration::from_millis(20);
/// Who waits for the lock has his turn after others, which take seconds each in a guest that is emulated.
const PATIENCE: Duration = Duration::from_secs(240);

struct Storm {
    nodes: Vec<Node>,
    recorder: Recorder,
    /// Clients of these nodes ask for nothing new.
    is_paused: Vec<AtomicBool>,
    is_over: AtomicBool,
    /// Reads that found parts of several writes.
    in_parts: AtomicU64,
}

fn place_of(block: u64) -> u64 {
    block % 4 * STRIDE_BYTES + block / 4 * BLOCK_BYTES as u64
}

fn bytes_of(value: u64) -> Vec<u8> {
    value.to_le_bytes().repeat(BLOCK_BYTES / 8)
}

/// More than one: it was read while it was written, and the kernel's page cache does not keep the two apart (of ext4; a page that is
/// written in a loop beside is read in parts every tenth time).
fn values_of(bytes: &[u8]) -> Vec<u64> {
    let words = bytes.chunks_exact(8);
    let mut values: Vec<u64> = words
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

impl Storm {
    /// A client of one node, which connects again whenever it has to.
    fn client(&self, name: u32, node: usize, mut random: Random) {
        let socket = self.nodes[node].path("run/nbd.sock");
        while !self.is_over() {
            let Ok(client) = Client::connect(&socket, "disk") else {
                sleep(RETRY);
                continue;
            };
            let mut client = client.patient(PATIENCE);
            while !self.is_over() {
                if self.is_paused[node].load(Ordering::SeqCst) {
                    sleep(RETRY);
                } else if !self.ask(&mut client, name, &mut random) {
                    break;
                }
            }
        }
    }

    /// One request, noted. False: the connection is gone.
    fn ask(&self, client: &mut Client, name: u32, random: &mut Random) -> bool {
        let block = random.below(BLOCKS);
        let at = place_of(block);
        let bytes = BLOCK_BYTES as u32;
        let choice = random.below(20);
        let begun = self.recorder.begin(name);
        match choice {
            0 => match ask_one(client, Ask::Flush) {
                Outcome::Done(_) => self.recorder.end_flush(begun),
                Outcome::Refused(_) => return random.below(2) == 0, // LOST-1: who leaves may come back
                Outcome::Unknown => return false,
            },
            1..=10 => match ask_one(client, Ask::Read { at, bytes }) {
                Outcome::Done(data) => self.note_read(begun, block, &values_of(&data)),
                Outcome::Refused(_) => {}
                Outcome::Unknown => return false,
            },
            _ => {
                let value = self.recorder.fresh_value();
                let data = bytes_of(value);
                let outcome = ask_one(client, Ask::Write { at, data });
                let fate = match outcome {
                    Outcome::Done(_) => Fate::Done,
                    Outcome::Refused(_) | Outcome::Unknown => Fate::Unknown,
                };
                self.recorder
                    .end_write(begun, block, Work::Write(value), fate);
                return match outcome {
                    Outcome::Done(_) => true,
                    Outcome::Refused(_) => random.below(2) == 0,
                    Outcome::Unknown => false,
                };
            }
        }
        true
    }

    fn note_read(&self, begun: Begun, block: u64, values: &[u64]) {
        match values {
            [value] => self.recorder.end_read(begun, block, *value),
            values => {
                self.in_parts.fetch_add(1, Ordering::Relaxed);
                self.recorder.end_read_in_parts(begun, block, values);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// The node that has the lock, if one has it.
    fn owner(&self) -> Option<usize> {
        let said = self.nodes[0].vlmc(&["--json", "locks"]);
        let locks = said.json()["locks"].as_array()?.clone();
        locks.first()?["node"].as_str()?.parse().ok()
    }

    fn another(&self, node: usize, random: &mut Random) -> usize {
        let others = self.nodes.len() as u64 - 1;
        (node + 1 + random.below(others) as usize) % self.nodes.len()
    }

    fn while_paused<T>(&self, node: usize, work: impl FnOnce() -> T) -> T {
        self.is_paused[node].store(true, Ordering::SeqCst);
        let done = work();
        self.is_paused[node].store(false, Ordering::SeqCst);
        done
    }

    /// L4: one closes it, whoever waits for it goes on.
    fn hand_over(&self, from: usize) {
        self.recorder.event(format!("node {from} closes it"));
        self.while_paused(from, || {
            let closed = self.nodes[from].vlmc(&["--json", "close", "disk"]);
            assert!(closed.code == 0 || is_not_open(&closed), "{closed:?}");
            sleep(HAND_OVER);
        });
    }

    /// FENCE-1, F49: it works, or is stopped and goes on later. Its lease is taken away and waited for.
    fn fence(&self, node: usize, by: usize, is_stopped: bool) {
        let pids = self.nodes[node].pids();
        let signal = |signal: Signal| {
            for pid in pids.iter().filter(|_| is_stopped) {
                kill_process(Pid::from_raw(*pid).unwrap(), signal).unwrap();
            }
        };
        signal(Signal::STOP);
        self.recorder.event(format!(
            "node {node} is fenced by {by}, stopped: {is_stopped}"
        ));
        let broken = self.nodes[by].vlmc(&["--json", "unlock", "--fence", "disk"]);
        self.recorder.event(format!("node {by} broke its lock"));
        sleep(HAND_OVER); // another one writes
        signal(Signal::CONT);
        self.recorder.event(format!("node {node} goes on"));
        assert!(broken.code == 0 || is_not_locked(&broken), "{broken:?}");
    }

    /// L3, F16: a node that is stopped lives. Where the store can fence its lock is broken all the same, and it finds that out by itself.
    fn stop_and_go_on(&self, node: usize, by: usize) {
        let pids = self.nodes[node].pids();
        let signal = |signal: Signal| {
            for pid in &pids {
                kill_process(Pid::from_raw(*pid).unwrap(), signal).unwrap();
            }
        };
        signal(Signal::STOP);
        self.recorder.event(format!("node {node} is stopped"));
        let broken = self.nodes[by].vlmc(&["--json", "unlock", "-f", "disk"]);
        let is_owner = self.nodes[by].vlmc(&["--json", "locks"]);
        if stores::fences() {
            self.recorder.event(format!("node {by} broke its lock"));
            sleep(HAND_OVER); // another one writes
        }
        signal(Signal::CONT);
        self.recorder.event(format!("node {node} goes on"));
        let is_broken = broken.code == 0 || is_not_locked(&broken);
        assert_eq!(is_broken, stores::fences(), "{broken:?}, then {is_owner:?}");
        if stores::fences() {
            until("it serves again, in a new tenure", || {
                self.nodes[node].vlmc(&["info", "disk"]).code == 0
            });
        }
    }

    /// F7, F46, F49: all of a node is killed, and another one breaks its lock.
    fn kill_and_break(&self, node: usize, by: usize) {
        let status = self.nodes[node].archipelago(&["--json", "status"]).json();
        let supervisor = status["supervisor_pid"].as_i64().unwrap();
        kill(supervisor as i32);
        let pids = self.nodes[node].pids();
        pids.iter().copied().for_each(kill);
        self.recorder.event(format!("node {node} is killed"));
        until("it is dead", || {
            let broken = self.nodes[by].vlmc(&["--json", "unlock", "-f", "disk"]);
            broken.code == 0 || is_not_locked(&broken)
        });
        self.recorder.event(format!("node {by} broke its lock"));
        sleep(HAND_OVER);
        self.nodes[node].archipelago(&["start"]).ok();
        self.recorder.event(format!("node {node} runs again"));
    }

    /// F7: a host is killed, and its supervisor is quicker than who breaks the lock, or is not.
    fn kill_host_and_try_to_break(&self, node: usize, by: usize) {
        let pids = self.nodes[node].pids();
        pids.iter().copied().for_each(kill);
        self.recorder.event(format!("node {node} loses its hosts"));
        let broken = self.nodes[by].vlmc(&["--json", "unlock", "-f", "disk"]);
        let code = broken.code;
        self.recorder.event(format!("node {by} tried: {code}"));
        until("its hosts run again", || {
            let now = self.nodes[node].pids();
            !now.is_empty() && now != pids && self.nodes[node].vlmc(&["info", "disk"]).code == 0
        });
    }

    fn round(&self, random: &mut Random) {
        sleep(Duration::from_millis(random.between(50, 400)));
        let Some(owner) = self.owner() else { return };
        let by = self.another(owner, random);
        match random.below(8) {
            0 => self.stop_and_go_on(owner, by),
            1 => self.kill_and_break(owner, by),
            2 => self.kill_host_and_try_to_break(owner, by),
            3 | 4 if !stores::fences() => self.fence(owner, by, random.below(3) > 0),
            _ => self.hand_over(owner),
        }
    }
}

fn ask_one(client: &mut Client, ask: Ask) -> Outcome {
    client.ask_all(&[ask]).pop().expect("an outcome for each")
}

fn has_message(said: &Said, part: &str) -> bool {
    let error = &said.json()["error"];
    error["message"]
        .as_str()
        .is_some_and(|text| text.contains(part))
}

fn is_not_open(said: &Said) -> bool {
    has_message(said, "not open")
}

fn is_not_locked(said: &Said) -> bool {
    has_message(said, "is not locked")
}

#[test]
fn what_clients_of_several_nodes_see_could_be_seen_of_one_disk() {
    // Each role in a process of its own: some go on with what others that are dead have told them.
    let settings = match number("NODES_ISOLATED", 0) {
        0 => "",
        _ => "[hosts]\nisolate = true\n",
    };
    let mut nodes = vec![Node::started(&format!("node = \"0\"\n{settings}"))];
    for name in 1..number("NODES", 2) {
        let node = Node::beside(&nodes[0], &name.to_string(), settings);
        nodes.push(node);
    }
    let nodes = storm(nodes, number("NODES_ROUNDS", 12));
    // The first one has the stores: it goes last.
    nodes.into_iter().rev().for_each(drop);
}

/// So many rounds of it over nodes that are called 0, 1 ...
pub fn storm(nodes: Vec<Node>, rounds: u64) -> Vec<Node> {
    let seed = seed();
    let mut random = Random::new(seed);
    nodes[0].vlmc(&["create", "disk", "--size", "8"]).ok();
    let storm = Storm {
        is_paused: nodes.iter().map(|_| AtomicBool::new(false)).collect(),
        nodes,
        recorder: Recorder::default(),
        is_over: AtomicBool::new(false),
        in_parts: AtomicU64::new(0),
    };
    let clients = 2 * storm.nodes.len();
    std::thread::scope(|scope| {
        let begin = |name: usize| {
            let (storm, random) = (&storm, Random::new(seed ^ (name as u64 + 1)));
            scope.spawn(move || storm.client(name as u32, name % storm.nodes.len(), random))
        };
        let clients: Vec<_> = (0..clients).map(begin).collect();
        let over = Over(&storm);
        for round in 0..rounds {
            storm.recorder.event(format!("round {round}"));
            storm.round(&mut random);
        }
        // Whoever waits for the lock gets it from one after the other.
        drop(over);
        while clients.iter().any(|client| !client.is_finished()) {
            match storm.owner() {
                Some(owner) => storm.hand_over(owner),
                None => sleep(RETRY),
            }
        }
    });
    let Storm {
        nodes,
        recorder,
        in_parts,
        ..
    } = storm;
    let history = recorder.into_history();
    let seen = history.operations.len();
    let summary = history.check().unwrap_or_else(|violation| {
        panic!("NODE_SEED={seed}: {violation}");
    });
    let in_parts = in_parts.into_inner();
    println!("{rounds} rounds, {summary:?}, {in_parts} reads in parts");
    assert!(seen as u64 > rounds * 10, "{seen} operations");
    nodes
}

/// The clients end, also when the storm fails.
struct Over<'a>(&'a Storm);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}
