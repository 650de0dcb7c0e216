//! Reads: in one piece, in chunks that leave when they are there, or copied together.
//!
//! # Invariants
//! * **NBDREAD-1** No piece is read before there is memory for it, and no more of the client's requests are looked at meanwhile (F75).

use std::rc::Rc;

use archipelago_front::{Admitted, Disk, Payload, pieces};
use archipelago_runtime::Task;
use xseg::Errno;

use super::budget::Share;
use super::connection::Connection;
use super::held::Held;
use super::outbox::Answer;
use super::perform;
use crate::transmission::Request;
use crate::wire::{Position, ReplyMode};

/// A read that is to be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub request: Request,
    pub length: u32,
    /// In one chunk.
    pub whole: bool,
}

/// Waits for memory, and has the read done.
pub(super) async fn begin<E: Disk>(
    connection: &Rc<Connection<E>>,
    admitted: Rc<Admitted>,
    read: Read,
) {
    let Read {
        request,
        length,
        whole,
    } = read;
    let is_long = length > connection.piece_bytes_max;
    let is_cut = is_long && !whole && connection.agreed.mode != ReplyMode::Simple;
    if is_cut {
        return begin_chunks(connection, admitted, request, length).await;
    }
    let share = connection.account.acquire(length as usize).await;
    let held = Held::new(admitted, Some(share));
    let own = connection.clone();
    connection.handle.spawn(async move {
        let read = match (length, is_long) {
            (0, _) => return perform::answer_done(&own, held, request, Ok(())).await,
            (_, true) => gather(&own, request, length).await,
            (_, false) => exactly(&own.export, request.offset, length).await,
        };
        answer(&own, held, request, read).await;
    });
}

/// What an export reads is as long as was asked for, or an error: nothing is guessed.
async fn exactly<E: Disk>(export: &E, offset: u64, length: u32) -> Result<Payload, Errno> {
    let payload = export.read(offset, length).await?;
    if payload.len_bytes() == length as usize && payload.is_whole() {
        Ok(payload)
    } else {
        Err(Errno::IO)
    }
}

async fn answer<E: Disk>(
    connection: &Rc<Connection<E>>,
    held: Held,
    request: Request,
    read: Result<Payload, Errno>,
) {
    let payload = match read {
        Ok(payload) => payload,
        Err(errno) => return perform::answer_done(connection, held, request, Err(errno)).await,
    };
    let Request { cookie, offset, .. } = request;
    let mode = connection.agreed.mode;
    let len_bytes = payload.len_bytes();
    let hole = match payload {
        Payload::Zeroes { .. } => {
            let range = (offset, len_bytes as u32);
            mode.hole(cookie, offset, range, Position::Last)
        }
        _ => None,
    };
    let (head, payload) = match hole {
        Some(head) => (head, None),
        None => (mode.data(cookie, offset, len_bytes as u64), Some(payload)),
    };
    let answer = Answer {
        head: head.as_bytes().to_vec(),
        payload,
        held: Some(held),
    };
    connection.outbox.send(answer).await;
}

/// A long read for a client that wants it in one: the pieces are copied together, for a piece held while others are
/// waited for could be the one that they wait for.
async fn gather<E: Disk>(
    connection: &Rc<Connection<E>>,
    request: Request,
    length: u32,
) -> Result<Payload, Errno> {
    let mut bytes = Vec::with_capacity(length as usize);
    for (at, len_bytes) in pieces(request.offset, length.into(), connection.piece_bytes_max) {
        let piece = exactly(&connection.export, at, len_bytes).await?;
        piece.append_to(&mut bytes).map_err(|error| error.errno())?;
    }
    Ok(Payload::Bytes(bytes))
}

/// A long read for a client that takes it in chunks: each is read when there is memory for it, and leaves when it is there,
/// in any order.
async fn begin_chunks<E: Disk>(
    connection: &Rc<Connection<E>>,
    admitted: Rc<Admitted>,
    request: Request,
    length: u32,
) {
    let mut tasks: Vec<Task<Result<(), Errno>>> = Vec::new();
    for piece in pieces(request.offset, length.into(), connection.piece_bytes_max) {
        let share = connection.account.acquire(piece.1 as usize).await; // NBDREAD-1
        let own = (connection.clone(), admitted.clone());
        tasks.push(connection.handle.spawn(chunk(own, share, request, piece)));
    }
    let own = connection.clone();
    connection.handle.spawn(async move {
        let mut result = Ok(());
        for task in tasks {
            result = result.and(task.await);
        }
        let held = Held::new(admitted, None);
        perform::answer_done(&own, held, request, result).await;
    });
}

async fn chunk<E: Disk>(
    (connection, admitted): (Rc<Connection<E>>, Rc<Admitted>),
    share: Share,
    request: Request,
    (at, len_bytes): (u64, u32),
) -> Result<(), Errno> {
    let Request { cookie, offset, .. } = request;
    let mode = connection.agreed.mode;
    let payload = exactly(&connection.export, at, len_bytes).await?;
    let hole = match payload {
        Payload::Zeroes { .. } => mode.hole(cookie, offset, (at, len_bytes), Position::More),
        _ => None,
    };
    let (head, payload) = match hole {
        Some(head) => (head, None),
        None => (
            mode.part(cookie, offset, at, len_bytes.into()),
            Some(payload),
        ),
    };
    let answer = Answer {
        head: head.as_bytes().to_vec(),
        payload,
        held: Some(Held::new(admitted, Some(share))),
    };
    connection.outbox.post(answer); // OUTBOX-5: the last chunk is still to come
    Ok(())
}
