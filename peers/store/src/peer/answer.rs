//! Answers, each in the form that [`crate::wire`] gives it.

use xseg::{Errno, Incoming};

use crate::contract::{LockOwner, LockRecord, ObjectStat};
use crate::error::StoreError;
use crate::wire::{WireError, decode_owner, encode_owner, fit_strings};

/// More than an owner ever takes.
const OWNER_BYTES_MAX: u64 = 512;

/// With a number, or an error.
pub fn answer_done(request: Incoming, done: Result<u64, StoreError>) {
    match done {
        Ok(done) => request.answer(done),
        Err(error) => request.fail(error.errno()),
    }
}

pub fn answer_error(request: Incoming, error: &StoreError) {
    request.fail(error.errno());
}

pub fn answer_stat(mut request: Incoming, stat: Result<ObjectStat, StoreError>) {
    match stat {
        Ok(stat) => {
            request.set_answer_args([stat.size, stat.allocated, 0, 0]);
            request.answer(0);
        }
        Err(error) => request.fail(error.errno()),
    }
}

pub fn answer_hash(mut request: Incoming, hash: Result<[u8; 32], StoreError>) {
    match hash {
        Ok(hash) => {
            let mut words = [0; 4];
            for (word, part) in words.iter_mut().zip(hash.chunks_exact(8)) {
                let part = part.try_into().expect("chunks of 8 bytes have 8 bytes");
                *word = u64::from_le_bytes(part);
            }
            request.set_answer_args(words);
            request.answer(0);
        }
        Err(error) => request.fail(error.errno()),
    }
}

/// With as many of the names as the request has room for. A request without room for one that is there is refused.
pub fn answer_names<'a>(
    mut request: Incoming,
    names: impl ExactSizeIterator<Item = &'a [u8]>,
    more: bool,
) {
    let room = request.data().map_or(0, |data| data.len());
    let all = names.len();
    let (encoded, count) = fit_strings(names, usize::try_from(room).unwrap_or(usize::MAX));
    if count == 0 && all > 0 {
        request.fail(Errno::OVERFLOW);
        return;
    }
    let written = match request.data() {
        Some(data) => data.write(0, &encoded),
        None => Ok(()),
    };
    if let Err(error) = written {
        request.fail(error.errno());
        return;
    }
    let more = more || count < all;
    request.set_answer_args([u64::from(more), encoded.len() as u64, 0, 0]);
    request.answer(count as u64);
}

/// The owner that a lock request names.
pub fn owner_of(request: &Incoming) -> Result<LockOwner, WireError> {
    let data = request.data().ok_or(WireError::Owner)?;
    let mut bytes = vec![0; data.len().min(OWNER_BYTES_MAX) as usize];
    data.read(0, &mut bytes).map_err(|_| WireError::Owner)?;
    decode_owner(&bytes)
}

/// Writes who holds the lock into the answer, as far as there is room for it.
fn set_holder(request: &mut Incoming, holder: Option<&LockRecord>) {
    let Some(record) = holder else {
        request.set_answer_args([0; 4]);
        return;
    };
    let encoded = encode_owner(&record.owner).unwrap_or_default();
    let written = request
        .data()
        .is_some_and(|data| data.write(0, &encoded).is_ok());
    let bytes = if written { encoded.len() as u64 } else { 0 };
    request.set_answer_args([record.token, record.since, bytes, record.broken]);
}

/// The lock is the asker's now.
pub fn answer_lock(mut request: Incoming, record: &LockRecord) {
    set_holder(&mut request, Some(record));
    request.answer(0);
}

/// It is not; `holder` is who has it, if that is why.
pub fn refuse_lock(mut request: Incoming, error: &StoreError, holder: Option<&LockRecord>) {
    set_holder(&mut request, holder);
    request.fail(error.errno());
}

/// Who has the lock.
pub fn answer_holder(mut request: Incoming, holder: Option<&LockRecord>) {
    set_holder(&mut request, holder);
    request.answer(0);
}
