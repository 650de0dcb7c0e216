//! The fleet: posts, the processes that fill them, and what is heard of them.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::aim::Aim;
use super::books::Books;
use super::post::{Post, Worker};
use crate::channel::{Command, Report, Violation};
use crate::child::{Heard, Process, WorkerId};
use crate::rng::Rng;
use crate::worker::{Manner, Role, SleepKind, WorkerArgs};

/// After so long without an answer a client that should have one is stuck (CRASH-3).
pub(super) const WATCHDOG: Duration = Duration::from_secs(30);

/// All posts.
#[derive(Debug)]
pub(super) struct Fleet {
    pub posts: Vec<Post>,
    pub rng: Rng,
    pub books: Books,
    directory: PathBuf,
    name: String,
    aim: Aim,
    uses_points: bool,
    /// New workers get kill points. Not during a checkpoint.
    pub aiming: bool,
    /// Clients send. New ones must know, too.
    pub paused: bool,
    next_id: u64,
    sender: Sender<(WorkerId, Heard)>,
    heard: Receiver<(WorkerId, Heard)>,
}

/// Post and window of each worker.
const POSTS: [(Role, usize); 13] = [
    (Role::ServerA, 0),
    (Role::ServerB, 0),
    (Role::ServerC, 0),
    (Role::Composer, 0),
    (Role::Interposer, 0),
    (Role::Client, 1),
    (Role::Client, 1),
    (Role::Client, 4),
    (Role::Client, 4),
    (Role::Client, 16),
    (Role::Client, 16),
    (Role::Settler, 0),
    (Role::Settler, 0),
];

impl Fleet {
    pub fn new(directory: PathBuf, name: &str, seed: u64, uses_points: bool) -> Self {
        let (sender, heard) = channel();
        Self {
            posts: POSTS
                .iter()
                .map(|(role, window)| Post::new(*role, *window))
                .collect(),
            rng: Rng::new(seed),
            books: Books {
                seed,
                ..Books::default()
            },
            directory,
            name: name.into(),
            aim: Aim::default(),
            uses_points,
            aiming: false,
            paused: false,
            next_id: 1,
            sender,
            heard,
        }
    }

    /// Fills a post.
    pub fn start(&mut self, at: usize) -> anyhow::Result<()> {
        let id = WorkerId(self.next_id);
        self.next_id += 1;
        let post = &mut self.posts[at];
        let points: u64 = self.books.point_kills.values().sum();
        // Half of the kills at points, half at random instants.
        let eager = if points <= self.books.random_kills {
            950
        } else {
            300
        };
        let aims = self.aiming && self.uses_points && self.rng.chance(eager);
        let aim = aims
            .then(|| self.aim.next(post.role, &mut self.rng))
            .flatten();
        let short = aim.as_ref().is_some_and(|point| {
            point.name.starts_with("leave.") || point.name.starts_with("free.")
        });
        let leaves = post.is_client() && self.aiming && (short || self.rng.chance(100));
        let args = WorkerArgs {
            directory: self.directory.clone(),
            name: self.name.clone(),
            role: post.role,
            id: id.0,
            seed: self.rng.next_u64(),
            sleep: *self.rng.pick(&SleepKind::ALL),
            manner: Manner::Strict,
            window: post.window,
            answers_max: leaves.then(|| self.rng.magnitude(8)),
            kill_point: aim.clone(),
        };
        let after = std::mem::replace(&mut post.last_sleep, args.sleep);
        let started_ns = xseg::monotonic_ns();
        let mut process = Process::start(id, &args, self.sender.clone())?;
        if self.paused && post.is_client() {
            process.tell(Command::Pause);
        }
        post.starts += 1;
        post.worker = Some(Worker {
            id,
            process,
            aim,
            after,
            started: Instant::now(),
            started_ns,
            killed: false,
            stopped_until: None,
            may_leave: leaves,
            has_served: false,
            answered: 0,
            progressed: Instant::now(),
            drained: false,
        });
        Ok(())
    }

    /// Kills the worker of a post.
    pub fn kill(&mut self, at: usize) -> bool {
        let role = self.posts[at].role;
        let Some(worker) = self.posts[at].live() else {
            return false;
        };
        let stopped = worker.stopped_until.is_some();
        worker.killed = true;
        worker.process.kill();
        self.books.random_kills += 1;
        self.books.stopped_kills += u64::from(stopped);
        self.books.count_role(role.name());
        true
    }

    /// Stops the worker of a post for a while.
    pub fn stop(&mut self, at: usize, pause: Duration) {
        if let Some(worker) = self.posts[at].live()
            && worker.stopped_until.is_none()
        {
            worker.stopped_until = Some(Instant::now() + pause);
            worker.process.signal(Signal::STOP);
            self.books.stops += 1;
        }
    }

    /// Lets those go on whose pause is over, or all.
    pub fn go_on(&mut self, all: bool) {
        let now = Instant::now();
        for post in &mut self.posts {
            if let Some(worker) = post.live()
                && worker
                    .stopped_until
                    .is_some_and(|until| all || now >= until)
            {
                worker.stopped_until = None;
                worker.progressed = now;
                worker.process.signal(Signal::CONT);
            }
        }
    }

    pub fn tell_clients(&mut self, command: Command) {
        self.paused = command == Command::Pause;
        for post in self.posts.iter_mut().filter(|post| post.is_client()) {
            if let Some(worker) = post.live() {
                worker.drained = false;
                worker.progressed = Instant::now();
                worker.process.tell(command);
            }
        }
    }

    /// Hears what there is to hear for so long, and refills the posts of the dead.
    pub fn listen(&mut self, span: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + span;
        loop {
            self.go_on(false);
            let left = until.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left.min(Duration::from_millis(5))) {
                Ok((id, Heard::Ended)) => self.bury(id)?,
                Ok((id, Heard::Report(report))) => self.note(id, report),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    if left.is_zero() {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn note(&mut self, id: WorkerId, report: Report) {
        let calm = !self.aiming && !self.paused;
        let Some(post) = self.post_of(id) else { return };
        let role = post.role;
        let Some(worker) = post.worker.as_mut() else {
            return;
        };
        match report {
            Report::Ready { .. } | Report::Beat { .. } => {}
            Report::First { at_ns } => {
                worker.has_served = true;
                let took_us = at_ns.saturating_sub(worker.started_ns) / 1000;
                if post.starts > 1 && role.port().is_some() {
                    let after = worker.after.name();
                    self.books.serve_us.entry(after).or_default().push(took_us);
                }
            }
            Report::Progress {
                answered,
                slowest_us,
                ..
            } => {
                let news = worker.take_answered(answered);
                self.books.messages += news;
                if calm {
                    self.books.calm_slowest_us = self.books.calm_slowest_us.max(slowest_us);
                }
            }
            Report::Drained { answered, .. } => {
                worker.drained = true;
                self.books.messages += worker.take_answered(answered);
            }
            Report::Violation { kind, text } => {
                let text = format!("{} {}: {text}", role.name(), id.0);
                self.books.violation(kind, &text);
            }
        }
    }

    fn post_of(&mut self, id: WorkerId) -> Option<&mut Post> {
        self.posts
            .iter_mut()
            .find(|post| post.worker.as_ref().is_some_and(|worker| worker.id == id))
    }

    /// Finds out how a worker ended, and starts its successor.
    fn bury(&mut self, id: WorkerId) -> anyhow::Result<()> {
        let found = self
            .posts
            .iter()
            .position(|post| post.worker.as_ref().is_some_and(|worker| worker.id == id));
        let Some(at) = found else { return Ok(()) };
        let role = self.posts[at].role;
        let Some(mut worker) = self.posts[at].worker.take() else {
            return Ok(());
        };
        let status = worker.process.reap()?;
        let by_sigkill = status.signal() == Some(Signal::KILL.as_raw());
        if worker.killed && by_sigkill {
            // counted when it was killed
        } else if let (true, Some(aim)) = (by_sigkill, &worker.aim) {
            *self.books.point_kills.entry(aim.name.clone()).or_default() += 1;
            self.books.count_role(role.name());
        } else if status.success() && worker.may_leave {
            self.books.leaves += 1;
        } else {
            let text = format!("{} {} ended by itself: {status}", role.name(), id.0);
            self.books.violation(Violation::Ended, &text);
        }
        self.start(at)
    }

    /// Has everybody that is told to leave end, and nobody start again.
    pub fn dismiss(&mut self, roles: &[Role]) -> anyhow::Result<()> {
        let mut leaving = Vec::new();
        for post in &mut self.posts {
            if roles.contains(&post.role)
                && let Some(mut worker) = post.worker.take()
            {
                worker.process.tell(Command::Leave);
                leaving.push((post.role, worker));
            }
        }
        let until = Instant::now() + WATCHDOG;
        while !leaving.is_empty() {
            if let Ok((id, heard)) = self.heard.recv_timeout(Duration::from_millis(100)) {
                let found = leaving.iter().position(|(_, worker)| worker.id == id);
                match (found, heard) {
                    (Some(at), Heard::Ended) => {
                        let (role, mut worker) = leaving.swap_remove(at);
                        let status = worker.process.reap()?;
                        if !status.success() {
                            let text = format!("{} {} on leaving: {status}", role.name(), id.0);
                            self.books.violation(Violation::Ended, &text);
                        }
                    }
                    (Some(at), Heard::Report(Report::Violation { kind, text })) => {
                        let text = format!("{} {}: {text}", leaving[at].0.name(), id.0);
                        self.books.violation(kind, &text);
                    }
                    _ => {}
                }
            }
            if Instant::now() >= until {
                for (role, worker) in &leaving {
                    let text = format!("{} {} does not leave", role.name(), worker.id.0);
                    self.books.violation(Violation::Liveness, &text);
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// A client that should have had an answer long ago.
    pub fn stuck_client(&self) -> Option<String> {
        let stuck = self.posts.iter().find_map(|post| {
            let worker = post.worker.as_ref()?;
            let waits = post.is_client() && !worker.killed && worker.stopped_until.is_none();
            let done = self.paused && worker.drained;
            (waits && !done && worker.progressed.elapsed() > WATCHDOG).then_some(worker)
        })?;
        Some(format!(
            "client {} (process {}) has had no answer for {} s",
            stuck.id.0,
            stuck.process.pid(),
            WATCHDOG.as_secs()
        ))
    }
}

impl Worker {
    /// Takes note of a client's number of answers. Gives the growth.
    fn take_answered(&mut self, answered: u64) -> u64 {
        let news = answered.saturating_sub(self.answered);
        if news > 0 {
            self.answered = answered;
            self.progressed = Instant::now();
        }
        news
    }
}
