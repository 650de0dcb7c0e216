//! The requests of one connection: taken one after the other, done side by side.
//!
//! # Invariants
//! * **REQUEST-1** Nothing is reserved for a payload but the piece that is being received (F71); a client that stops within one holds
//!   up nobody else (F76).

use std::rc::Rc;

use archipelago_runtime::Task;
use xseg::Errno;

use super::connection::{Connection, End};
use super::flow::Admitted;
use super::input::{Ended, Input};
use super::outbox::Answer;
use super::perform;
use super::server::Shared;
use crate::export::{Export, Exports};
use crate::transmission::{Admission, Command, Refusal, Request, RequestReader, Step};

/// Takes requests until there are no more.
pub(super) async fn take<X: Exports>(
    shared: &Shared<X>,
    connection: &Rc<Connection<X::Export>>,
    mut input: Input,
) -> End {
    let agreed = connection.agreed.clone();
    let admission = Admission::new(agreed, shared.options.payload_bytes_max);
    let mut reader = RequestReader::new(admission);
    loop {
        if shared.draining.get() {
            reader.drain();
        }
        let (taken, step) = reader.step(input.bytes());
        input.consume(taken);
        let outcome = match step {
            Step::Receive => input.receive().await,
            Step::Request(request) => begin(connection, &mut input, request).await,
            Step::Refuse {
                cookie,
                offset,
                refusal,
            } => {
                refuse(connection, cookie, offset, refusal).await;
                Ok(())
            }
            Step::Disconnect => return End::Leave,
            Step::Close(error) => return error.into(),
        };
        if let Err(ended) = outcome {
            return ended.into();
        }
    }
}

/// Refusals are counted as well: a client that only makes mistakes gets no more memory than others.
async fn refuse<E: Export>(
    connection: &Rc<Connection<E>>,
    cookie: u64,
    offset: u64,
    refusal: Refusal,
) {
    tracing::debug!(connection = connection.number, offset, %refusal, "refused");
    let admitted = Rc::new(connection.flow.admit(0).await);
    let mode = connection.agreed.mode;
    let head = mode.error(cookie, offset, refusal.error(), &refusal.to_string());
    let answer = Answer {
        head,
        payload: None,
        admitted: Some(admitted),
    };
    let connection = connection.clone();
    let handle = connection.handle.clone();
    handle.spawn(async move { connection.outbox.send(answer).await });
}

/// Waits for its turn, takes what is its of the stream, and has it done.
async fn begin<E: Export>(
    connection: &Rc<Connection<E>>,
    input: &mut Input,
    request: Request,
) -> Result<(), Ended> {
    let payload = match request.command {
        Command::Read { length, .. } | Command::Write { length, .. } => length as usize,
        _ => 0,
    };
    let admitted = Rc::new(connection.flow.admit(payload).await);
    if let Command::Write { length, fua } = request.command {
        return write(connection, input, admitted, request, length, fua).await;
    }
    let task = perform::perform(connection.clone(), admitted, request);
    connection.handle.spawn(task);
    Ok(())
}

/// Receives the payload piece by piece. Each is written as soon as it is there: no write waits for the buffers of
/// another with buffers of its own in its hands.
async fn write<E: Export>(
    connection: &Rc<Connection<E>>,
    input: &mut Input,
    admitted: Rc<Admitted>,
    request: Request,
    length: u32,
    fua: bool,
) -> Result<(), Ended> {
    let mut pieces: Vec<Task<Result<(), Errno>>> = Vec::new();
    let mut failed = Ok(());
    let mut done = 0;
    while done < length {
        let len_bytes = (length - done).min(connection.piece_bytes_max);
        let place = match connection.export.room(len_bytes).await {
            Ok(place) if place.len_bytes() == len_bytes as usize && place.is_whole() => place,
            other => {
                let errno = other.err().unwrap_or(Errno::IO);
                input.discard((length - done) as usize).await?;
                failed = Err(errno);
                break;
            }
        };
        let payload = input.fill(place).await?;
        let offset = request.offset + u64::from(done);
        let (connection, admitted) = (connection.clone(), admitted.clone());
        pieces.push(connection.handle.clone().spawn(async move {
            let written = connection.export.write(offset, payload, fua).await;
            drop(admitted); // the request is in flight while any of its pieces is
            written
        }));
        done += len_bytes;
    }
    let (connection, handle) = (connection.clone(), connection.handle.clone());
    handle.spawn(async move {
        let mut result = failed;
        for piece in pieces {
            result = result.and(piece.await);
        }
        perform::answer_done(&connection, admitted, request, result).await;
    });
    Ok(())
}
