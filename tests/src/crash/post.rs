//! A post of the fleet: a role, and the worker that fills it now.

use std::time::Instant;

use crate::child::{Process, WorkerId};
use crate::worker::{KillPoint, Role, SleepKind};

/// A place in the fleet that is always filled.
#[derive(Debug)]
pub(super) struct Post {
    pub role: Role,
    /// For a client: how many requests it has under way.
    pub window: usize,
    pub worker: Option<Worker>,
    /// How many workers there have been.
    pub starts: u64,
    /// How the last one slept.
    pub last_sleep: SleepKind,
}

/// The worker of a post.
#[derive(Debug)]
pub(super) struct Worker {
    pub id: WorkerId,
    pub process: Process,
    pub aim: Option<KillPoint>,
    /// How its predecessor slept: what the kernel had to take down before this one could start.
    pub after: SleepKind,
    pub started: Instant,
    pub started_ns: u64,
    /// We killed it.
    pub killed: bool,
    /// We stopped it, until then.
    pub stopped_until: Option<Instant>,
    /// It was told to leave, or will by itself.
    pub may_leave: bool,
    pub has_served: bool,
    pub answered: u64,
    pub progressed: Instant,
    pub drained: bool,
}

impl Post {
    pub fn new(role: Role, window: usize) -> Self {
        Self {
            role,
            window,
            worker: None,
            starts: 0,
            last_sleep: SleepKind::Futex,
        }
    }

    /// Its worker, if it was not killed.
    pub fn live(&mut self) -> Option<&mut Worker> {
        self.worker.as_mut().filter(|worker| !worker.killed)
    }

    pub fn is_client(&self) -> bool {
        self.role == Role::Client
    }
}
