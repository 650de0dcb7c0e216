//! Doing one request: the export is asked, the answer is sent.

use std::rc::Rc;

use archipelago_front::{Admitted, Disk, Extent, Payload, ZeroOptions, pieces};
use archipelago_runtime::Task;
use xseg::Errno;

use super::connection::Connection;
use super::outbox::Answer;
use crate::handshake::MetaContext;
use crate::limits::EXTENTS_MAX;
use crate::transmission::{Command, Request};
use crate::wire::{NbdError, Position, ReplyMode};

/// Everything but writes, whose payload has to be received first.
pub(super) async fn perform<E: Disk>(
    connection: Rc<Connection<E>>,
    admitted: Rc<Admitted>,
    request: Request,
) {
    let export = &connection.export;
    let offset = request.offset;
    let done = match request.command {
        Command::Read { length, whole } => {
            return read(connection, admitted, request, length, whole).await;
        }
        Command::BlockStatus { length, one } => {
            return block_status(connection, admitted, request, length, one).await;
        }
        Command::Write { .. } => Err(Errno::INVAL),
        Command::Flush => export.flush().await,
        Command::Trim { length, fua } => export.trim(offset, length, fua).await,
        Command::Cache { length } => export.cache(offset, length).await,
        Command::WriteZeroes {
            length,
            fua,
            no_hole,
            fast,
        } => {
            let options = ZeroOptions { fua, no_hole, fast };
            export.write_zeroes(offset, length, options).await
        }
    };
    answer_done(&connection, admitted, request, done).await;
}

/// Answers what brings nothing but success or failure.
pub(super) async fn answer_done<E: Disk>(
    connection: &Rc<Connection<E>>,
    admitted: Rc<Admitted>,
    request: Request,
    done: Result<(), Errno>,
) {
    let Request { cookie, offset, .. } = request;
    let head = match done {
        Ok(()) => {
            let head = connection.agreed.mode.done(cookie, offset);
            head.as_bytes().to_vec()
        }
        Err(errno) => failure(connection, request, errno),
    };
    let answer = Answer {
        head,
        payload: None,
        admitted: Some(admitted),
    };
    connection.outbox.send(answer).await;
}

fn failure<E: Disk>(connection: &Connection<E>, request: Request, errno: Errno) -> Vec<u8> {
    let Request { cookie, offset, .. } = request;
    let error = NbdError::from(errno);
    let export = &connection.agreed.name;
    if error == NbdError::Io && !connection.has_failed.replace(true) {
        tracing::error!(connection = connection.number, %export, ?request, %errno, "a request failed");
    } else {
        tracing::debug!(connection = connection.number, %export, ?request, %errno, "a request failed");
    }
    let message = errno.to_string();
    connection
        .agreed
        .mode
        .error(cookie, offset, error, &message)
}

async fn read<E: Disk>(
    connection: Rc<Connection<E>>,
    admitted: Rc<Admitted>,
    request: Request,
    length: u32,
    whole: bool,
) {
    if length == 0 {
        return answer_done(&connection, admitted, request, Ok(())).await;
    }
    let mode = connection.agreed.mode;
    if length > connection.piece_bytes_max {
        if mode == ReplyMode::Simple || whole {
            return read_gathered(connection, admitted, request, length).await;
        }
        return read_in_chunks(connection, admitted, request, length).await;
    }
    let read = read_exactly(&connection.export, request.offset, length).await;
    answer_read(&connection, admitted, request, read).await;
}

/// What an export reads is as long as was asked for, or an error: nothing is guessed.
async fn read_exactly<E: Disk>(export: &E, offset: u64, length: u32) -> Result<Payload, Errno> {
    let payload = export.read(offset, length).await?;
    if payload.len_bytes() == length as usize && payload.is_whole() {
        Ok(payload)
    } else {
        Err(Errno::IO)
    }
}

async fn answer_read<E: Disk>(
    connection: &Rc<Connection<E>>,
    admitted: Rc<Admitted>,
    request: Request,
    read: Result<Payload, Errno>,
) {
    let payload = match read {
        Ok(payload) => payload,
        Err(errno) => return answer_done(connection, admitted, request, Err(errno)).await,
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
        admitted: Some(admitted),
    };
    connection.outbox.send(answer).await;
}

/// A long read for a client that wants it in one: the pieces are copied together, for a piece held while others are
/// waited for could be the one that they wait for.
async fn read_gathered<E: Disk>(
    connection: Rc<Connection<E>>,
    admitted: Rc<Admitted>,
    request: Request,
    length: u32,
) {
    let mut bytes = Vec::with_capacity(length as usize);
    let mut result = Ok(());
    for (at, len_bytes) in pieces(request.offset, length.into(), connection.piece_bytes_max) {
        let piece = read_exactly(&connection.export, at, len_bytes).await;
        result = piece.and_then(|piece| {
            let appended = piece.append_to(&mut bytes);
            appended.map_err(|error| error.errno())
        });
        if result.is_err() {
            break;
        }
    }
    let read = result.map(|()| Payload::Bytes(bytes));
    answer_read(&connection, admitted, request, read).await;
}

/// A long read for a client that takes it in chunks: each leaves when it is there, in any order.
async fn read_in_chunks<E: Disk>(
    connection: Rc<Connection<E>>,
    admitted: Rc<Admitted>,
    request: Request,
    length: u32,
) {
    let tasks: Vec<Task<Result<(), Errno>>> =
        pieces(request.offset, length.into(), connection.piece_bytes_max)
            .map(|piece| {
                let (connection, admitted) = (connection.clone(), admitted.clone());
                let handle = connection.handle.clone();
                handle.spawn(read_chunk(connection, admitted, request, piece))
            })
            .collect();
    let mut result = Ok(());
    for task in tasks {
        result = result.and(task.await);
    }
    answer_done(&connection, admitted, request, result).await;
}

async fn read_chunk<E: Disk>(
    connection: Rc<Connection<E>>,
    admitted: Rc<Admitted>,
    request: Request,
    (at, len_bytes): (u64, u32),
) -> Result<(), Errno> {
    let Request { cookie, offset, .. } = request;
    let mode = connection.agreed.mode;
    let payload = read_exactly(&connection.export, at, len_bytes).await?;
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
        admitted: Some(admitted),
    };
    connection.outbox.send(answer).await;
    Ok(())
}

async fn block_status<E: Disk>(
    connection: Rc<Connection<E>>,
    admitted: Rc<Admitted>,
    request: Request,
    length: u64,
    one: bool,
) {
    let Request { cookie, offset, .. } = request;
    let told = connection.export.block_status(offset, length).await;
    let count_max = if one { 1 } else { EXTENTS_MAX };
    let fitted = told.map(|extents| Extent::fitted(&extents, length, count_max));
    let head = match fitted {
        // An answer without any extent would bring the client no step further.
        Ok(extents) if extents.is_empty() => failure(&connection, request, Errno::IO),
        Ok(extents) => {
            let context = MetaContext::ALLOCATION.0;
            let mode = connection.agreed.mode;
            mode.block_status(cookie, offset, context, &extents)
        }
        Err(errno) => failure(&connection, request, errno),
    };
    let answer = Answer {
        head,
        payload: None,
        admitted: Some(admitted),
    };
    connection.outbox.send(answer).await;
}
