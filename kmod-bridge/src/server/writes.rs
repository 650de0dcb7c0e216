//! Writes: their payload is received, piece by piece, before they can be done.
//!
//! # Invariants
//! * **WRITE-1** Nothing is reserved for a payload but the piece that is being received (F71).
//! * **WRITE-2** Clients that stop within a write keep `receiving_max` buffers from others, however many they are (F76).
//! * **WRITE-3** Each piece is written as soon as it is there: no write waits for buffers with buffers of its own in hand.

use std::rc::Rc;

use archipelago_front::{Admitted, Disk, Payload, pieces};
use archipelago_runtime::Task;
use xseg::Errno;

use super::budget::Share;
use super::connection::Connection;
use super::held::Held;
use super::input::{Ended, Input};
use super::perform;
use crate::transmission::Request;

/// A write whose payload comes next on the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub request: Request,
    pub length: u32,
    pub fua: bool,
}

/// A piece that was received.
struct Piece {
    offset: u64,
    payload: Payload,
    share: Share,
}

/// Receives a write and has it done. The stream stands behind it then, or it has ended.
pub(super) async fn write<E: Disk>(
    connection: &Rc<Connection<E>>,
    input: &mut Input,
    admitted: Rc<Admitted>,
    write: Write,
) -> Result<(), Ended> {
    let Write {
        request,
        length,
        fua,
    } = write;
    let mut others: Vec<Task<Result<(), Errno>>> = Vec::new();
    let mut last = Ok(None);
    let mut left = length;
    for (offset, len_bytes) in pieces(request.offset, length.into(), connection.piece_bytes_max) {
        // Each for itself: who stops within a write has no memory but for the piece that does not come.
        let share = connection.account.acquire(len_bytes as usize).await;
        let received = receive(connection, input, len_bytes).await?;
        left -= len_bytes;
        match received {
            Ok(payload) if left == 0 => {
                last = Ok(Some(Piece {
                    offset,
                    payload,
                    share,
                }));
            }
            Ok(payload) => {
                let piece = Piece {
                    offset,
                    payload,
                    share,
                };
                let written = one(connection.clone(), Some(admitted.clone()), piece, fua);
                others.push(connection.handle.spawn(written));
            }
            Err(errno) => {
                input.discard(left as usize).await?;
                last = Err(errno);
                break;
            }
        }
    }
    let own = connection.clone();
    connection.handle.spawn(async move {
        let mut result = match last {
            Ok(Some(piece)) => one(own.clone(), None, piece, fua).await,
            other => other.map(drop),
        };
        for piece in others {
            result = result.and(piece.await);
        }
        let held = Held::new(admitted, None);
        perform::answer_done(&own, held, request, result).await;
    });
    Ok(())
}

/// Writes a piece. The request is in flight while any of its pieces is, even if the rest of it never comes.
async fn one<E: Disk>(
    connection: Rc<Connection<E>>,
    admitted: Option<Rc<Admitted>>,
    piece: Piece,
    fua: bool,
) -> Result<(), Errno> {
    let Piece {
        offset,
        payload,
        share,
    } = piece;
    let written = connection.export.write(offset, payload, fua).await;
    drop((admitted, share));
    written
}

/// Receives a piece, straight into its place (W1) as long as not too many others do. If there is no place, the piece is
/// received for nothing, and the error is the inner one.
async fn receive<E: Disk>(
    connection: &Connection<E>,
    input: &mut Input,
    len_bytes: u32,
) -> Result<Result<Payload, Errno>, Ended> {
    let len = len_bytes as usize;
    let is_here = input.bytes().len() >= len;
    let turn = connection.receiving.try_acquire(1);
    if is_here || turn.is_some() {
        return match place(connection, len_bytes).await {
            Ok(place) => input.fill(place).await.map(Ok),
            Err(errno) => input.discard(len).await.map(|()| Err(errno)),
        };
    }
    // WRITE-2: until the bytes are all there they need no buffer.
    let received = input.fill(Payload::Bytes(vec![0; len])).await?;
    let Payload::Bytes(bytes) = received else {
        return Ok(Err(Errno::IO));
    };
    let place = place(connection, len_bytes).await;
    Ok(place.and_then(|mut place| {
        let filled = place.fill(0, &bytes);
        filled.map(|()| place).map_err(|error| error.errno())
    }))
}

/// A place of exactly the size that was asked for.
async fn place<E: Disk>(connection: &Connection<E>, len_bytes: u32) -> Result<Payload, Errno> {
    let place = connection.export.room(len_bytes).await?;
    if place.len_bytes() == len_bytes as usize && place.is_whole() {
        Ok(place)
    } else {
        Err(Errno::IO)
    }
}
