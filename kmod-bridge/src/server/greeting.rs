//! The handshake of one connection, driven.
//!
//! # Invariants
//! * **GREETING-1** A client that has not chosen an export within the time-out is sent away; it holds nothing but its socket. If it was the
//!   export that took so long, it is told.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::{Disk, DiskFacts, DiskName, Disks, OpenRefusal};
use archipelago_runtime::{Elapsed, Handle, Memory};
use xseg::Errno;

use super::hall::Place;
use super::link::Link;
use super::server::Shared;
use crate::handshake::{
    Agreed, Decision, Handshake, HandshakeError, HandshakeOptions, Purpose, Security,
};
use crate::tls::SessionError;

/// What is received at once during the handshake.
const RECEIVE_BYTES: usize = 4096;

/// How long a client that ran out of time may take for the last answer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a connection came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotGreeted {
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("the client closed the connection")]
    Closed,
    #[error("the connection failed: {0}")]
    Socket(#[from] Errno),
    #[error("the client took too long to choose an export")]
    TooLong,
}

impl From<Elapsed> for NotGreeted {
    fn from(_: Elapsed) -> Self {
        Self::TooLong
    }
}

/// Talks until the client has chosen.
pub(super) async fn greet<X: Disks>(
    shared: &Rc<Shared<X>>,
    link: &mut Link,
    number: u64,
    (security, mut place): (Security, Option<Place>),
) -> Result<(Agreed, X::Disk), NotGreeted> {
    let options = &shared.options;
    let handle = &shared.handle;
    let mut until_ns = handle.after_ns(options.handshake_timeout);
    let mut is_last = false;
    let mut chosen = None;
    let mut handshake = Handshake::new(HandshakeOptions {
        mode_max: options.mode_max,
        list: options.list,
        payload_bytes_max: options.payload_bytes_max,
        security,
    });
    loop {
        let socket = link.socket().clone();
        let decision = handshake.decide();
        let output = handshake.output();
        if !output.is_empty() {
            let sent = handle.send_all(&socket, output.into());
            handle.timeout_at_ns(until_ns, sent).await?.0?;
        }
        place.take_if(|_| decision.names_an_export()); // from here on it waits for us (HALL-1)
        match decision {
            Decision::Receive { bytes_max } => {
                let received = receive(handle, &socket, bytes_max);
                handshake.feed(&handle.timeout_at_ns(until_ns, received).await??);
            }
            Decision::List => {
                let listed = handle.timeout_at_ns(until_ns, shared.exports.list());
                let listed = listed.await.unwrap_or(Err(Errno::TIMEDOUT));
                let why = listed.as_ref().err().map(|errno| errno.to_string());
                handshake.listed(match (&listed, &why) {
                    (Ok(listed), _) => Ok(listed),
                    (Err(_), why) => Err(why.as_deref().unwrap_or("unknown")),
                });
            }
            Decision::Open { name, purpose } => {
                let opened = handle.timeout_at_ns(until_ns, open(shared, &name, purpose));
                let opened = opened.await.unwrap_or_else(|_| Err(too_slow()));
                handshake.opened(match opened {
                    Ok((facts, export)) => {
                        // What was opened to be looked at is closed here.
                        chosen = (purpose != Purpose::Info).then_some(export);
                        Ok(facts)
                    }
                    Err(refusal) => Err(refusal),
                });
            }
            Decision::StartTls => {
                secure(shared, link, number, until_ns).await?;
                handshake.secured();
            }
            Decision::FindSnapshots { name, snapshots } => {
                let found = find_snapshots(shared, &name, snapshots);
                let found = handle.timeout_at_ns(until_ns, found).await;
                let found = found.unwrap_or_else(|_| Err(too_slow()));
                handshake.found(match &found {
                    Ok(found) => Ok(found),
                    Err(refusal) => Err(refusal.clone()),
                });
            }
            Decision::Transmit(agreed) => {
                let export = chosen.expect("the machine asked for it to be opened");
                return Ok((*agreed, export));
            }
            Decision::Close(error) => return Err(error.into()),
        }
        if handle.now_ns() >= until_ns && !is_last {
            // What is said of that still leaves.
            (until_ns, is_last) = (handle.after_ns(LAST_WORDS), true);
        }
    }
}

async fn receive(
    handle: &Handle,
    socket: &Rc<OwnedFd>,
    bytes_max: usize,
) -> Result<Vec<u8>, NotGreeted> {
    let memory = Memory::from(vec![0; bytes_max.min(RECEIVE_BYTES)]);
    let (count, memory) = handle.recv(socket, memory).await;
    let mut bytes = memory.into_bytes().expect("it was made from bytes");
    match count? {
        0 => Err(NotGreeted::Closed),
        count => {
            bytes.truncate(count);
            Ok(bytes)
        }
    }
}

fn too_slow() -> OpenRefusal {
    OpenRefusal::Denied {
        reason: "the volume does not answer, or what an earlier client asked of it is still being done: try again".into(),
    }
}

/// Has the client shake hands for TLS, and moves the connection behind it. TLS-1: the handshake of the protocol has taken
/// no byte beyond the option.
#[cfg_attr(
    not(feature = "tls"),
    expect(unused_variables, reason = "without TLS nobody gets as far")
)]
async fn secure<X: Disks>(
    shared: &Rc<Shared<X>>,
    link: &mut Link,
    number: u64,
    until_ns: u64,
) -> Result<(), SessionError> {
    let tls = shared.options.tls.as_ref();
    let tls = tls.expect("it is offered only where there is one");
    let times = (until_ns, shared.options.stall_timeout);
    let session = tls.accept(&shared.handle, link.network(), times).await?;
    link.secure(session);
    shared.moved(number, link.socket());
    Ok(())
}

async fn open<X: Disks>(
    shared: &Rc<Shared<X>>,
    name: &DiskName,
    purpose: Purpose,
) -> Result<(DiskFacts, X::Disk), OpenRefusal> {
    if shared.draining.get() {
        return Err(OpenRefusal::Shutdown);
    }
    let is_to_be_used = purpose != Purpose::Info;
    if is_to_be_used {
        shared.settled(name).await; // ORPHAN-1
    }
    let export = shared.exports.open(name).await?;
    if is_to_be_used {
        shared.settled(name).await; // others may have left meanwhile
    }
    if shared.draining.get() {
        return Err(OpenRefusal::Shutdown);
    }
    let mut facts = export.facts();
    facts.features.read_only |= shared.options.read_only;
    Ok((facts, export))
}

/// Which of the snapshots the export can tell changes since.
async fn find_snapshots<X: Disks>(
    shared: &Rc<Shared<X>>,
    name: &DiskName,
    snapshots: Vec<DiskName>,
) -> Result<Vec<DiskName>, OpenRefusal> {
    let (_, export) = open(shared, name, Purpose::Info).await?;
    let mut found = Vec::new();
    for snapshot in snapshots {
        match export.changed_since(&snapshot, 0, 0).await {
            Ok(_) => found.push(snapshot),
            Err(errno) => tracing::debug!(%name, %snapshot, %errno, "changes cannot be told"),
        }
    }
    Ok(found)
}
