//! The requests of one connection: taken one after the other, done side by side.

use std::rc::Rc;

use archipelago_front::{Disk, Disks};

use super::connection::{Connection, End};
use super::held::Held;
use super::input::{Ended, Input, Silence};
use super::outbox::Answer;
use super::perform;
use super::reads::{self, Read};
use super::server::Shared;
use super::status::Status;
use super::writes::{self, Write};
use crate::transmission::{Admission, Command, Refusal, Request, RequestReader, Step};

/// Takes requests until there are no more.
pub(super) async fn take<X: Disks>(
    shared: &Shared<X>,
    connection: &Rc<Connection<X::Disk>>,
    mut input: Input,
) -> End {
    let agreed = connection.agreed.clone();
    let admission = Admission::new(agreed, shared.options.payload_bytes_max)
        .with_size(connection.size_bytes.clone());
    let mut reader = RequestReader::new(admission);
    loop {
        if shared.draining.get() {
            reader.drain();
        }
        let (taken, step) = reader.step(input.bytes());
        input.consume(taken);
        if connection.outbox.is_closed() {
            return End::Unheard; // CONNECTION-3
        }
        let outcome = match step {
            Step::Receive => {
                let silence = match reader.is_within_request() {
                    true => Silence::WithinRequest,
                    false => Silence::BetweenRequests,
                };
                input.receive(silence).await
            }
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
async fn refuse<E: Disk>(
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
        held: Some(Held::new(admitted, None)),
    };
    let connection = connection.clone();
    let handle = connection.handle.clone();
    handle.spawn(async move { connection.outbox.send(answer).await });
}

/// Waits for its turn, takes what is its of the stream, and has it done.
async fn begin<E: Disk>(
    connection: &Rc<Connection<E>>,
    input: &mut Input,
    request: Request,
) -> Result<(), Ended> {
    let bytes = match request.command {
        Command::Read { length, .. } | Command::Write { length, .. } => length as usize,
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
            status.bytes_max()
        }
        _ => 0,
    };
    let admitted = Rc::new(connection.flow.admit(bytes).await);
    match request.command {
        Command::Write { length, fua } => {
            let write = Write {
                request,
                length,
                fua,
            };
            return writes::write(connection, input, admitted, write).await;
        }
        Command::Read { length, whole } => {
            let read = Read {
                request,
                length,
                whole,
            };
            reads::begin(connection, admitted, read).await;
        }
        _ => {
            let share = match bytes {
                0 => None,
                bytes => Some(connection.account.acquire(bytes).await),
            };
            let held = Held::new(admitted, share);
            let task = perform::perform(connection.clone(), held, request);
            connection.handle.spawn(task);
        }
    }
    Ok(())
}
