//! One request and its answer.

use archipelago_runtime::{Call as AwayCall, CallError, Station};
use rustix::io::Errno;
use xseg::{BUFFER_BYTES_MIN, Buffer, Draft, OpCode, Reply, RequestError};

use super::blocker::BlockerClient;
use crate::contract::LockRecord;
use crate::error::StoreError;
use crate::wire::{Call, decode_owner};

/// What a blocker that talks nonsense is answered with.
pub(super) const NONSENSE: StoreError = StoreError::Io(Errno::PROTO);

/// A waiting request that is called off if nobody waits for it any more.
struct CalledOff<'a> {
    station: &'a Station,
    call: Option<AwayCall<'a>>,
}

impl Drop for CalledOff<'_> {
    fn drop(&mut self) {
        if let Some(call) = &self.call {
            // If it cannot be sent the blocker ends the wait when it is restarted, or by granting.
            let _ = self.station.cancel(call);
        }
    }
}

pub(super) fn refused(error: &RequestError) -> StoreError {
    StoreError::from(error.errno())
}

pub(super) fn not_answered(error: &CallError) -> StoreError {
    StoreError::Io(error.errno())
}

impl BlockerClient {
    /// A buffer with room for so many bytes, if that is any.
    pub(super) async fn room(&self, bytes: u64) -> Result<Option<Buffer>, StoreError> {
        if bytes == 0 {
            return Ok(None);
        }
        let buffer = self.station.room(bytes, bytes).await;
        Ok(Some(buffer.map_err(|error| not_answered(&error))?))
    }

    /// Room for a part of so many bytes, if that is any, and how many of them there is room for: all that one request carries,
    /// or less while the large buffers are taken (CLIENT-1).
    pub(super) async fn part_room(&self, bytes: u64) -> Result<(Option<Buffer>, u64), StoreError> {
        let wanted = bytes.min(self.transfer_bytes);
        if wanted == 0 {
            return Ok((None, 0));
        }
        let buffer = self.station.room(wanted, wanted.min(BUFFER_BYTES_MIN));
        let buffer = buffer.await.map_err(|error| not_answered(&error))?;
        let len = wanted.min(buffer.data().len());
        Ok((Some(buffer), len))
    }

    /// A buffer that holds these bytes.
    pub(super) async fn filled(&self, bytes: &[u8]) -> Result<Option<Buffer>, StoreError> {
        let buffer = self.room(bytes.len() as u64).await?;
        if let Some(buffer) = &buffer {
            buffer
                .data()
                .write(0, bytes)
                .map_err(|error| refused(&error))?;
        }
        Ok(buffer)
    }

    /// The request, ready to be sent. The buffer is asked for before the record: nobody holds a record and waits.
    async fn draft(
        &self,
        call: &Call,
        payload: Option<Buffer>,
        payload_bytes: u64,
    ) -> Result<Draft, StoreError> {
        let head = call.head();
        let mut draft = self
            .station
            .draft(head.op)
            .await
            .map_err(|error| not_answered(&error))?;
        head.put(&mut draft).map_err(|error| refused(&error))?;
        if head.op == OpCode::CREATE_EXCLUSIVE {
            draft.set_operation_id(self.next_operation_id());
        }
        if let Some(buffer) = payload {
            draft
                .attach(buffer, payload_bytes)
                .map_err(|error| refused(&error))?;
        }
        Ok(draft)
    }

    /// Sends the request and waits for its answer, whatever it is.
    pub(super) async fn ask(
        &self,
        call: &Call,
        payload: Option<Buffer>,
        payload_bytes: u64,
    ) -> Result<Reply, StoreError> {
        let draft = self.draft(call, payload, payload_bytes).await?;
        let answered = self.station.call(draft, self.blocker).await;
        answered.map_err(|error| not_answered(&error))
    }

    /// The same for a request that may wait for others.
    pub(super) async fn ask_patiently(
        &self,
        call: &Call,
        payload: Option<Buffer>,
        payload_bytes: u64,
    ) -> Result<Reply, StoreError> {
        let draft = self.draft(call, payload, payload_bytes).await?;
        let begun = self.station.begin_call(draft, self.blocker);
        let mut waiting = CalledOff {
            station: &self.station,
            call: Some(begun.map_err(|error| not_answered(&error))?),
        };
        let answered = match waiting.call.as_mut() {
            Some(call) => call.await,
            None => Err(CallError::Stopped),
        };
        waiting.call = None;
        answered.map_err(|error| not_answered(&error))
    }

    /// A request without payload, of which only the number that it is answered with counts.
    pub(super) async fn ask_number(&self, call: &Call) -> Result<u64, StoreError> {
        number(&self.ask(call, None, 0).await?)
    }
}

/// The number that it was answered with.
pub(super) fn number(reply: &Reply) -> Result<u64, StoreError> {
    reply.result().map_err(StoreError::from)
}

/// The first `len` bytes of the answer's payload.
pub(super) fn payload(reply: &Reply, len: u64) -> Result<Vec<u8>, StoreError> {
    if len == 0 {
        return Ok(Vec::new());
    }
    let data = reply.data().ok_or(NONSENSE)?;
    if len > data.len() {
        return Err(NONSENSE);
    }
    let mut bytes = vec![0; len as usize];
    data.read(0, &mut bytes).map_err(|error| refused(&error))?;
    Ok(bytes)
}

/// The lock record of an answer: its holder, if there is one.
pub(super) fn record(reply: &Reply) -> Result<Option<LockRecord>, StoreError> {
    let [token, since, bytes, broken] = reply.args();
    if bytes == 0 {
        return Ok(None);
    }
    let owner = decode_owner(&payload(reply, bytes)?).map_err(|_| NONSENSE)?;
    Ok(Some(LockRecord {
        owner,
        token,
        since,
        broken,
    }))
}

/// Whether it was done; a lock that another one holds is named by the answer.
pub(super) fn lock_result(reply: &Reply) -> Result<(), StoreError> {
    match reply.result() {
        Ok(_) => Ok(()),
        Err(Errno::BUSY) => match record(reply) {
            Ok(Some(held)) => Err(StoreError::Locked {
                owner: held.owner.to_string(),
            }),
            _ => Err(StoreError::from(Errno::BUSY)),
        },
        Err(errno) => Err(StoreError::from(errno)),
    }
}
