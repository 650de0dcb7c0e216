//! Hashes.

use super::help::{SCOPE, bytes, name, put};
use crate::contract::Store;

pub(super) async fn a_hash_is_of_the_content_without_trailing_zeros(store: &impl Store) {
    let hash = |data: &[u8]| Ok(*blake3::hash(data).as_bytes());
    let (empty, object) = (name("h/empty"), name("h/object"));
    put(store, &empty, b"").await;
    assert_eq!(store.hash(&empty).await, hash(b""));
    assert_eq!(store.extend(SCOPE, &empty, 300_000, false).await, Ok(()));
    assert_eq!(store.hash(&empty).await, hash(b""), "zeros are nothing");
    let mut data = bytes(2_500_000, 1);
    data.push(1);
    put(store, &object, &data).await;
    assert_eq!(store.hash(&object).await, hash(&data));
    let extended = store.extend(SCOPE, &object, 5_000_000, false).await;
    assert_eq!(extended, Ok(()));
    assert_eq!(store.hash(&object).await, hash(&data));
    let punched = store.punch(SCOPE, &object, 100, 100).await;
    assert_eq!(punched, Ok(()));
    data[100..200].fill(0);
    assert_eq!(store.hash(&object).await, hash(&data), "zeros inside count");
    let written = store.write(SCOPE, &object, 4_000_000, &[2]).await;
    assert_eq!(written, Ok(()));
    data.resize(4_000_000, 0);
    data.push(2);
    assert_eq!(store.hash(&object).await, hash(&data));
}
