//! Block status: what each of a connection's contexts says of a range.

use std::rc::Rc;

use archipelago_front::Disk;
use xseg::Errno;

use super::connection::Connection;
use super::held::Held;
use super::outbox::Answer;
use super::perform;
use crate::handshake::ContextKind;
use crate::limits::{DESCRIPTOR_BYTES_MAX, DESCRIPTORS_MAX};
use crate::transmission::{ContextSet, Request};
use crate::wire::{Descriptor, Position};

/// What is asked of a block status.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    pub length: u64,
    pub one: bool,
    pub contexts: ContextSet,
}

impl Status {
    fn count_max(&self) -> usize {
        if self.one { 1 } else { DESCRIPTORS_MAX }
    }

    /// The answer is no longer than that.
    pub fn bytes_max(&self) -> usize {
        // No run is shorter than a byte.
        let count = u64::try_from(self.count_max()).map_or(self.length, |max| max.min(self.length));
        self.contexts.places().count() * count as usize * DESCRIPTOR_BYTES_MAX
    }
}

/// What each context says, in one answer; a context that cannot say it makes the whole answer an error.
pub(super) async fn tell<E: Disk>(
    connection: Rc<Connection<E>>,
    held: Held,
    request: Request,
    status: Status,
) {
    let Request { cookie, offset, .. } = request;
    let mode = connection.agreed.mode;
    let mut head = Vec::new();
    let mut places = status.contexts.places().peekable();
    while let Some(place) = places.next() {
        let position = match places.peek() {
            Some(_) => Position::More,
            None => Position::Last,
        };
        let context = &connection.agreed.contexts[place];
        match described(&connection.export, &context.kind, offset, &status).await {
            Ok(told) => {
                let told = (context.number, &told[..]);
                head.extend(mode.block_status(cookie, offset, told, position));
            }
            Err(errno) => {
                head = perform::failure(&connection, request, errno);
                break;
            }
        }
    }
    let answer = Answer {
        head,
        payload: None,
        held: Some(held),
    };
    connection.outbox.send(answer).await;
}

async fn described<E: Disk>(
    export: &E,
    kind: &ContextKind,
    offset: u64,
    status: &Status,
) -> Result<Vec<Descriptor>, Errno> {
    let length = status.length;
    let count_max = status.count_max();
    let fitted = match kind {
        ContextKind::Allocation => {
            let told = export.block_status(offset, length).await?;
            let told = told.iter().map(Descriptor::from);
            Descriptor::fitted(told, length, count_max)
        }
        ContextKind::ChangedSince(snapshot) => {
            let told = export.changed_since(snapshot, offset, length).await?;
            let told = told.iter().map(Descriptor::from);
            Descriptor::fitted(told, length, count_max)
        }
    };
    // An answer without any run would bring the client no step further.
    (!fitted.is_empty()).then_some(fitted).ok_or(Errno::IO)
}
