//! Copies: through this process, for librados' C functions have no other way.

use archipelago_runtime::Memory;
use archipelago_store::{ObjectName, Scope, StoreError};
use rustix::io::Errno;

use super::core::{Engine, store_error};
use super::names;
use crate::librados::WriteOperation;

const STEP_BYTES: usize = 8 << 20;
/// Zeros are left out in units of this.
const PAGE_BYTES: usize = 4096;

impl Engine {
    pub async fn copy(
        &self,
        scope: Scope,
        from: &ObjectName,
        to: &ObjectName,
        len: u64,
    ) -> Result<u64, StoreError> {
        if from == to {
            return Err(StoreError::Invalid);
        }
        let (source, target) = (
            names::object(from.as_bytes())?,
            names::object(to.as_bytes())?,
        );
        let looked = self.pool.look(&source, self.pool.asking().stat()).await;
        looked.result.map_err(store_error)?;
        let len = len.min(looked.kept.size());
        let mut bytes = vec![0; STEP_BYTES.min(len as usize)];
        let mut done = 0;
        loop {
            let wanted = (len - done).min(STEP_BYTES as u64) as usize;
            let mut count = 0;
            if wanted > 0 {
                let read = self.pool.read(&source, done, Memory::from(bytes)).await;
                count = read.result.map_err(store_error)?.min(wanted);
                bytes = read.kept.into_bytes().expect("made from bytes above");
            }
            let copied = if done == 0 {
                let emptied = self.pool.writing().create_if_missing().truncate(0);
                let emptied = emptied.remove_attribute(names::RESERVED);
                let making = fill(emptied, &bytes[..count], 0);
                self.make_object(to, &target, making).await
            } else {
                let going_on = fill(self.pool.writing().assert_exists(), &bytes[..count], done);
                let written = self.pool.change(&target, going_on).await;
                written.result.map(drop)
            };
            // The target went in between: that is no missing source.
            let copied = copied.map_err(|errno| match errno {
                Errno::NOENT => StoreError::Io(Errno::STALE),
                other => store_error(other),
            });
            self.note(scope, copied)?;
            done += count as u64;
            if done == len || count == 0 {
                return Ok(done);
            }
        }
    }
}

/// The bytes that are not zero, and the length.
fn fill(mut operation: WriteOperation, bytes: &[u8], offset: u64) -> WriteOperation {
    for (start, end) in runs(bytes) {
        operation = operation.write(&bytes[start..end], offset + start as u64);
    }
    operation.truncate(offset + bytes.len() as u64)
}

/// Runs of pages that are not all zeros.
fn runs(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (number, page) in bytes.chunks(PAGE_BYTES).enumerate() {
        if page.iter().all(|byte| *byte == 0) {
            continue;
        }
        let start = number * PAGE_BYTES;
        match runs.last_mut() {
            Some((_, end)) if *end == start => *end += page.len(),
            _ => runs.push((start, start + page.len())),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_zeros_are_left_out() {
        let mut bytes = vec![0; 5 * PAGE_BYTES + 10];
        assert_eq!(runs(&bytes), []);
        bytes[PAGE_BYTES + 1] = 1;
        bytes[2 * PAGE_BYTES] = 1;
        bytes[5 * PAGE_BYTES + 9] = 1;
        let expected = [
            (PAGE_BYTES, 3 * PAGE_BYTES),
            (5 * PAGE_BYTES, 5 * PAGE_BYTES + 10),
        ];
        assert_eq!(runs(&bytes), expected);
        assert_eq!(runs(&[7; 10]), [(0, 10)]);
    }
}
