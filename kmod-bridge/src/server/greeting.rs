//! The handshake of one connection, driven.
//!
//! # Invariants
//! * **GREETING-1** A client that has not chosen an export within the time-out is sent away; it holds nothing but its socket.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use archipelago_front::{Disk, DiskFacts, DiskName, Disks, OpenRefusal};
use archipelago_runtime::{Elapsed, Memory};
use xseg::Errno;

use super::server::Shared;
use crate::handshake::{Agreed, Decision, Handshake, HandshakeError, HandshakeOptions, Purpose};

/// What is received at once during the handshake.
const RECEIVE_BYTES: usize = 4096;

/// Why a connection came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotGreeted {
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
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
    socket: &Rc<OwnedFd>,
) -> Result<(Agreed, X::Disk), NotGreeted> {
    let options = &shared.options;
    let handle = &shared.handle;
    let until_ns = handle.after_ns(options.handshake_timeout);
    let mut chosen = None;
    let mut handshake = Handshake::new(HandshakeOptions {
        mode_max: options.mode_max,
        list: options.list,
        payload_bytes_max: options.payload_bytes_max,
    });
    loop {
        let decision = handshake.decide();
        let output = handshake.output();
        if !output.is_empty() {
            let sent = handle.send_all(socket, output.into());
            handle.timeout_at_ns(until_ns, sent).await?.0?;
        }
        match decision {
            Decision::Receive { bytes_max } => {
                let memory = Memory::from(vec![0; bytes_max.min(RECEIVE_BYTES)]);
                let received = handle.recv(socket, memory);
                let (count, memory) = handle.timeout_at_ns(until_ns, received).await?;
                let bytes = memory.into_bytes().expect("it was made from bytes");
                match count? {
                    0 => return Err(NotGreeted::Closed),
                    count => handshake.feed(&bytes[..count]),
                };
            }
            Decision::List => {
                let listed = shared.exports.list().await;
                let why = listed.as_ref().err().map(|errno| errno.to_string());
                handshake.listed(match (&listed, &why) {
                    (Ok(listed), _) => Ok(listed),
                    (Err(_), why) => Err(why.as_deref().unwrap_or("unknown")),
                });
            }
            Decision::Open { name, purpose } => {
                let opened = open(shared, &name, purpose).await;
                handshake.opened(match opened {
                    Ok((facts, export)) => {
                        // What was opened to be looked at is closed here.
                        chosen = (purpose != Purpose::Info).then_some(export);
                        Ok(facts)
                    }
                    Err(refusal) => Err(refusal),
                });
            }
            Decision::Transmit(agreed) => {
                let export = chosen.expect("the machine asked for it to be opened");
                return Ok((*agreed, export));
            }
            Decision::Close(error) => return Err(error.into()),
        }
    }
}

async fn open<X: Disks>(
    shared: &Rc<Shared<X>>,
    name: &DiskName,
    purpose: Purpose,
) -> Result<(DiskFacts, X::Disk), OpenRefusal> {
    if shared.draining.get() {
        return Err(OpenRefusal::Shutdown);
    }
    if purpose != Purpose::Info {
        shared.orphans.settled(name).await; // ORPHAN-1
    }
    let export = shared.exports.open(name).await?;
    if shared.draining.get() {
        return Err(OpenRefusal::Shutdown);
    }
    let mut facts = export.facts();
    facts.features.read_only |= shared.options.read_only;
    Ok((facts, export))
}
