//! A role answers at all ports of its range, as one: what comes to another port than its first is handed on to that.
//!
//! One instance of a mapper serves all volumes (P4), and one of a composer or a blocker has the permits, caches and locks
//! of its role; so further ports are further addresses of it, nothing more. They are kept by a thread of their own, so that
//! roles do not look after hundreds of ports at each turn of their reactor.
//!
//! # Invariants
//! * **PORTER-1** A request to any port of a role is handled by the one instance at its first port, and counts there
//!   against `nr_ops`; its answer goes straight back.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use archipelago_runtime::{Handle, Peer, Reactor, ReactorOptions, Service};
use rustix::pipe::{PipeFlags, pipe_with};
use xseg::{Errno, Incoming, PortId, Segment};

use super::error::HostError;
use super::run::bind;
use crate::config::RoleConfig;
use crate::log::{Levels, LiveLevels};

/// A thread that hands on.
#[derive(Debug)]
pub(super) struct Porter {
    /// Closed, it tells the thread to end.
    stop: OwnedFd,
    thread: JoinHandle<()>,
}

/// A port, whose it is, and where what comes to it belongs.
struct Door {
    role: String,
    number: u32,
    home: PortId,
}

/// What the thread needs.
struct Work {
    segment: Segment,
    doors: Vec<Door>,
    levels: Arc<Levels>,
    told: OwnedFd,
}

impl Porter {
    /// Returns when all doors are open; nothing if no role has more than one port.
    pub fn start(
        segment: &Segment,
        roles: &[&RoleConfig],
        levels: &Arc<Levels>,
    ) -> Result<Option<Self>, HostError> {
        let doors: Vec<Door> = roles.iter().flat_map(|role| doors(segment, role)).collect();
        if doors.is_empty() {
            return Ok(None);
        }
        let (told, stop) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
            .map_err(|errno| HostError::Thread(errno.into()))?;
        let work = Work {
            segment: segment.clone(),
            doors,
            levels: levels.clone(),
            told,
        };
        let (started, opened) = mpsc::channel();
        let run = move || match work.open() {
            Ok((reactor, open)) => {
                let _ = started.send(Ok(())); // whoever asked waits for it
                reactor.block_on(open.until_told());
            }
            Err(error) => drop(started.send(Err(error))),
        };
        let thread = std::thread::Builder::new().name("porter".into());
        let thread = thread.spawn(run).map_err(HostError::Thread)?;
        opened
            .recv()
            .expect("the thread answers, or the process dies of its panic")?;
        Ok(Some(Self { stop, thread }))
    }

    /// What has not been taken stays in the inboxes for the next incarnation.
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join(); // a panic has ended the process
    }
}

fn doors(segment: &Segment, role: &RoleConfig) -> Vec<Door> {
    let Some(home) = segment.geometry().port(role.ports.start) else {
        return Vec::new(); // the role itself says that there is no such port
    };
    let further = role.ports.start + 1..=role.ports.end;
    let door = |number| Door {
        role: role.name.clone(),
        number,
        home,
    };
    further.map(door).collect()
}

impl Work {
    fn open(self) -> Result<(Reactor, Open), HostError> {
        let mut reactor = None;
        let mut services = Vec::new();
        for door in &self.doors {
            let port = bind(&self.segment, &door.role, door.number)?;
            let station = match &reactor {
                None => {
                    let options = ReactorOptions::default().threads_max(1);
                    let made = reactor.insert(Reactor::new(port, &options)?);
                    made.handle().station()
                }
                Some(made) => made.handle().add_port(port)?,
            };
            let handle = reactor.as_ref().map(Reactor::handle);
            let handle = handle.expect("made for the first door");
            let peer = Rc::new(HandOn { to: door.home });
            services.push(handle.serve(&station, u32::MAX, peer));
        }
        let reactor = reactor.expect("there is a door, by `start`");
        let handle = reactor.handle();
        handle.answer_log_levels(Rc::new(LiveLevels(self.levels)));
        let told = Rc::new(self.told);
        let open = Open {
            handle,
            services,
            told,
        };
        Ok((reactor, open))
    }
}

/// Open doors.
struct Open {
    handle: Handle,
    services: Vec<Service>,
    told: Rc<OwnedFd>,
}

impl Open {
    async fn until_told(self) {
        // A pipe whose other end was closed is readable; one that cannot be waited for ends us as well.
        let _ = self.handle.readable(&self.told).await;
        for service in &self.services {
            service.drain().await;
        }
    }
}

/// Behind a door.
struct HandOn {
    to: PortId,
}

impl HandOn {
    fn hand_on(&self, request: Incoming) {
        if let Err(refused) = request.hand_on(self.to) {
            // Only while the host begins or ends.
            tracing::debug!(error = %refused.error, "a request cannot be handed on");
            refused.incoming.fail(Errno::AGAIN);
        }
    }
}

impl Peer for HandOn {
    async fn handle(&self, request: Incoming) {
        self.hand_on(request);
    }

    fn notice(&self, notice: Incoming) {
        self.hand_on(notice);
    }
}
