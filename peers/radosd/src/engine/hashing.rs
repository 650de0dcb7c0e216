//! Hashes of whole objects.

use archipelago_runtime::Memory;
use archipelago_store::{ObjectName, StoreError};

use super::core::{Engine, store_error};
use super::names;

const STEP_BYTES: usize = 8 << 20;

/// BLAKE3 of what came so far without its trailing zeros, and how many of those there are.
#[derive(Debug, Default)]
struct Hashing {
    hasher: blake3::Hasher,
    zeros: usize,
}

impl Hashing {
    fn add(&mut self, bytes: &[u8]) {
        const ZEROS: [u8; 4096] = [0; 4096];
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else {
            self.zeros += bytes.len();
            return;
        };
        while self.zeros > 0 {
            let step = self.zeros.min(ZEROS.len());
            self.hasher.update(&ZEROS[..step]);
            self.zeros -= step;
        }
        self.hasher.update(&bytes[..=last]);
        self.zeros = bytes.len() - last - 1;
    }
}

impl Engine {
    /// BLAKE3 of the content without its trailing zeros, reckoned by a thread.
    pub async fn hash(&self, name: &ObjectName) -> Result<[u8; 32], StoreError> {
        let object = names::object(name.as_bytes())?;
        let (mut hashing, mut offset) = (Hashing::default(), 0);
        let mut memory = Memory::from(vec![0; STEP_BYTES]);
        loop {
            let read = self.pool.read(&object, offset, memory).await;
            let count = read.result.map_err(store_error)?;
            let bytes = read.kept.into_bytes().expect("made from bytes above");
            let reckoned = self.handle.blocking(move || {
                hashing.add(&bytes[..count]);
                (hashing, bytes)
            });
            let (so_far, bytes) = reckoned.await;
            hashing = so_far;
            if count < STEP_BYTES {
                return Ok(hashing.hasher.finalize().into());
            }
            offset += count as u64;
            memory = Memory::from(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_count_only_if_something_follows() {
        let mut hashing = Hashing::default();
        for bytes in [&b"a\0\0"[..], &[0; 5000], b"\0b\0", &[0; 7]] {
            hashing.add(bytes);
        }
        let mut whole = b"a".to_vec();
        whole.resize(5004, 0);
        whole.push(b'b');
        assert_eq!(hashing.hasher.finalize(), blake3::hash(&whole));
        let mut nothing = Hashing::default();
        nothing.add(&[0; 100]);
        assert_eq!(nothing.hasher.finalize(), blake3::hash(b""));
    }
}
