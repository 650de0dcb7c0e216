//! The name of content: what a block holds, said in 24 bytes.
//!
//! # Invariants
//! * **CONTENT-1** Two blocks have one name iff they have the same size and hold the same bytes (but for collisions, which
//!   192 bits of BLAKE3 do not have). So an object of this name may stand for either, and never changes.

use archipelago_protocol::CONTENT_ID_BYTES;

/// Names an object by the bytes that it holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId([u8; CONTENT_ID_BYTES]);

/// Keeps names of content apart from other hashes of the same bytes.
const CONTEXT: &str = "archipelago 2026-11 content of a block";

impl ContentId {
    /// The name of a block of 2^`object_bits` bytes, whose bytes without trailing zeros have this BLAKE3 hash.
    pub fn of(object_bits: u8, trimmed: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&[object_bits]).update(trimmed);
        let mut id = [0; CONTENT_ID_BYTES];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..CONTENT_ID_BYTES]);
        Self(id)
    }

    pub const fn from_bytes(bytes: [u8; CONTENT_ID_BYTES]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; CONTENT_ID_BYTES] {
        &self.0
    }
}

impl std::fmt::Display for ContentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for ContentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CONTENT-1: maps on disk hold these names.
    #[test]
    fn the_name_of_content_is_of_its_bytes_and_of_its_size() {
        let hash = *blake3::hash(b"what a block holds").as_bytes();
        let other = *blake3::hash(b"something else").as_bytes();
        let name = ContentId::of(22, &hash);
        assert_eq!(name, ContentId::of(22, &hash));
        assert_ne!(name, ContentId::of(21, &hash));
        assert_ne!(name, ContentId::of(22, &other));
        assert_eq!(ContentId::from_bytes(*name.as_bytes()), name);
        assert_eq!(name.to_string(), GOLDEN);
    }

    const GOLDEN: &str = "99e0bc39170f6a384c5621f98a5b13d79ca994ec6b1a992f";
}
