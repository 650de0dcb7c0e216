//! The loop: run what is ready, take what has arrived, submit, sleep.
//!
//! ```text
//! turn: clock -> [ events of all ports -> a round of tasks ] x ROUNDS_MAX at most -> ring the bells -> submit and wait
//! ```
//! # Invariants
//! * **TURN-1** All that is sent in a turn rings each destination once, at the end of the turn; all that is submitted
//!   goes to the kernel in one call (W4).
//! * **TURN-2** A reactor that has nothing to do sleeps until a bell, a completion or the next timer: nothing wakes it
//!   periodically (W5).
//! * **TURN-3** At the end no memory is given back that the kernel or a thread still works on: operations are
//!   cancelled and reaped first, ports are given back last (S6: their gate must not open while their I/O goes on).

use std::future::Future;
use std::rc::Rc;
use std::task::Poll;

use xseg::{Port, WaitError};

use crate::core::Core;
use crate::error::RuntimeError;
use crate::handle::Handle;
use crate::options::ReactorOptions;
use crate::station::Station;
use crate::task::{ROOT, RootWaker};

/// Tasks and ports take turns so often before the bells are rung: as far as a request gets through the roles of one
/// reactor, and back.
const ROUNDS_MAX: usize = 8;

/// One thread's ports, tasks, timers, files and sockets.
#[derive(Debug)]
pub struct Reactor {
    core: Rc<Core>,
}

impl Reactor {
    /// A reactor that sleeps on the bell of `port`, on the present thread.
    pub fn new(port: Port, options: &ReactorOptions) -> Result<Self, RuntimeError> {
        Ok(Self {
            core: Core::new(port, options)?,
        })
    }

    /// What tasks use.
    pub fn handle(&self) -> Handle {
        Handle::new(self.core.clone())
    }

    /// Runs until `future` is done. Then the reactor ends: tasks are dropped, operations cancelled and reaped, ports
    /// given back.
    ///
    /// A request that a task holds then was taken and not answered, which panics (it would hang its sender for ever):
    /// drain the services first ([`crate::Service::drain`]).
    ///
    /// # Panics
    /// If the kernel refuses to wait. What this process held is settled by the survivors, as after any death.
    pub fn block_on<T>(self, future: impl Future<Output = T>) -> T {
        let waker = RootWaker::new(&self.core.remote);
        self.core.remote.push_ready(ROOT);
        let mut future = std::pin::pin!(future);
        let mut output = None;
        while output.is_none() {
            let stations = self.core.stations.borrow().clone();
            let ports: Vec<&Port> = stations.iter().map(|one| one.port()).collect();
            let ran = self.run(&stations, &ports, &mut || {
                if let Poll::Ready(done) = waker.poll(future.as_mut()) {
                    output = Some(done);
                }
                output.is_some()
            });
            if let Err(error) = ran {
                panic!("the reactor cannot wait: {error}: {}", error.source);
            }
        }
        output.expect("the loop ends with it")
    }

    /// Turns until the root is done, or a port has been added.
    fn run(
        &self,
        stations: &[Rc<Station>],
        ports: &[&Port],
        poll_root: &mut dyn FnMut() -> bool,
    ) -> Result<(), WaitError> {
        loop {
            let mut done = false;
            in_burst(stations, &mut || done = self.turn(stations, poll_root));
            for station in stations {
                station.look_whether_drained();
            }
            self.core.look_whether_destroyed();
            if done || self.core.stations.borrow().len() != stations.len() {
                return Ok(());
            }
            let sleeps = !self.core.remote.has_ready();
            self.core.wait(stations, ports, sleeps)?;
        }
    }

    /// Tells whether the root is done.
    fn turn(&self, stations: &[Rc<Station>], poll_root: &mut dyn FnMut() -> bool) -> bool {
        let mut any = self.core.look_at_the_clock(stations);
        for _ in 0..ROUNDS_MAX {
            for station in stations {
                any |= station.take_events();
            }
            let round = self.core.tasks.run_round();
            if round.root && poll_root() {
                return true;
            }
            if !any && !round.any {
                break;
            }
            any = false;
        }
        false
    }

    /// Cancels what the kernel and the threads still do, and waits for its end (TURN-3).
    fn reap(&self, stations: &[Rc<Station>], ports: &[&Port]) {
        self.core.pool.stop();
        self.core.files.stop();
        self.core.poller.stop();
        loop {
            self.core.cancel_all();
            if self.core.operations.borrow().count() == 0 {
                break;
            }
            for station in stations {
                station.take_events(); // else they end each wait
            }
            if let Err(error) = self.core.wait(stations, ports, true) {
                tracing::error!(%error, "the reactor cannot reap: what is in flight keeps its memory");
                break;
            }
        }
        self.core.pool.join();
        self.core.files.join();
        self.core.poller.join();
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.core.is_over.set(true);
        let stations = self.core.stations.borrow().clone();
        for station in &stations {
            station.close(); // what comes now is for the next incarnation
        }
        self.core.tasks.close();
        let commands = self.core.operations.borrow_mut().take_commands();
        {
            let ports: Vec<&Port> = stations.iter().map(|one| one.port()).collect();
            self.reap(&stations, &ports);
        }
        drop(stations);
        let waiter = self.core.waiter.take();
        drop(waiter);
        drop(commands); // the ring that had them is gone
        let stations = self.core.stations.take();
        drop(stations);
    }
}

/// Runs `turn` in a burst of all ports.
fn in_burst(stations: &[Rc<Station>], turn: &mut dyn FnMut()) {
    match stations.split_first() {
        Some((first, rest)) => {
            let burst = first.port().burst();
            in_burst(rest, turn);
            drop(burst);
        }
        None => turn(),
    }
}
