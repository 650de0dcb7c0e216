//! One round: a fresh segment, its users, and the process that damages it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use xseg::{CreateOptions, Geometry, Place};

use super::books::Books;
use super::flipper;
use crate::channel::{Command, Report};
use crate::child::{Heard, Process, WorkerId};
use crate::rng::Rng;
use crate::worker::{Manner, Role, SleepKind, WorkerArgs};

/// How long the segment is used before it is damaged.
const PEACE: Duration = Duration::from_millis(150);
/// How long it is damaged.
const WAR: Duration = Duration::from_millis(1700);
/// No turn of a worker's loop for so long is a hang.
const HANG: Duration = Duration::from_secs(10);
const FLIPS_SHOWN: usize = 60;

const USERS: [Role; 11] = [
    Role::ServerA,
    Role::ServerB,
    Role::ServerC,
    Role::Composer,
    Role::Interposer,
    Role::Client,
    Role::Client,
    Role::Client,
    Role::Settler,
    Role::Inspector,
    Role::Inspector,
];

struct Worker {
    role: Role,
    process: Process,
    beaten: Instant,
    killed: bool,
    /// As it last said.
    answered: u64,
    oddities: u64,
}

impl Worker {
    fn note(&mut self, report: &Report, books: &mut Books) {
        match *report {
            Report::Progress { sent, .. } if self.role == Role::Flipper => {
                books.flips += sent.saturating_sub(self.answered);
                self.answered = sent;
            }
            Report::Progress { answered, .. } => {
                books.answered += answered.saturating_sub(self.answered);
                self.answered = answered;
            }
            Report::Beat { oddities } => {
                books.oddities += oddities.saturating_sub(self.oddities);
                self.oddities = oddities;
            }
            _ => {}
        }
    }
}

/// A round under way.
pub(super) struct Round<'a> {
    books: &'a mut Books,
    rng: Rng,
    number: u64,
    directory: &'a Path,
    workers: BTreeMap<WorkerId, Worker>,
    next_id: u64,
    sender: Sender<(WorkerId, Heard)>,
    heard: Receiver<(WorkerId, Heard)>,
}

impl<'a> Round<'a> {
    pub fn new(books: &'a mut Books, directory: &'a Path, number: u64, seed: u64) -> Self {
        let (sender, heard) = channel();
        Self {
            books,
            rng: Rng::new(seed),
            number,
            directory,
            workers: BTreeMap::new(),
            next_id: 1,
            sender,
            heard,
        }
    }

    pub fn run(mut self) -> anyhow::Result<()> {
        let place = Place::within(self.directory, "segment")?;
        let segment = CreateOptions::new(self.geometry()?).create(&place)?;
        for role in USERS {
            self.start(role)?;
        }
        self.listen(PEACE)?;
        self.start(Role::Flipper)?;
        let until = Instant::now() + WAR;
        while Instant::now() < until {
            let pause = Duration::from_millis(self.rng.between(20, 200));
            self.listen(pause)?;
            self.disturb();
        }
        self.wait_for_beats()?;
        drop(segment);
        Ok(())
    }

    /// From so small that everything is always out, to roomy.
    fn geometry(&mut self) -> anyhow::Result<Geometry> {
        let requests = 24 << self.rng.below(5);
        let buffers = 12 << self.rng.below(5);
        let geometry = Geometry::new(16, Role::STATIC_PORTS, requests)?
            .with_buffers(4 << 10, buffers)?
            .with_buffers(32 << 10, 8)?;
        Ok(geometry)
    }

    fn start(&mut self, role: Role) -> anyhow::Result<()> {
        let id = WorkerId(self.next_id);
        self.next_id += 1;
        let args = WorkerArgs {
            directory: self.directory.into(),
            name: "segment".into(),
            role,
            id: id.0,
            seed: self.rng.next_u64(),
            sleep: *self.rng.pick(&SleepKind::ALL),
            manner: Manner::Tolerant,
            window: self.rng.magnitude(4) as usize,
            answers_max: self.rng.chance(500).then(|| self.rng.magnitude(10)),
            kill_point: None,
        };
        let worker = Worker {
            role,
            process: Process::start(id, &args, self.sender.clone()).context("a worker")?,
            beaten: Instant::now(),
            killed: false,
            answered: 0,
            oddities: 0,
        };
        self.workers.insert(id, worker);
        self.books.workers += 1;
        Ok(())
    }

    /// Deaths and leaves lead through code that damage alone does not reach.
    fn disturb(&mut self) {
        let ids: Vec<_> = self.workers.keys().copied().collect();
        let id = *self.rng.pick(&ids);
        let kills = self.rng.chance(500);
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.killed || worker.role == Role::Flipper {
            return;
        }
        if kills {
            worker.killed = true;
            worker.process.kill();
            self.books.kills += 1;
        } else if worker.role.port().is_some() || worker.role == Role::Client {
            worker.process.tell(Command::Leave); // it comes back as its own successor
        }
    }

    fn listen(&mut self, span: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + span;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left) {
                Ok((id, Heard::Ended)) => self.bury(id)?,
                Ok((id, Heard::Report(report))) => {
                    let Some(worker) = self.workers.get_mut(&id) else {
                        continue;
                    };
                    worker.beaten = Instant::now();
                    worker.note(&report, self.books);
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn bury(&mut self, id: WorkerId) -> anyhow::Result<()> {
        let Some(mut worker) = self.workers.remove(&id) else {
            return Ok(());
        };
        let status = worker.process.reap()?;
        if !worker.killed {
            self.books.ended += 1;
            let what = format!("{} ended by itself: {status}", worker.role.name());
            self.tell(&what);
        }
        self.start(worker.role)
    }

    fn tell(&mut self, what: &str) {
        let text = format!("seed {} round {}: {what}", self.books.seed, self.number);
        eprintln!("{text}");
        for line in flipper::last_flips(self.directory, FLIPS_SHOWN) {
            eprintln!("    {line}");
        }
        self.books.texts.push(text);
    }

    /// FUZZ-2: everybody's loop turns once more.
    fn wait_for_beats(&mut self) -> anyhow::Result<()> {
        let mark = Instant::now();
        let mut heard_at = mark;
        let mut waited = Duration::ZERO;
        loop {
            let hung: Vec<_> = self
                .workers
                .iter()
                .filter(|(_, worker)| worker.beaten < mark && !worker.killed)
                .map(|(id, worker)| (*id, worker.role, worker.process.pid()))
                .collect();
            if hung.is_empty() {
                return Ok(());
            }
            self.listen(Duration::from_millis(20))?;
            // If this process did not run for a while, the others did not either.
            waited += heard_at.elapsed().min(Duration::from_millis(100));
            heard_at = Instant::now();
            if waited >= HANG {
                for (id, role, pid) in hung {
                    self.books.hung += 1;
                    self.tell(&format!("{} (worker {}) hangs", role.name(), id.0));
                    show_threads(pid);
                }
                return Ok(());
            }
        }
    }
}

/// Where the threads of a process are, as far as the kernel tells.
fn show_threads(pid: u32) {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return;
    };
    for thread in threads.flatten() {
        let read = |name: &str| {
            let text = std::fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            text.trim().to_owned()
        };
        let (name, wchan, call) = (read("comm"), read("wchan"), read("syscall"));
        eprintln!("    thread {name}: in {wchan:?}, system call {call}");
    }
}
