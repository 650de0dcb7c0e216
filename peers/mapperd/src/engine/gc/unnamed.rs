//! What of an object nobody names, and what is in it.

use std::collections::BTreeSet;
use std::ops::Range;

use archipelago_store::{ObjectName, Store, StoreError};

use crate::engine::error::MapError;

/// The gaps between the pieces of an object that are named: piece n is of `piece_bytes`, the object of `size`.
pub fn unnamed_parts(named: &BTreeSet<u16>, piece_bytes: u64, size: u64) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    let mut at = 0;
    for piece in named {
        let start = u64::from(*piece) * piece_bytes;
        parts.push(at..start);
        at = start + piece_bytes;
    }
    parts.push(at..size.max(at));
    parts.retain(|part| !part.is_empty());
    parts
}

/// What giving these parts back would give. None of it, if the object is gone.
pub async fn data_in(
    store: &impl Store,
    object: &ObjectName,
    parts: &[Range<u64>],
) -> Result<u64, MapError> {
    let mut bytes = 0;
    for part in parts {
        match store.data_in(object, part.clone()).await {
            Ok(data) => bytes += data,
            Err(StoreError::NotFound) => return Ok(0),
            Err(error) => return Err(MapError::store("look at", object)(error)),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_before_between_and_behind_the_named_pieces_is_unnamed() {
        let parts = |named: &[u16], size| -> Vec<(u64, u64)> {
            let named = named.iter().copied().collect();
            let parts = unnamed_parts(&named, 10, size).into_iter();
            parts.map(|part| (part.start, part.end)).collect()
        };
        assert_eq!(parts(&[], 35), [(0, 35)]);
        assert_eq!(parts(&[1, 2, 5], 60), [(0, 10), (30, 50)]);
        assert_eq!(parts(&[0, 3], 47), [(10, 30), (40, 47)]);
        assert_eq!(parts(&[0, 1, 2, 3], 35), []);
        assert_eq!(parts(&[4], 0), [(0, 40)]);
        assert_eq!(parts(&[], 0), []);
    }
}
