//! One connection, from the choice of an export to its end.
//!
//! # Invariants
//! * **CONNECTION-1** A client that goes away takes no request with it: what it began is finished, and its buffers are freed
//!   after that (F78, S7).
//! * **CONNECTION-3** What is left of the stream of a client that cannot be answered any more is not begun.
//! * **CONNECTION-2** After the client took its leave, everything that it asked before is answered.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use archipelago_front::{Disk as _, DiskName, Disks, Flow};
use archipelago_runtime::Handle;
use archipelago_runtime::local::Semaphore;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::budget::Account;
use super::input::{Ended, Input};
use super::outbox::Outbox;
use super::requests;
use super::server::Shared;
use crate::handshake::Agreed;
use crate::transmission::TransmissionError;

/// What the requests of a connection share.
#[derive(Debug)]
pub(super) struct Connection<E> {
    pub handle: Handle,
    pub export: E,
    pub agreed: Agreed,
    pub flow: Rc<Flow>,
    /// Of the memory of all connections.
    pub account: Rc<Account>,
    pub size_bytes: Rc<Cell<u64>>,
    pub outbox: Rc<Outbox>,
    pub piece_bytes_max: u32,
    /// Pieces that may be on their way into a place, of all connections.
    pub receiving: Rc<Semaphore>,
    /// For log lines.
    pub number: u64,
    /// An I/O error was logged: a client that repeats its requests does not fill the log (F99).
    pub has_failed: Cell<bool>,
}

/// How the stream of requests ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum End {
    #[error("the client took its leave")]
    Leave,
    #[error(transparent)]
    Transmission(#[from] TransmissionError),
    #[error("the connection ended: {0}")]
    Ended(#[from] Ended),
    #[error("the client does not take its answers")]
    Unheard,
}

/// What the server keeps of a connection to end it.
#[derive(Clone, Debug)]
pub(super) struct Live {
    /// Where the client is.
    pub network: Rc<OwnedFd>,
    /// What its bytes pass through last: another one behind TLS.
    pub socket: Rc<OwnedFd>,
    /// `None` during the handshake.
    pub export: Option<Export>,
}

/// The export that a connection has chosen, as the server sees it.
#[derive(Clone, Debug)]
pub(super) struct Export {
    pub name: DiskName,
    pub flow: Rc<Flow>,
    /// As the server was told last.
    pub size_bytes: Rc<Cell<u64>>,
}

impl Live {
    /// Has its client hung up, whether that was read already or not?
    pub fn is_left(&self) -> bool {
        let mut asked = [PollFd::new(&self.network, PollFlags::RDHUP)];
        let polled = poll(&mut asked, Some(&Timespec::default()));
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        polled.is_ok() && asked[0].revents().intersects(gone)
    }

    /// Nothing more comes or goes.
    pub fn shut(&self) {
        // If the other side was quicker there is nothing left to shut.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }
}

/// Serves an export to a client until one of them has had enough.
pub(super) async fn serve<X: Disks>(
    shared: &Rc<Shared<X>>,
    socket: &Rc<OwnedFd>,
    chosen: Export,
    number: u64,
    (agreed, export): (Agreed, X::Disk),
) -> End {
    let handle = shared.handle.clone();
    let connection = Rc::new(Connection {
        outbox: Rc::new(Outbox::new(
            handle.clone(),
            socket.clone(),
            shared.options.stall_timeout,
            shared.sending.clone(),
        )),
        piece_bytes_max: shared.options.piece_bytes_max,
        receiving: shared.receiving.clone(),
        account: shared.budget.open(),
        number,
        has_failed: Cell::new(false),
        handle: handle.clone(),
        export,
        agreed,
        flow: chosen.flow,
        size_bytes: chosen.size_bytes,
    });
    let input = Input::new(handle, socket.clone(), shared.options.stall_timeout);
    let end = requests::take(shared, &connection, input).await;
    let orphans = shared.orphans.enter(connection.agreed.name.as_str());
    connection.export.leave(); // ORPHAN-1
    if end == End::Leave {
        let answered = connection.flow.empty(); // CONNECTION-2
        let within = shared.options.stall_timeout;
        if connection.handle.timeout(within, answered).await.is_err() {
            tracing::warn!(number, "a client took its leave, but not its answers");
        }
    }
    connection.outbox.close();
    connection.flow.empty().await; // CONNECTION-1
    drop(orphans);
    end
}
