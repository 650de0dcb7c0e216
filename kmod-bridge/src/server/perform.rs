//! Doing one request: the export is asked, the answer is sent.

use std::rc::Rc;

use archipelago_front::{Disk, ZeroOptions};
use xseg::Errno;

use super::connection::Connection;
use super::held::Held;
use super::outbox::Answer;
use super::status::{self, Status};
use crate::limits::ZEROED_AT_ONCE;
use crate::transmission::{Command, Request};
use crate::wire::NbdError;

/// Everything but writes, whose payload has to be received first, and reads, which may be done piece by piece.
pub(super) async fn perform<E: Disk>(connection: Rc<Connection<E>>, held: Held, request: Request) {
    let export = &connection.export;
    let offset = request.offset;
    let done = match request.command {
        Command::BlockStatus {
            length,
            one,
            contexts,
        } => {
            let status = Status {
                length,
                one,
                contexts,
            };
            return status::tell(connection, held, request, status).await;
        }
        Command::Read { .. } | Command::Write { .. } => Err(Errno::INVAL),
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
            zero(&connection, (offset, length), options).await
        }
    };
    answer_done(&connection, held, request, done).await;
}

/// Zeroes that take their space can take hours: they end between two pieces if nobody waits for them any more, so that the export can be
/// opened again (ORPHAN-1).
async fn zero<E: Disk>(
    connection: &Connection<E>,
    (offset, length): (u64, u64),
    options: ZeroOptions,
) -> Result<(), Errno> {
    let piece_bytes = match options.no_hole {
        true => ZEROED_AT_ONCE,
        false => length.max(1),
    };
    let mut done = 0;
    loop {
        let piece = piece_bytes.min(length - done);
        let zeroed = connection
            .export
            .write_zeroes(offset + done, piece, options);
        zeroed.await?;
        done += piece;
        if done >= length {
            return Ok(());
        }
        if connection.outbox.is_closed() {
            return Err(Errno::CANCELED);
        }
    }
}

/// Answers what brings nothing but success or failure.
pub(super) async fn answer_done<E: Disk>(
    connection: &Rc<Connection<E>>,
    held: Held,
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
        held: Some(held),
    };
    connection.outbox.send(answer).await;
}

pub(super) fn failure<E: Disk>(
    connection: &Connection<E>,
    request: Request,
    errno: Errno,
) -> Vec<u8> {
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
