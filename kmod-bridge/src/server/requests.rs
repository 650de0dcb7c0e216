//! The requests of one connection: taken one after the other, done side by side.

use std::rc::Rc;

use archipelago_front::{Disk, Disks};

use super::connection::{Connection, End};
use super::input::{Ended, Input};
use super::outbox::Answer;
use super::perform;
use super::server::Shared;
use super::writes::{self, Write};
use crate::transmission::{Admission, Command, Refusal, Request, RequestReader, Step};

/// Takes requests until there are no more.
pub(super) async fn take<X: Disks>(
    shared: &Shared<X>,
    connection: &Rc<Connection<X::Disk>>,
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
        admitted: Some(admitted),
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
    let payload = match request.command {
        Command::Read { length, .. } | Command::Write { length, .. } => length as usize,
        _ => 0,
    };
    let admitted = Rc::new(connection.flow.admit(payload).await);
    if let Command::Write { length, fua } = request.command {
        let write = Write {
            request,
            length,
            fua,
        };
        return writes::write(connection, input, admitted, write).await;
    }
    let task = perform::perform(connection.clone(), admitted, request);
    connection.handle.spawn(task);
    Ok(())
}
