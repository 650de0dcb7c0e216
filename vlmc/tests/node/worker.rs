//! An owner of volumes: writes, discards, snapshots, clones, renames, resizes and removes as it likes, and knows what each
//! of its volumes must say.
//!
//! # Invariants
//! * **WORK-1** Every command ends well, whoever is killed meanwhile (S6, S8); no request is refused.
//! * **WORK-2** What was answered is there, and what was not answered is done or not done for ever.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::nbd::{Ask, Client, Outcome};
use crate::random::Random;
use crate::sectors::{SECTOR_BYTES, Sectors, fill};
use crate::support::Node;

/// Sectors of a sub-block: what is smaller is not given back by a discard.
const GRAIN_SECTORS: usize = 8;
const MIB: u64 = 1 << 20;
/// As long as hosts may take to come back.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
struct Volume {
    sectors: Sectors,
    is_snapshot: bool,
}

/// How much was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub requests: u64,
    pub unknown: u64,
    pub reconnects: u64,
    pub commands: u64,
    pub slowest_command: Duration,
}

pub struct Worker<'a> {
    node: &'a Node,
    prefix: String,
    volumes_max: usize,
    volumes: BTreeMap<String, Volume>,
    random: Random,
    named: u64,
    written: u64,
    pub tally: Tally,
}

impl<'a> Worker<'a> {
    pub fn new(node: &'a Node, prefix: &str, volumes_max: usize, seed: u64) -> Self {
        Self {
            node,
            prefix: prefix.to_owned(),
            volumes_max,
            volumes: BTreeMap::new(),
            random: Random::new(seed),
            named: 0,
            written: 0,
            tally: Tally::default(),
        }
    }

    /// Does one thing.
    pub fn step(&mut self) {
        if self.volumes.is_empty() {
            return self.create();
        }
        match self.random.below(100) {
            0..8 => self.create(),
            8..18 => self.snapshot(),
            18..28 => self.clone_one(),
            28..38 => self.remove(),
            38..42 => self.rename(),
            42..46 => self.resize(),
            _ => self.sit(),
        }
    }

    /// Reads all of every volume.
    pub fn check_all(&mut self) {
        let names: Vec<String> = self.volumes.keys().cloned().collect();
        for name in names {
            self.check_whole(&name);
        }
    }

    pub fn remove_all(&mut self) {
        while !self.volumes.is_empty() {
            self.remove();
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.volumes.keys().cloned().collect()
    }

    fn command(&mut self, args: &[&str]) {
        let begun = Instant::now();
        let said = self.node.vlmc(args);
        let took = begun.elapsed();
        self.tally.commands += 1;
        self.tally.slowest_command = self.tally.slowest_command.max(took);
        assert_eq!(said.code, 0, "vlmc {args:?} after {took:?}: {said:?}");
    }

    fn fresh_name(&mut self) -> String {
        self.named += 1;
        format!("{}-{}", self.prefix, self.named)
    }

    fn pick(&mut self, is_fit: impl Fn(&Volume) -> bool) -> Option<String> {
        let fit = self.volumes.iter().filter(|(_, volume)| is_fit(volume));
        let names: Vec<String> = fit.map(|(name, _)| name.clone()).collect();
        let number = names.len() as u64;
        (number > 0).then(|| names[self.random.below(number) as usize].clone())
    }

    fn is_full(&self) -> bool {
        self.volumes.len() >= self.volumes_max
    }

    fn create(&mut self) {
        if self.is_full() {
            return self.remove();
        }
        let name = self.fresh_name();
        let size = self.random.between(1, 24);
        self.command(&["create", &name, "--size", &size.to_string()]);
        let volume = Volume {
            sectors: Sectors::new(size * MIB),
            is_snapshot: false,
        };
        self.volumes.insert(name, volume);
    }

    fn snapshot(&mut self) {
        let Some(of) = self.pick(|volume| !volume.is_snapshot) else {
            return self.create();
        };
        if self.is_full() {
            return self.remove();
        }
        self.settle(&of);
        let name = self.fresh_name();
        self.command(&["snapshot", &of, &name]);
        let mut volume = self.volumes[&of].clone();
        volume.is_snapshot = true;
        self.volumes.insert(name, volume);
    }

    fn clone_one(&mut self) {
        if self.is_full() {
            return self.remove();
        }
        let of = self.pick(|_| true).expect("there is one");
        self.settle(&of);
        let name = self.fresh_name();
        let mut volume = self.volumes[&of].clone();
        let size = volume.sectors.size() + self.random.below(3) * MIB;
        let mib = (size / MIB).to_string();
        if volume.is_snapshot && self.random.below(2) == 0 {
            self.command(&["create", &name, "--snap", &of, "--size", &mib]);
        } else {
            self.command(&["clone", &of, &name, "--size", &mib]);
        }
        volume.is_snapshot = false;
        volume.sectors.resize(size);
        self.volumes.insert(name, volume);
    }

    fn remove(&mut self) {
        let name = self.pick(|_| true).expect("there is one");
        self.check_whole(&name);
        self.command(&["remove", &name]);
        self.volumes.remove(&name);
    }

    fn rename(&mut self) {
        let from = self.pick(|_| true).expect("there is one");
        let to = self.fresh_name();
        self.command(&["rename", &from, &to]);
        let volume = self.volumes.remove(&from).expect("it was picked");
        self.volumes.insert(to, volume);
    }

    fn resize(&mut self) {
        let Some(name) = self.pick(|volume| !volume.is_snapshot) else {
            return;
        };
        self.settle(&name);
        let size = self.random.between(1, 24);
        let mib = size.to_string();
        self.command(&["resize", &name, "--size", &mib, "--allow-shrink"]);
        self.volume(&name).sectors.resize(size * MIB);
    }

    fn volume(&mut self, name: &str) -> &mut Volume {
        self.volumes.get_mut(name).expect("it is known")
    }

    /// A connection, and some requests over it.
    fn sit(&mut self) {
        let name = self.pick(|_| true).expect("there is one");
        let mut client = self.connect(&name);
        for _ in 0..self.random.between(1, 6) {
            let is_lost = match self.random.below(10) {
                0 => self.flush(&mut client),
                1..4 => self.read_some(&name, &mut client),
                _ if self.volumes[&name].is_snapshot => self.read_some(&name, &mut client),
                4 | 5 => self.zero_some(&name, &mut client),
                _ => self.write_some(&name, &mut client),
            };
            if is_lost {
                self.tally.reconnects += 1;
                client = self.connect(&name);
            }
        }
        client.leave();
    }

    fn connect(&mut self, name: &str) -> Client {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match Client::connect(&self.socket(), name) {
                Ok(client) => {
                    let wanted = self.volumes[name].sectors.size();
                    assert_eq!(client.size, wanted, "{name}");
                    return client;
                }
                Err(error) => assert!(Instant::now() < give_up, "{name}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn socket(&self) -> PathBuf {
        self.node.path("run/nbd.sock")
    }

    /// The answers; whether the connection was lost.
    fn ask_all(&mut self, client: &mut Client, asked: &[Ask]) -> (Vec<Option<Vec<u8>>>, bool) {
        let outcomes = client.ask_all(asked);
        self.tally.requests += asked.len() as u64;
        let mut is_lost = false;
        let answers = outcomes
            .into_iter()
            .zip(asked)
            .map(|(outcome, ask)| match outcome {
                Outcome::Done(data) => Some(data),
                Outcome::Unknown => {
                    is_lost = true;
                    self.tally.unknown += 1;
                    None
                }
                Outcome::Refused(error) => panic!("WORK-1: {ask:?} is answered with error {error}"),
            });
        (answers.collect(), is_lost)
    }

    fn flush(&mut self, client: &mut Client) -> bool {
        self.ask_all(client, &[Ask::Flush]).1
    }

    /// Ranges that do not meet: one in each of so many slots.
    fn ranges(&mut self, name: &str, slots: u64, align: usize) -> Vec<Range<usize>> {
        let sectors = (self.volumes[name].sectors.size() / SECTOR_BYTES) as usize;
        let slot = sectors / slots as usize;
        let mut ranges = Vec::new();
        for number in 0..slots as usize {
            let long = if self.random.below(4) == 0 { 400 } else { 40 };
            let start = number * slot + self.random.below(slot as u64 - 1) as usize;
            let end = start + 1 + self.random.below(long) as usize;
            let start = start / align * align;
            let end = end.div_ceil(align) * align;
            if end <= (number + 1) * slot && start >= number * slot {
                ranges.push(start..end);
            }
        }
        ranges
    }

    fn write_some(&mut self, name: &str, client: &mut Client) -> bool {
        let slots = self.random.between(1, 12);
        let ranges = self.ranges(name, slots, 1);
        let mut writes = Vec::new();
        for range in ranges {
            self.written += 1;
            let value = self.written;
            let mut data = Vec::new();
            range.clone().for_each(|_| fill(value, &mut data));
            self.volume(name).sectors.begin(range.clone(), value);
            let at = range.start as u64 * SECTOR_BYTES;
            writes.push((range, value, Ask::Write { at, data }));
        }
        self.change(name, client, writes)
    }

    fn zero_some(&mut self, name: &str, client: &mut Client) -> bool {
        let is_trim = self.random.below(2) == 0;
        let align = if is_trim { GRAIN_SECTORS } else { 1 };
        let slots = self.random.between(1, 4);
        let ranges = self.ranges(name, slots, align);
        let mut zeros = Vec::new();
        for range in ranges {
            self.volume(name).sectors.begin(range.clone(), 0);
            let at = range.start as u64 * SECTOR_BYTES;
            let bytes = (range.len() as u64 * SECTOR_BYTES) as u32;
            let ask = match is_trim {
                true => Ask::Trim { at, bytes },
                false => Ask::Zero { at, bytes },
            };
            zeros.push((range, 0, ask));
        }
        self.change(name, client, zeros)
    }

    fn change(
        &mut self,
        name: &str,
        client: &mut Client,
        changes: Vec<(Range<usize>, u64, Ask)>,
    ) -> bool {
        let asked: Vec<Ask> = changes.iter().map(|(_, _, ask)| ask.clone()).collect();
        let (answers, is_lost) = self.ask_all(client, &asked);
        for ((range, value, _), answer) in changes.into_iter().zip(answers) {
            if answer.is_some() {
                self.volume(name).sectors.done(range, value);
            }
        }
        is_lost
    }

    fn read_some(&mut self, name: &str, client: &mut Client) -> bool {
        let slots = self.random.between(1, 8);
        let ranges = self.ranges(name, slots, 1);
        self.read(name, client, &ranges)
    }

    fn read(&mut self, name: &str, client: &mut Client, ranges: &[Range<usize>]) -> bool {
        let asked: Vec<Ask> = ranges
            .iter()
            .map(|range| Ask::Read {
                at: range.start as u64 * SECTOR_BYTES,
                bytes: (range.len() as u64 * SECTOR_BYTES) as u32,
            })
            .collect();
        let (answers, is_lost) = self.ask_all(client, &asked);
        for (range, data) in ranges.iter().zip(answers) {
            if let Some(data) = data {
                self.volume(name).sectors.check(name, range.start, &data);
            }
        }
        is_lost
    }

    /// Reads what nobody knows: from then on it is known.
    fn settle(&mut self, name: &str) {
        let unknown = self.volumes[name].sectors.unknown();
        let ranges: Vec<Range<usize>> = unknown.iter().map(|sector| *sector..sector + 1).collect();
        self.read_all(name, &ranges);
    }

    fn check_whole(&mut self, name: &str) {
        let sectors = (self.volumes[name].sectors.size() / SECTOR_BYTES) as usize;
        let ranges: Vec<Range<usize>> = (0..sectors)
            .step_by(1024)
            .map(|start| start..(start + 1024).min(sectors))
            .collect();
        self.read_all(name, &ranges);
    }

    fn read_all(&mut self, name: &str, ranges: &[Range<usize>]) {
        if ranges.is_empty() {
            return;
        }
        let mut client = self.connect(name);
        for ranges in ranges.chunks(8) {
            while self.read(name, &mut client, ranges) {
                self.tally.reconnects += 1;
                client = self.connect(name);
            }
        }
        client.leave();
    }
}
